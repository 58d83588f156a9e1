/*
 * The access token in a page of its own, and the signatures made from it.
 */
#include "security/access.h"

#include <errno.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/base64.h"
#include "base/scope.h"

#define TOKEN_PAGE_BYTES 4096

/* SHA-256 in base64 has 43 characters and one of padding, which is cut. */
#define PREFIX_LEN    3 /* `v1_` or `v2_` */
#define SIGNATURE_LEN (PREFIX_LEN + 43)

/* Fills its page.  Behind the value all bytes are zero. */
struct access_token {
    size_t len; /* bytes of value, 0: unset */
    char value[TOKEN_PAGE_BYTES - sizeof(size_t)];
};

struct access_token *
access_token_new(void)
{
    struct access_token *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (t == MAP_FAILED)
        abort();
    /* Each is a precaution of its own, and a kernel may refuse any. */
    (void)mlock(t, sizeof(*t));
    (void)madvise(t, sizeof(*t), MADV_DONTDUMP);
    (void)madvise(t, sizeof(*t), MADV_WIPEONFORK);
    return t;
}

void
access_token_free(struct access_token *t)
{
    if (t == NULL)
        return;
    access_token_clear(t);
    (void)munmap(t, sizeof(*t));
}

bool
access_token_is_set(const struct access_token *t)
{
    return t->len > 0;
}

int
access_token_set(struct access_token *t, struct str value)
{
    if (value.len == 0 || value.len > ACCESS_TOKEN_MAX)
        return -EINVAL;
    memmove(t->value, value.data, value.len);
    explicit_bzero(t->value + value.len, sizeof(t->value) - value.len);
    t->len = value.len;
    return 0;
}

void
access_token_clear(struct access_token *t)
{
    explicit_bzero(t, sizeof(*t));
}

bool
access_token_equals(const struct access_token *t, struct str value)
{
    volatile size_t difference = t->len ^ value.len;

    /*
     * As many steps as the caller gave bytes: how long it takes depends on
     * nothing that the caller does not know.
     */
    for (size_t i = 0; i < value.len; i++)
        difference |=
            (unsigned char)(t->value[i % sizeof(t->value)] ^ value.data[i]);
    return difference == 0 && t->len > 0;
}

bool
access_hash_matches(struct str hash, struct str token)
{
    static const char digits[] = "0123456789abcdef";
    volatile unsigned char difference = 0;
    uint8_t digest[SHA512_DIGEST_LENGTH];
    SHA2_CTX ctx;

    if (hash.len != 2 * sizeof(digest))
        return false;
    SHA512Init(&ctx);
    if (token.len > 0)
        SHA512Update(&ctx, (const uint8_t *)token.data, token.len);
    SHA512Final(digest, &ctx);
    for (size_t i = 0; i < sizeof(digest); i++) {
        difference |=
            (unsigned char)(hash.data[2 * i] ^ digits[digest[i] >> 4]);
        difference |=
            (unsigned char)(hash.data[2 * i + 1] ^ digits[digest[i] & 15]);
    }
    explicit_bzero(&ctx, sizeof(ctx));
    explicit_bzero(digest, sizeof(digest));
    return difference == 0;
}

static void
hash_add(SHA2_CTX *hash, struct str s)
{
    if (s.len > 0)
        SHA256Update(hash, (const uint8_t *)s.data, s.len);
}

/* The expiration as it is signed: canonical decimal, or nothing. */
static struct str
expiration_text(const struct access_signature *sig, char *buf, size_t size)
{
    if (!sig->has_expiration)
        return STR("");
    (void)snprintf(buf, size, "%lld", (long long)sig->expiration);
    return str_from(buf);
}

/* Version 1: SHA-256 of `path:operation:username:token[:expiration]`. */
static void
digest_v1(const struct access_token *t, const struct access_signature *sig,
          uint8_t digest[SHA256_DIGEST_LENGTH])
{
    char buf[32];
    SHA2_CTX hash;

    SHA256Init(&hash);
    hash_add(&hash, sig->path);
    hash_add(&hash, sig->write ? STR(":write:") : STR(":read:"));
    hash_add(&hash, sig->username);
    hash_add(&hash, STR(":"));
    hash_add(&hash, (struct str){t->value, t->len});
    if (sig->has_expiration) {
        hash_add(&hash, STR(":"));
        hash_add(&hash, expiration_text(sig, buf, sizeof(buf)));
    }
    SHA256Final(digest, &hash);
    explicit_bzero(&hash, sizeof(hash));
}

