/*
 * The filters: every call that they refuse, and what they leave alone.
 *
 * A filter is for good, so each is tried in a child.  What is refused is
 * called such that without a filter it fails otherwise, and does nothing.
 */
#include "security/seccomp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/scope.h"
#include "loop/loop.h"
#include "loop/spawner.h"
#include "loop/worker.h"
#include "security/self.h"

#define NONE  "/nonexistent/place"
#define BOTH  (PROT_WRITE | PROT_EXEC)
#define ABOVE ((long)1 << 32) /* bits that the kernel does not look at */

enum who {
    LOOP = 1,
    PRIVILEGED = 2,
    HARDENED = 4,
    AGENT = LOOP | PRIVILEGED,
    UNMOUNTED = LOOP | HARDENED,
    ALL = LOOP | PRIVILEGED | HARDENED,
};

struct attempt {
    const char *name;
    unsigned int refused; /* enum who */
    long number;
    long args[6];
};

#define A(text) ((long)(text))

static const struct attempt attempts[] = {
    {"acct", ALL, SYS_acct, {A(NONE)}},
    {"add_key", ALL, SYS_add_key, {0}},
    {"bpf", ALL, SYS_bpf, {-1}},
    {"chroot", ALL, SYS_chroot, {A(NONE)}},
    {"delete_module", ALL, SYS_delete_module, {0}},
    {"finit_module", ALL, SYS_finit_module, {-1}},
    {"init_module", ALL, SYS_init_module, {0}},
    {"io_uring_enter", ALL, SYS_io_uring_enter, {-1}},
    {"io_uring_register", ALL, SYS_io_uring_register, {-1}},
    {"io_uring_setup", ALL, SYS_io_uring_setup, {0}},
#ifdef __x86_64__
    {"ioperm", ALL, SYS_ioperm, {0, 0, 0}},
    {"iopl", ALL, SYS_iopl, {4}},
#endif
    {"kexec_file_load", ALL, SYS_kexec_file_load, {-1, -1, 0, 0, 0xffff}},
    {"kexec_load", ALL, SYS_kexec_load, {0, 100000, 0, 0}},
    {"keyctl", ALL, SYS_keyctl, {-1}},
    {"open_by_handle_at", ALL, SYS_open_by_handle_at, {-1, 0, 0}},
    {"perf_event_open", ALL, SYS_perf_event_open, {0}},
    {"pivot_root", ALL, SYS_pivot_root, {0}},
    {"process_vm_readv", ALL, SYS_process_vm_readv, {0, 0, 0, 0, 0, 1}},
    {"process_vm_writev", ALL, SYS_process_vm_writev, {0, 0, 0, 0, 0, 1}},
    {"ptrace", ALL, SYS_ptrace, {3, -1}},
    {"request_key", ALL, SYS_request_key, {0}},
    {"setns", ALL, SYS_setns, {-1}},
    {"swapoff", ALL, SYS_swapoff, {A(NONE)}},
    {"swapon", ALL, SYS_swapon, {A(NONE)}},
    {"unshare", ALL, SYS_unshare, {0}},
    {"userfaultfd", ALL, SYS_userfaultfd, {-1}},
    {"execve", AGENT, SYS_execve, {A(NONE)}},
    {"execveat", AGENT, SYS_execveat, {-1, A(NONE)}},
    {"personality", ALL, SYS_personality, {0}},
    {"personality unknown", ALL, SYS_personality, {ABOVE | 0xffffffff}},
    {"personality asked", 0, SYS_personality, {0xffffffff}},
    {"mmap", AGENT, SYS_mmap, {0, 4096, BOTH, MAP_PRIVATE, -1, 1}},
    {"mprotect", AGENT, SYS_mprotect, {4096, 0, BOTH | PROT_READ}},
    {"mprotect write", 0, SYS_mprotect, {4096, 0, PROT_WRITE}},
    {"mprotect execute", 0, SYS_mprotect, {4096, 0, PROT_EXEC}},
    {"pkey_mprotect", AGENT, SYS_pkey_mprotect, {4096, 0, BOTH, -1}},
    {"fsconfig", UNMOUNTED, SYS_fsconfig, {-1, -1}},
    {"fsmount", UNMOUNTED, SYS_fsmount, {-1}},
    {"fsopen", UNMOUNTED, SYS_fsopen, {0}},
    {"fspick", UNMOUNTED, SYS_fspick, {-1, 0, -1}},
    {"mount", UNMOUNTED, SYS_mount, {A(NONE), A(NONE), A("tmpfs")}},
    {"mount_setattr", UNMOUNTED, SYS_mount_setattr, {-1, A(NONE), -1}},
    {"move_mount", UNMOUNTED, SYS_move_mount, {-1, A(NONE), -1, A(NONE)}},
    {"open_tree", UNMOUNTED, SYS_open_tree, {-1, A(NONE), 2}},
    {"umount2", UNMOUNTED, SYS_umount2, {A(NONE)}},
    {"FIFREEZE", UNMOUNTED, SYS_ioctl, {-1, (long)FIFREEZE}},
    {"FITHAW", UNMOUNTED, SYS_ioctl, {-1, (long)FITHAW}},
    {"FITHAW more", UNMOUNTED, SYS_ioctl, {-1, ABOVE | (long)FITHAW}},
    {"FITRIM", 0, SYS_ioctl, {-1, (long)FITRIM}},
    {"clone NEWUSER",
     HARDENED,
     SYS_clone,
     {CLONE_NEWUSER | CLONE_FS | CLONE_SIGHAND}},
    {"clone NEWNET", HARDENED, SYS_clone, {CLONE_NEWNET | CLONE_SIGHAND}},
    {"clone NEWNS", HARDENED, SYS_clone, {CLONE_NEWNS | CLONE_SIGHAND}},
    {"clone NEWPID", HARDENED, SYS_clone, {CLONE_NEWPID | CLONE_SIGHAND}},
    {"clone NEWIPC", HARDENED, SYS_clone, {CLONE_NEWIPC | CLONE_SIGHAND}},
    {"clone NEWUTS", HARDENED, SYS_clone, {CLONE_NEWUTS | CLONE_SIGHAND}},
    {"clone NEWCGROUP", HARDENED, SYS_clone, {CLONE_NEWCGROUP | CLONE_SIGHAND}},
    {"clone", 0, SYS_clone, {CLONE_SIGHAND}},
};

