/*
 * Profiles from files: what rules mean, against a plain reading of them, and
 * what is refused.
 */
#include "api/profile_read.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/scope.h"
#include "filter_run.h"
#include "limits.h"
#include "security/seccomp_compile.h"

#ifdef __x86_64__
#define MACHINE AUDIT_ARCH_X86_64
#define FOREIGN "SCMP_ARCH_AARCH64"
#else
#define MACHINE AUDIT_ARCH_AARCH64
#define FOREIGN "SCMP_ARCH_X86_64"
#endif

#define ALLOW  SECCOMP_RET_ALLOW
#define ERR(n) (SECCOMP_RET_ERRNO | (uint32_t)(n))

static struct sock_fprog program;

static uint32_t
fate(long number, uint64_t arg0, uint64_t arg1)
{
    struct seccomp_data call = {
        .nr = (int)number, .arch = MACHINE, .args = {arg0, arg1}};

    return filter_run(&program, &call);
}

static void
done(void)
{
    free(program.filter);
    program = (struct sock_fprog){0};
}

static int
read_text(const char *text, struct status *st)
{
    char *copy = strdup(text);
    int r = profile_read(copy, strlen(copy), &program, st);

    free(copy);
    return r;
}

static void
good(const char *text)
{
    struct status st = {0};

    done();
    if (read_text(text, &st) < 0)
        fail_msg("%s", status_message(&st));
    assert_true(filter_is_valid(&program));
}

static void
bad(const char *text, const char *reason)
{
    struct status st = {0};

    assert_int_equal(read_text(text, &st), -1);
    assert_int_equal(st.code, RPC_FAILED_PRECONDITION);
    if (strstr(status_message(&st), reason) == NULL)
        fail_msg("%s", status_message(&st));
    status_done(&st);
}

#define RULE(text) \
    "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[" text "]}"

static void
test_actions(void **state)
{
    (void)state;
    good("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":99,"
         "\"syscalls\":["
         "{\"names\":[\"read\",\"write\",\"nosuch\",\"\"],"
         "\"action\":\"SCMP_ACT_ALLOW\"},"
         "{\"names\":[\"close\"],\"action\":\"SCMP_ACT_ERRNO\"},"
         "{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":0},"
         "{\"name\":\"fsync\",\"action\":\"SCMP_ACT_KILL\",\"args\":null},"
         "{\"names\":[\"sync\"],\"action\":\"SCMP_ACT_KILL_PROCESS\"},"
         "{\"names\":[\"dup3\"],\"action\":\"SCMP_ACT_KILL_THREAD\"},"
         "{\"names\":[\"getpid\"],\"action\":\"SCMP_ACT_LOG\"},"
         "{\"names\":[\"gettid\"],\"action\":\"SCMP_ACT_TRAP\"},"
         "{\"names\":[\"read\"],\"action\":\"SCMP_ACT_KILL\"}],"
         "\"flags\":[],\"somethingElse\":{\"a\":1}}");
    assert_int_equal(fate(SYS_read, 0, 0), ALLOW);
    assert_int_equal(fate(SYS_write, 0, 0), ALLOW);
    assert_int_equal(fate(SYS_close, 0, 0), ERR(EPERM));
    assert_int_equal(fate(SYS_dup, 0, 0), ERR(0));
    assert_int_equal(fate(SYS_fsync, 0, 0), SECCOMP_RET_KILL_THREAD);
    assert_int_equal(fate(SYS_sync, 0, 0), SECCOMP_RET_KILL_PROCESS);
    assert_int_equal(fate(SYS_dup3, 0, 0), SECCOMP_RET_KILL_THREAD);
    assert_int_equal(fate(SYS_getpid, 0, 0), SECCOMP_RET_LOG);
    assert_int_equal(fate(SYS_gettid, 0, 0), SECCOMP_RET_TRAP);
    assert_int_equal(fate(SYS_openat, 0, 0), ERR(99));
    /* Newer than the names that we have. */
    assert_int_equal(fate(2000, 0, 0), ERR(ENOSYS));
    assert_int_equal(fate(0x40000000, 0, 0), SECCOMP_RET_KILL_PROCESS);
    done();
}

static void
test_other_machine(void **state)
{
    struct seccomp_data call = {.nr = SYS_read, .arch = AUDIT_ARCH_I386};

    (void)state;
    good(RULE(""));
    assert_int_equal(filter_run(&program, &call), SECCOMP_RET_KILL_PROCESS);
    assert_int_equal(fate(2000, 0, 0), ALLOW);
    good("{\"defaultAction\":\"SCMP_ACT_LOG\",\"architectures\":"
         "[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_AARCH64\",\"SCMP_ARCH_X86\"]}");
    good("{\"defaultAction\":\"SCMP_ACT_LOG\",\"archMap\":["
         "{\"architecture\":\"SCMP_ARCH_X86_64\",\"subArchitectures\":[]},"
         "{\"architecture\":\"SCMP_ARCH_AARCH64\"}]}");
    bad("{\"defaultAction\":\"SCMP_ACT_LOG\",\"architectures\":"
        "[\"" FOREIGN "\"]}",
        "no rules for this machine");
    bad("{\"defaultAction\":\"SCMP_ACT_LOG\",\"archMap\":["
        "{\"architecture\":\"" FOREIGN "\"}]}",
        "no rules for this machine");
    done();
}

