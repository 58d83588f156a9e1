/*
 * One file read: what is refused, parts, files that change, and the disk.
 */
#include "filesystem/reader.h"

#include <errno.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/scope.h"
#include "scratch.h"

/* A path that outlives the eight of scratch(). */
static char *
keep(const char *name)
{
    char *path = strdup(scratch("%s", name));

    assert_non_null(path);
    return path;
}

struct read_case {
    const char *name;
    enum rpc_code code;
    const char *text; /* with one %s for the path each time */
};

static const struct read_case read_cases[] = {
    {"missing", RPC_NOT_FOUND, "path '%s' does not exist"},
    {"dangling", RPC_NOT_FOUND, "path '%s' does not exist"},
    {"directory", RPC_INVALID_ARGUMENT, "path '%s' is a directory"},
    {"fifo", RPC_INVALID_ARGUMENT, "path '%s' is not a regular file"},
    {"self", RPC_INVALID_ARGUMENT,
     "error checking if path exists '%s': stat %s: too many levels of "
     "symbolic links"},
    {"file/below", RPC_INTERNAL,
     "error checking if path exists '%s': stat %s: not a directory"},
};

static void
test_what_is_not_read(void **state)
{
    (void)state;
    scratch_dir("directory");
    scratch_file("file", "x", 0600);
    scratch_link("nothing", "dangling");
    scratch_link("self", "self");
    assert_int_equal(mkfifo(scratch("fifo"), 0600), 0);
    for (size_t i = 0; i < ARRAY_LEN(read_cases); i++) {
        const struct read_case *c = &read_cases[i];
        SCOPE(status_done) struct status st = {0};
        SCOPE(scope_free) char *path = keep(c->name);
        struct file_reader r;
        char text[4096];
        const char *second = strstr(c->text, "stat %s");

        if (second == NULL)
            (void)snprintf(text, sizeof(text), "path '%s'%s", path,
                           strstr(c->text, "%s'") + 3);
        else
            (void)snprintf(text, sizeof(text),
                           "error checking if path exists '%s': stat %s%s",
                           path, path, second + 7);
        assert_int_equal(file_reader_open(&r, path, &st), -1);
        scratch_expect_status(&st, c->code, text);
        file_reader_done(&r);
    }
}

static void
test_read(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(buf_done) struct buf out = {0};
    SCOPE(scope_free) char *path = keep("read");
    struct file_reader r;
    char text[8];

    (void)state;
    scratch_file("read", "0123456789", 0600);
    assert_int_equal(file_reader_open(&r, path, &st), 0);
    assert_int_equal(r.size, 10);
    assert_int_equal(file_reader_peek(&r, text, 3), 3);
    assert_memory_equal(text, "012", 3);
    assert_int_equal(file_reader_read(&r, &out, 4), 4);
    assert_int_equal(file_reader_read(&r, &out, 100), 6);
    assert_int_equal(file_reader_read(&r, &out, 100), 0);
    assert_memory_equal(buf_data(&out), "0123456789", 10);
    file_reader_done(&r);
}

static void
test_read_made_up_files(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(buf_done) struct buf out = {0};
    struct file_reader r;

    (void)state;
    assert_int_equal(file_reader_open(&r, "/proc/self/stat", &st), 0);
    assert_int_equal(r.size, -1);
    assert_true(file_reader_read(&r, &out, 65536) > 0);
    assert_int_equal(file_reader_read(&r, &out, 65536), 0);
    file_reader_done(&r);

    assert_int_equal(file_reader_open(&r, "/dev/null", &st), 0);
    assert_int_equal(r.size, -1);
    assert_int_equal(file_reader_read(&r, &out, 10), 0);
    file_reader_done(&r);

    assert_int_equal(file_reader_open(&r, "/dev/zero", &st), 0);
    r.left = 15;
    assert_int_equal(file_reader_read(&r, &out, 10), 10);
    assert_int_equal(file_reader_read(&r, &out, 10), 5);
    assert_int_equal(file_reader_read(&r, &out, 10), 0);
    file_reader_done(&r);
}

static void
test_read_a_part(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(buf_done) struct buf out = {0};
    SCOPE(scope_free) char *path = keep("part");
    struct file_reader r;

    (void)state;
    scratch_file("part", "0123456789", 0600);
    assert_int_equal(file_reader_open(&r, path, &st), 0);
    file_reader_seek(&r, 7, 2);
    assert_int_equal(file_reader_read(&r, &out, 100), 2);
    assert_int_equal(r.left, 0);
    file_reader_seek(&r, 1, 3);
    assert_int_equal(file_reader_read(&r, &out, 2), 2);
    assert_int_equal(r.left, 1);
    assert_memory_equal(buf_data(&out), "7812", 4);
    file_reader_done(&r);
}