static bool
is_sanitized(void)
{
    return seccomp_default_mode() == SECCOMP_OFF;
}

/* A filter survives for good: run `body` in a child, and get how it ended. */
static int
in_child(int (*body)(void *ctx), void *ctx)
{
    int status;
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(body(ctx));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void
put_on(enum who who)
{
    if (who == HARDENED) {
        (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0,
                    seccomp_hardened()) < 0)
            _exit(100);
    } else if (who != 0 &&
               seccomp_filter_thread(SECCOMP_ON, who == PRIVILEGED) < 0) {
        _exit(100);
    }
}

/* Whether a call is refused: by the filter, if it is not without one. */
static bool
is_refused(const struct attempt *a)
{
    return syscall(a->number, a->args[0], a->args[1], a->args[2], a->args[3],
                   a->args[4], a->args[5]) < 0 &&
           errno == EPERM;
}

static int
try_all(void *ctx)
{
    enum who who = *(enum who *)ctx;
    int wrong = 0;

    put_on(who);
    for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
        bool wanted = (attempts[i].refused & who) != 0;

        if (is_refused(&attempts[i]) == wanted)
            continue;
        (void)fprintf(stderr, "%s: %srefused to %d\n", attempts[i].name,
                      wanted ? "not " : "", (int)who);
        wrong = 1;
    }
    return wrong;
}