/* ---- tests of arguments -------------------------------------------------- */

static bool
holds(const struct seccomp_test *t, uint64_t value)
{
    switch (t->compare) {
    case SECCOMP_COMPARE_NE:
        return value != t->value;
    case SECCOMP_COMPARE_LT:
        return value < t->value;
    case SECCOMP_COMPARE_LE:
        return value <= t->value;
    case SECCOMP_COMPARE_EQ:
        return value == t->value;
    case SECCOMP_COMPARE_GE:
        return value >= t->value;
    case SECCOMP_COMPARE_GT:
        return value > t->value;
    case SECCOMP_COMPARE_MASKED_EQ:
        return (value & t->value) == t->value_two;
    }
    return false;
}

static uint32_t
plain_fate(uint32_t none, const struct seccomp_rule *rules, size_t count,
           const char *name, const struct seccomp_data *call)
{
    for (size_t i = 0; i < count; i++) {
        bool all = false;

        for (size_t j = 0; j < rules[i].name_count; j++)
            all = all || strcmp(rules[i].names[j], name) == 0;
        for (size_t j = 0; j < rules[i].test_count; j++)
            all = all &&
                  holds(&rules[i].tests[j], call->args[rules[i].tests[j].arg]);
        if (all)
            return rules[i].action;
    }
    return none;
}

static uint64_t
random_word(void)
{
    static const uint32_t words[] = {0, 1, 2, 5, 0x7fffffff, UINT32_MAX};
    size_t high = (size_t)rand() % ARRAY_LEN(words);
    size_t low = (size_t)rand() % ARRAY_LEN(words);

    return (uint64_t)words[high] << 32 | words[low];
}

/* Against the model: random rules, random calls. */
static void
test_rules_by_model(void **state)
{
    static const struct {
        const char *name;
        int number;
    } calls[] = {{"read", SYS_read},     {"write", SYS_write},
                 {"close", SYS_close},   {"ioctl", SYS_ioctl},
                 {"socket", SYS_socket}, {"openat", SYS_openat},
                 {"statx", SYS_statx},   {"clone3", SYS_clone3}};
    enum { RULES = 12 };

    (void)state;
    srand(11);
    for (int round = 0; round < 3000; round++) {
        struct seccomp_rule rules[RULES];
        struct seccomp_test tests[RULES][SECCOMP_ARGS];
        const char *names[RULES][2];
        size_t count = (size_t)rand() % (RULES + 1);

        for (size_t i = 0; i < count; i++) {
            for (size_t j = 0; j < 2; j++)
                names[i][j] = calls[(size_t)rand() % ARRAY_LEN(calls)].name;
            for (size_t j = 0; j < SECCOMP_ARGS; j++)
                tests[i][j] = (struct seccomp_test){
                    .arg = (uint32_t)rand() % SECCOMP_ARGS,
                    .compare = (enum seccomp_compare)(
                        rand() % (SECCOMP_COMPARE_MASKED_EQ + 1)),
                    .value = random_word(),
                    .value_two = random_word()};
            rules[i] = (struct seccomp_rule){
                names[i], (size_t)rand() % 3, ERR(i + 1), tests[i],
                (size_t)(rand() % 2 == 0 ? 0 : rand() % (SECCOMP_ARGS + 1))};
        }
        done();
        assert_int_equal(seccomp_compile(ALLOW, rules, count, &program), 0);
        assert_true(filter_is_valid(&program));
        for (int i = 0; i < 50; i++) {
            size_t which = (size_t)rand() % ARRAY_LEN(calls);
            struct seccomp_data call = {.nr = calls[which].number,
                                        .arch = MACHINE};

            for (size_t j = 0; j < SECCOMP_ARGS; j++)
                call.args[j] = random_word();
            assert_int_equal(
                filter_run(&program, &call),
                plain_fate(ALLOW, rules, count, calls[which].name, &call));
        }
    }
    done();
}