/* What is appended meanwhile does not belong to it, what is cut is missed. */
static void
test_read_while_it_changes(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(buf_done) struct buf out = {0};
    SCOPE(scope_free) char *path = keep("changing");
    struct file_reader r;

    (void)state;
    scratch_file("changing", "0123456789", 0600);
    assert_int_equal(file_reader_open(&r, path, &st), 0);
    assert_int_equal(truncate(path, 20), 0);
    assert_int_equal(file_reader_read(&r, &out, 4), 4);
    assert_int_equal(file_reader_read(&r, &out, 100), 6);
    assert_int_equal(r.left, 0);
    file_reader_seek(&r, 0, 10);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(file_reader_read(&r, &out, 100), 3);
    assert_int_equal(r.left, 7);
    file_reader_done(&r);
}

/* Whoever opens a pipe to write waits for a reader, and we are none. */
static void
test_pipes_are_not_opened(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *path = keep("pipe");
    SCOPE(fd_close) int log = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    struct file_reader r;
    char event[256];

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_true(inotify_add_watch(log, path, IN_OPEN) >= 0);
    assert_int_equal(file_reader_open(&r, path, &st), -1);
    assert_int_equal(read(log, event, sizeof(event)), -1);
    assert_int_equal(errno, EAGAIN);
    file_reader_done(&r);
}

/* Pages of a file that are in memory, by mincore(2). */
static size_t
resident_pages(int fd, size_t len)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t pages = len / page;
    unsigned char *in_memory = calloc(pages, 1);
    void *map = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
    size_t count = 0;

    assert_non_null(in_memory);
    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mincore(map, len, in_memory), 0);
    for (size_t i = 0; i < pages; i++)
        count += in_memory[i] & 1U;
    (void)munmap(map, len);
    free(in_memory);
    return count;
}

/* The first byte that is read of a cold file brings in far more. */
static void
test_cold_file_is_asked_for_ahead(void **state)
{
    enum { LEN = 8 * 1024 * 1024, WISH = 3 * 1024 * 1024 };
    SCOPE(status_done) struct status st = {0};
    SCOPE(buf_done) struct buf out = {0};
    SCOPE(scope_free) char *path = keep("cold");
    SCOPE(scope_free) char *data = calloc(1, LEN);
    struct file_reader r;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int rounds = 0;

    (void)state;
    scratch_file("cold", "", 0600);
    assert_non_null(data);
    assert_int_equal(file_reader_open(&r, path, &st), 0);
    file_reader_done(&r);
    r.fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(r.fd, data, LEN), LEN);
    assert_int_equal(fsync(r.fd), 0);
    assert_int_equal(posix_fadvise(r.fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    file_reader_done(&r);

    assert_int_equal(file_reader_open(&r, path, &st), 0);
    if (resident_pages(r.fd, LEN) > 0) {
        file_reader_done(&r);
        skip(); /* a file system that lives in memory */
    }
    assert_int_equal(file_reader_read(&r, &out, 1), 1);
    while (resident_pages(r.fd, LEN) < WISH / page && rounds++ < 10000)
        (void)usleep(1000);
    assert_true(resident_pages(r.fd, LEN) >= WISH / page);
    file_reader_done(&r);
}

static void
test_send(void **state)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(scope_free) char *path = keep("send");
    struct file_reader r;
    struct file_sent sent;
    int ends[2];
    char text[16];

    (void)state;
    scratch_file("send", "0123456789", 0600);
    assert_int_equal(file_reader_open(&r, path, &st), 0);
    assert_int_equal(socketpair(AF_UNIX,
                                SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                                ends),
                     0);
    sent = file_reader_send(&r, ends[0], 4);
    assert_int_equal(sent.len, 4);
    assert_int_equal(sent.err, 0);
    assert_int_equal(r.left, 6);
    /* The file ends before what was promised. */
    assert_int_equal(truncate(path, 7), 0);
    sent = file_reader_send(&r, ends[0], 100);
    assert_int_equal(sent.len, 3);
    assert_int_equal(sent.err, -ENODATA);
    assert_int_equal(r.left, 3);
    assert_int_equal(read(ends[1], text, sizeof(text)), 7);
    assert_memory_equal(text, "0123456", 7);

    while (sent.err != -EAGAIN) {
        file_reader_seek(&r, 0, 7);
        sent = file_reader_send(&r, ends[0], 10);
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
    file_reader_done(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_read),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_made_up_files),
        cmocka_unit_test(test_read_a_part),
        cmocka_unit_test(test_read_while_it_changes),
        cmocka_unit_test(test_pipes_are_not_opened),
        cmocka_unit_test(test_cold_file_is_asked_for_ahead),
        cmocka_unit_test(test_send),
    };

    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