static void
expect_attempts(enum who who)
{
    int status;

    /* Where we are filtered already more is refused. */
    if (is_sanitized() || geteuid() != 0 || prctl(PR_GET_SECCOMP) != 0)
        skip();
    status = in_child(try_all, &who);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Else the other tests would prove nothing. */
static void
test_nothing_is_refused_without(void **state)
{
    (void)state;
    expect_attempts(0);
}

static void
test_loop(void **state)
{
    (void)state;
    expect_attempts(LOOP);
}

static void
test_privileged(void **state)
{
    (void)state;
    expect_attempts(PRIVILEGED);
}

static void
test_hardened(void **state)
{
    (void)state;
    expect_attempts(HARDENED);
}

static int
try_families(void *ctx)
{
    enum who who = *(enum who *)ctx;

    put_on(who);
    for (long family = -2; family < 70; family++) {
        bool allowed = family == AF_UNIX || family == AF_INET ||
                       family == AF_INET6 || family == AF_NETLINK ||
                       (family == AF_VSOCK && who != HARDENED);

        for (int above = 0; above < 2; above++) {
            /* A type that there is not: nothing is made. */
            long r =
                syscall(SYS_socket, above ? family | ABOVE : family, 15, 0);

            /* Nothing good comes of bits that do not count. */
            if ((above == 0 || !allowed) &&
                (r < 0 && errno == EPERM) == allowed)
                return 1;
        }
    }
    return 0;
}

static void
test_families(void **state)
{
    enum who who[] = {LOOP, PRIVILEGED, HARDENED};

    (void)state;
    if (is_sanitized())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(who); i++)
        assert_int_equal(in_child(try_families, &who[i]), 0);
}

/* What the agent, and a C library, do all the time. */
static int
live_on(void *ctx)
{
    int status;
    void *page;
    pid_t pid;
    int fd[2];

    put_on(*(enum who *)ctx);
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                -1, 0);
    if (page == MAP_FAILED || mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0)
        return 1;
    pid = fork();
    if (pid == 0)
        _exit(write(fd[0], "x", 1) == 1 ? 0 : 1);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return 2;
    if (*(enum who *)ctx == HARDENED)
        return execl("/bin/sh", "sh", "-c", "(exit 0) | cat; exit 0", NULL);
    return 0;
}

static void
test_life_goes_on(void **state)
{
    enum who who[] = {LOOP, PRIVILEGED, HARDENED};

    (void)state;
    if (is_sanitized())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(who); i++)
        assert_int_equal(in_child(live_on, &who[i]), 0);
}

#ifdef __x86_64__
static int
call_x32(void *ctx)
{
    put_on(*(enum who *)ctx);
    (void)syscall(0x40000000 | SYS_getpid);
    return 0;
}

