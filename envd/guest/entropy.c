/*
 * /dev/urandom, fed.
 */
#include "guest/entropy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP2_RNG
#define HWCAP2_RNG (1UL << 16)
#endif
#endif

#define DEVICE "/dev/urandom"

#define HARDWARE_WORDS 4
#define HARDWARE_TRIES 16

#if defined(__x86_64__)
enum generator {
    GENERATOR_NONE,
    GENERATOR_RDRAND,
    GENERATOR_RDSEED,
};

static enum generator
generator_find(void)
{
    unsigned int a;
    unsigned int b = 0;
    unsigned int c = 0;
    unsigned int d;

    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 18 & 1) != 0)
        return GENERATOR_RDSEED;
    if (__get_cpuid(1, &a, &b, &c, &d) != 0 && (c >> 30 & 1) != 0)
        return GENERATOR_RDRAND;
    return GENERATOR_NONE;
}

static bool
generator_word(enum generator g, uint64_t *ret)
{
    bool ok = false;

    if (g == GENERATOR_RDSEED)
        __asm__ volatile("rdseed %0" : "=r"(*ret), "=@ccc"(ok));
    else if (g == GENERATOR_RDRAND)
        __asm__ volatile("rdrand %0" : "=r"(*ret), "=@ccc"(ok));
    return ok;
}
#elif defined(__aarch64__)
static bool
generator_find(void)
{
    return (getauxval(AT_HWCAP2) & HWCAP2_RNG) != 0;
}

static bool
generator_word(bool present, uint64_t *ret)
{
    bool ok = false;

    /* RNDR, which sets Z when it has nothing to give. */
    if (present)
        __asm__ volatile("mrs %0, s3_3_c2_c4_0" : "=r"(*ret), "=@ccne"(ok));
    return ok;
}
#else
static int
generator_find(void)
{
    return 0;
}

static bool
generator_word(int none, uint64_t *ret)
{
    (void)none;
    (void)ret;
    return false;
}
#endif

/* Bytes of the processor's generator; false when it has none, or no more. */
static bool
hardware_random(uint64_t words[HARDWARE_WORDS])
{
    const __auto_type generator = generator_find();

    for (int i = 0; i < HARDWARE_WORDS; i++) {
        int tries = 0;

        while (!generator_word(generator, &words[i]))
            if (++tries == HARDWARE_TRIES)
                return false;
    }
    return true;
}

/* Add them, and say that they are as random as they are long. */
static int
add_credited(int fd, const uint64_t words[HARDWARE_WORDS])
{
    /* struct rand_pool_info: bits of entropy, bytes that follow. */
    uint32_t pool[2 + 2 * HARDWARE_WORDS] = {HARDWARE_WORDS * 64,
                                             HARDWARE_WORDS * 8};
    int r;

    memcpy(pool + 2, words, HARDWARE_WORDS * sizeof(*words));
    r = ioctl(fd, RNDADDENTROPY, pool) < 0 ? -errno : 0;
    explicit_bzero(pool, sizeof(pool));
    return r;
}

int
entropy_reseed(const void *seed, size_t len)
{
    SCOPE(fd_close)
    int fd = open(DEVICE, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    uint64_t words[HARDWARE_WORDS] = {0};
    int result = 0;
    ssize_t n;

    if (fd < 0)
        return -errno;
    if (hardware_random(words))
        result = add_credited(fd, words);
    explicit_bzero(words, sizeof(words));
    n = len > 0 ? write(fd, seed, len) : 0;
    if (result == 0 && (n < 0 || (size_t)n != len))
        result = n < 0 ? -errno : -EIO;
    if (ioctl(fd, RNDRESEEDCRNG) < 0 && result == 0)
        result = -errno;
    return result;
}