static void
test_arguments(void **state)
{
    (void)state;
    good(RULE("{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ERRNO\","
              "\"args\":[{\"index\":0,\"value\":40,\"op\":\"SCMP_CMP_EQ\"}]},"
              "{\"names\":[\"ioctl\"],\"action\":\"SCMP_ACT_ERRNO\","
              "\"args\":[{\"index\":1,\"value\":18446744073709551615,"
              "\"valueTwo\":7,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}"));
    assert_int_equal(fate(SYS_socket, 40, 0), ERR(EPERM));
    assert_int_equal(fate(SYS_socket, 41, 0), ALLOW);
    assert_int_equal(fate(SYS_ioctl, 0, 7), ERR(EPERM));
    assert_int_equal(fate(SYS_ioctl, 7, 0), ALLOW);
    /* One argument named twice: either. */
    good(RULE("{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ERRNO\","
              "\"args\":[{\"index\":0,\"value\":40,\"op\":\"SCMP_CMP_EQ\"},"
              "{\"index\":0,\"value\":38,\"op\":\"SCMP_CMP_EQ\"}]}"));
    assert_int_equal(fate(SYS_socket, 40, 0), ERR(EPERM));
    assert_int_equal(fate(SYS_socket, 38, 0), ERR(EPERM));
    assert_int_equal(fate(SYS_socket, 39, 0), ALLOW);
    /* Two arguments: both. */
    good(RULE("{\"names\":[\"socket\"],\"action\":\"SCMP_ACT_ERRNO\","
              "\"args\":[{\"index\":0,\"value\":40,\"op\":\"SCMP_CMP_EQ\"},"
              "{\"index\":1,\"value\":1,\"op\":\"SCMP_CMP_GT\"}]}"));
    assert_int_equal(fate(SYS_socket, 40, 1), ALLOW);
    assert_int_equal(fate(SYS_socket, 40, 2), ERR(EPERM));
    done();
}

static void
test_conditions(void **state)
{
    (void)state;
    good(RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ERRNO\","
              "\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}},"
              "{\"names\":[\"write\"],\"action\":\"SCMP_ACT_ERRNO\","
              "\"excludes\":{\"caps\":[\"CAP_SYS_ADMIN\"]}},"
              "{\"names\":[\"close\"],\"action\":\"SCMP_ACT_ERRNO\","
              "\"includes\":{\"arches\":[\"amd64\",\"arm64\"],"
              "\"minKernel\":\"4.8\"}},"
              "{\"names\":[\"dup\"],\"action\":\"SCMP_ACT_ERRNO\","
              "\"includes\":{\"arches\":[\"s390x\"]}},"
              "{\"names\":[\"dup3\"],\"action\":\"SCMP_ACT_ERRNO\","
              "\"excludes\":{\"arches\":[\"arm64\",\"amd64\"]}}"));
    assert_int_equal(fate(SYS_read, 0, 0), ALLOW);
    assert_int_equal(fate(SYS_write, 0, 0), ERR(EPERM));
    assert_int_equal(fate(SYS_close, 0, 0), ERR(EPERM));
    assert_int_equal(fate(SYS_dup, 0, 0), ALLOW);
    assert_int_equal(fate(SYS_dup3, 0, 0), ALLOW);
    done();
}

static void
test_refused(void **state)
{
    (void)state;
    bad("", "unexpected");
    bad("{\"defaultAction\":", "unexpected");
    bad("[]", "");
    bad("{}", "unsupported action: \"\"");
    bad("{\"defaultAction\":\"SCMP_ACT_NOTIFY\"}",
        "unsupported action: \"SCMP_ACT_NOTIFY\"");
    bad("{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":4096}",
        "errnoRet is too large");
    bad(RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_TRACE\"}"),
        "unsupported action: \"SCMP_ACT_TRACE\"");
    bad(RULE("{\"names\":[\"read\"],\"action\":\"ALLOW\"}"),
        "unsupported action: \"ALLOW\"");
    bad(RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_LOG\","
             "\"args\":[{\"index\":6,\"op\":\"SCMP_CMP_EQ\"}]}"),
        "index of an argument is too large");
    bad(RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_LOG\","
             "\"args\":[{\"index\":0,\"op\":\"SCMP_CMP_XX\"}]}"),
        "unsupported op: \"SCMP_CMP_XX\"");
    bad(RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_LOG\","
             "\"args\":[{\"index\":0,\"value\":-1,\"op\":\"SCMP_CMP_EQ\"}]}"),
        "");
}

static void
test_bounds(void **state)
{
    static const char rule[] = "{\"name\":\"read\",\"action\":\"SCMP_ACT_LOG\","
                               "\"args\":[{\"op\":\"SCMP_CMP_EQ\"}]},";
    size_t count = LIMIT_SECCOMP_RULES + 1;
    char *text = malloc(count * sizeof(rule) + 128);
    char *at;

    (void)state;
    assert_non_null(text);
    at = stpcpy(text, "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[");
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, rule);
    (void)strcpy(at - 1, "]}");
    bad(text, "too many rules");
    /* As many as there may be, but more steps than the kernel takes. */
    (void)strcpy(at - 1 - strlen(rule), "]}");
    bad(text, "cannot be compiled");
    free(text);
    done();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_other_machine),
        cmocka_unit_test(test_rules_by_model),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