static void
test_other_machines_kill(void **state)
{
    enum who who[] = {LOOP, PRIVILEGED, HARDENED};

    (void)state;
    if (is_sanitized())
        skip();
    for (size_t i = 0; i < ARRAY_LEN(who); i++) {
        int status = in_child(call_x32, &who[i]);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
}
#endif

static int
only_log(void *ctx)
{
    const enum seccomp_mode *mode = ctx;
    int filters;

    if (seccomp_filter_thread(*mode, false) < 0)
        return 100;
    filters = prctl(PR_GET_SECCOMP);
    if (syscall(SYS_unshare, 0) < 0)
        return 101;
    return filters;
}

static void
test_modes(void **state)
{
    enum seccomp_mode mode = SECCOMP_LOG;

    (void)state;
    if (is_sanitized())
        skip();
    assert_int_equal(WEXITSTATUS(in_child(only_log, &mode)), 2);
    mode = SECCOMP_OFF;
    assert_int_equal(WEXITSTATUS(in_child(only_log, &mode)), 0);
}

static int
filter_as_nobody(void *ctx)
{
    (void)ctx;
    if (geteuid() == 0 && syscall(SYS_setresuid, 65534, 65534, 65534) < 0)
        return 100;
    if (seccomp_filter_thread(SECCOMP_ON, false) < 0)
        return 101;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
                   syscall(SYS_unshare, 0) < 0
               ? 0
               : 1;
}

static void
test_without_rights(void **state)
{
    (void)state;
    if (is_sanitized())
        skip();
    assert_int_equal(in_child(filter_as_nobody, NULL), 0);
}

/* ---- the threads --------------------------------------------------------- */

static void
note_thread(void *ctx)
{
    *(long *)ctx = syscall(SYS_gettid);
}

static int
use_spawner(void *ctx)
{
    long direct = 0;
    long first = 0;
    long second = 0;

    (void)ctx;
    spawner_call(note_thread, &direct);
    if (spawner_start() < 0 || spawner_start() < 0)
        return 1;
    spawner_call(note_thread, &first);
    spawner_call(note_thread, &second);
    spawner_stop();
    spawner_stop();
    if (direct != getpid() || first == getpid() || first != second)
        return 2;
    spawner_call(note_thread, &direct);
    return direct == getpid() ? 0 : 3;
}

static void
test_spawner(void **state)
{
    (void)state;
    assert_int_equal(in_child(use_spawner, NULL), 0);
}

struct errand {
    struct job job;
    struct loop *loop;
    long thread;
    int filter;
};

static _Thread_local bool entered;

static void
on_enter(void *ctx)
{
    ++*(int *)ctx;
    entered = true;
}

static void
run_errand(struct job *job)
{
    struct errand *e = container_of(job, struct errand, job);

    e->thread = syscall(SYS_gettid);
    e->filter = prctl(PR_GET_SECCOMP);
    if (job->privileged != entered)
        e->filter = -1;
}

static void
errand_done(struct job *job)
{
    loop_stop(container_of(job, struct errand, job)->loop);
}

/* Privileged jobs run on a thread made by one without a filter. */
static int
use_privileged(void *ctx)
{
    struct loop *loop = loop_new();
    struct worker_pool *pool = worker_pool_new(loop, 2);
    struct errand plain = {.job = {.run = run_errand, .done = errand_done},
                           .loop = loop};
    struct errand high = plain;
    int count = 0;

    (void)ctx;
    high.job.privileged = true;
    if (spawner_start() < 0 || worker_pool_split(pool, on_enter, &count) < 0)
        return 1;
    if (!is_sanitized() && seccomp_filter_thread(SECCOMP_ON, false) < 0)
        return 2;
    if (worker_submit(pool, &plain.job) < 0 || loop_run(loop) < 0 ||
        worker_submit(pool, &high.job) < 0 || loop_run(loop) < 0)
        return 3;
    worker_pool_free(pool);
    loop_free(loop);
    spawner_stop();
    if (plain.thread == high.thread || count != 1)
        return 4;
    if (plain.filter != (is_sanitized() ? 0 : 2) || high.filter != 0)
        return 5;
    return 0;
}

static void
test_privileged_jobs(void **state)
{
    (void)state;
    assert_int_equal(in_child(use_privileged, NULL), 0);
}

/* ---- tier 0 -------------------------------------------------------------- */

static int
protect(void *ctx)
{
    static char secret[] = "SECRET=hunter2";
    static char path[] = "PATH=/bin";
    static char notify[] = "NOTIFY_SOCKET=@a";
    static char pathology[] = "PATHOLOGY=1";
    static char own[] = "ENVD_PORT=1";
    static char *vars[] = {secret, path, notify, pathology, own, NULL};
    struct rlimit core = {RLIM_INFINITY, RLIM_INFINITY};

    (void)ctx;
    (void)setrlimit(RLIMIT_CORE, &core);
    (void)getrlimit(RLIMIT_CORE, &core);
    environ = vars;
    self_protect();
    self_scrub_environment();
    if (environ[0] != path || environ[1] != notify || environ[2] != own ||
        environ[3] != NULL || *secret != '\0' || strstr(secret + 7, "h") ||
        strcmp(path, "PATH=/bin") != 0)
        return 1;
    if (prctl(PR_GET_DUMPABLE) != (geteuid() != 0 || is_sanitized() ? 1 : 0))
        return 2;
    return getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 &&
                   (geteuid() != 0 || core.rlim_max == RLIM_INFINITY)
               ? 0
               : 3;
}

static void
test_self(void **state)
{
    (void)state;
    assert_int_equal(in_child(protect, NULL), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_refused_without),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_privileged),
        cmocka_unit_test(test_hardened),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_life_goes_on),
#ifdef __x86_64__
        cmocka_unit_test(test_other_machines_kill),
#endif
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_without_rights),
        cmocka_unit_test(test_spawner),
        cmocka_unit_test(test_privileged_jobs),
        cmocka_unit_test(test_self),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