/* A field with its length before it, in 8 bytes, the highest first. */
static void
hash_add_field(SHA2_CTX *hash, struct str s)
{
    uint8_t len[8];

    for (size_t i = 0; i < sizeof(len); i++)
        len[i] = (uint8_t)((uint64_t)s.len >> (56 - 8 * i));
    SHA256Update(hash, len, sizeof(len));
    hash_add(hash, s);
}

/* Begin one of the two hashes of an HMAC.  Rule: RFC 2104. */
static void
hmac_begin(SHA2_CTX *hash, const uint8_t key[SHA256_BLOCK_LENGTH], uint8_t pad)
{
    uint8_t block[SHA256_BLOCK_LENGTH];

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = key[i] ^ pad;
    SHA256Init(hash);
    SHA256Update(hash, block, sizeof(block));
    explicit_bzero(block, sizeof(block));
}

/*
 * Version 2: HMAC-SHA-256, keyed with the token, of operation, path, username
 * and expiration, each with its length: no field can pass for another.
 */
static void
digest_v2(const struct access_token *t, const struct access_signature *sig,
          uint8_t digest[SHA256_DIGEST_LENGTH])
{
    uint8_t key[SHA256_BLOCK_LENGTH] = {0};
    char buf[32];
    SHA2_CTX hash;

    if (t->len <= sizeof(key)) {
        memcpy(key, t->value, t->len);
    } else {
        SHA256Init(&hash);
        hash_add(&hash, (struct str){t->value, t->len});
        SHA256Final(key, &hash);
    }
    hmac_begin(&hash, key, 0x36);
    hash_add_field(&hash, sig->write ? STR("write") : STR("read"));
    hash_add_field(&hash, sig->path);
    hash_add_field(&hash, sig->username);
    hash_add_field(&hash, expiration_text(sig, buf, sizeof(buf)));
    SHA256Final(digest, &hash);
    hmac_begin(&hash, key, 0x5c);
    SHA256Update(&hash, digest, SHA256_DIGEST_LENGTH);
    SHA256Final(digest, &hash);
    explicit_bzero(&hash, sizeof(hash));
    explicit_bzero(key, sizeof(key));
}

static bool
signature_matches(const struct access_token *t,
                  const struct access_signature *sig)
{
    volatile unsigned char difference = 0;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    char wanted[SIGNATURE_LEN + 1];

    if (sig->signature.len != SIGNATURE_LEN)
        return false;
    if (str_starts(sig->signature, "v1_"))
        digest_v1(t, sig, digest);
    else if (str_starts(sig->signature, "v2_"))
        digest_v2(t, sig, digest);
    else
        return false;
    (void)base64_encode(wanted + PREFIX_LEN, digest, sizeof(digest));
    for (size_t i = PREFIX_LEN; i < SIGNATURE_LEN; i++)
        difference |= (unsigned char)(wanted[i] ^ sig->signature.data[i]);
    explicit_bzero(digest, sizeof(digest));
    explicit_bzero(wanted, sizeof(wanted));
    return difference == 0;
}

int
access_check_file(const struct access_token *t, struct str header,
                  const struct access_signature *sig, int64_t now_s,
                  struct status *st)
{
    if (!access_token_is_set(t))
        return 0;
    if (header.len > 0) {
        if (access_token_equals(t, header))
            return 0;
        return status_set(st, RPC_UNAUTHENTICATED,
                          "access token present in header but does not match");
    }
    if (sig->signature.data == NULL)
        return status_set(st, RPC_UNAUTHENTICATED,
                          "missing signature query parameter");
    if (!signature_matches(t, sig))
        return status_set(st, RPC_UNAUTHENTICATED, "invalid signature");
    if (sig->has_expiration && sig->expiration < now_s)
        return status_set(st, RPC_UNAUTHENTICATED,
                          "signature is already expired");
    return 0;
}
