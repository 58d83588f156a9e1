/*
 * From the message of the file to the rules of the compiler.
 */
#include "api/profile_read.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "connect/json_read.h"
#include "limits.h"
#include "seccomp.pb-c.h"
#include "security/seccomp_compile.h"

/* Of the message, the rules and their tests. */
#define ARENA_BYTES ((size_t)16 * LIMIT_SECCOMP_FILE_BYTES)

#define ERRNO_MAX 4095

struct profile_text {
    const Seccomp__Profile *message;
    struct arena *arena;
    uint32_t default_errno;
    struct seccomp_rule *rules;
    size_t rule_count;
    struct status *st;
};

static int
refuse(const struct profile_text *p, const char *what, const char *value)
{
    return status_set(p->st, RPC_FAILED_PRECONDITION, "%s: \"%.64s\"", what,
                      value);
}

static bool
list_has(char **list, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], word) == 0)
            return true;
    return false;
}

/* Where machines are listed, ours has to be one of them. */
static int
check_machine(const struct profile_text *p)
{
    const Seccomp__Profile *m = p->message;
    bool found = m->n_architectures == 0 && m->n_arch_map == 0;

    found = found ||
            list_has(m->architectures, m->n_architectures, seccomp_machine());
    for (size_t i = 0; i < m->n_arch_map; i++)
        found = found ||
                strcmp(m->arch_map[i]->architecture, seccomp_machine()) == 0;
    return found ? 0
                 : refuse(p, "no rules for this machine", seccomp_machine());
}

static int
read_action(const struct profile_text *p, const char *name, uint32_t err,
            uint32_t *ret)
{
    if (err > ERRNO_MAX)
        return refuse(p, "errnoRet is too large", name);
    if (!seccomp_action(name, err, ret))
        return refuse(p, "unsupported action", name);
    return 0;
}

/* Whether Docker would take the rule for a command without capabilities. */
static bool
rule_counts(const Seccomp__Profile__Rule *r)
{
    const Seccomp__Profile__Condition *with = r->includes;
    const Seccomp__Profile__Condition *without = r->excludes;

    if (with != NULL &&
        (with->n_caps > 0 ||
         (with->n_arches > 0 &&
          !list_has(with->arches, with->n_arches, seccomp_machine_go()))))
        return false;
    return without == NULL ||
           !list_has(without->arches, without->n_arches, seccomp_machine_go());
}

static int
read_tests(const struct profile_text *p, const Seccomp__Profile__Rule *r,
           struct seccomp_test *tests, bool *ret_repeated)
{
    unsigned int seen = 0;

    *ret_repeated = false;
    for (size_t i = 0; i < r->n_args; i++) {
        const Seccomp__Profile__Argument *a = r->args[i];

        if (a->index >= SECCOMP_ARGS)
            return refuse(p, "index of an argument is too large", a->op);
        tests[i] = (struct seccomp_test){
            .arg = a->index, .value = a->value, .value_two = a->value_two};
        if (!seccomp_compare(a->op, &tests[i].compare))
            return refuse(p, "unsupported op", a->op);
        *ret_repeated = *ret_repeated || (seen >> a->index & 1) != 0;
        seen |= 1U << a->index;
    }
    return 0;
}

static int
add_rule(struct profile_text *p, const struct seccomp_rule *rule)
{
    if (p->rule_count == LIMIT_SECCOMP_RULES)
        return refuse(p, "too many rules", rule->names[0]);
    p->rules[p->rule_count++] = *rule;
    return 0;
}

static int
read_rule(struct profile_text *p, const Seccomp__Profile__Rule *r)
{
    struct seccomp_test *tests =
        arena_alloc(p->arena, r->n_args * sizeof(*tests) + 1);
    struct seccomp_rule rule = {
        .names = (const char *const *)r->names,
        .name_count = r->n_names,
        .tests = tests,
        .test_count = r->n_args,
    };
    uint32_t err =
        r->_errno_ret_case == SECCOMP__PROFILE__RULE___ERRNO_RET_ERRNO_RET
            ? r->errno_ret
            : p->default_errno;
    bool repeated;

    if (tests == NULL)
        return refuse(p, "too large", "args");
    if (r->n_names == 0) {
        rule.names = (const char *const *)&r->name;
        rule.name_count = 1;
    }
    if (read_action(p, r->action, err, &rule.action) < 0 ||
        read_tests(p, r, tests, &repeated) < 0)
        return -1;
    if (!rule_counts(r))
        return 0;
    if (!repeated)
        return add_rule(p, &rule);
    /* Tests that name an argument twice are alternatives, as in runc. */
    rule.test_count = 1;
    for (size_t i = 0; i < r->n_args; i++) {
        rule.tests = &tests[i];
        if (add_rule(p, &rule) < 0)
            return -1;
    }
    return 0;
}

static int
compile(struct profile_text *p, struct sock_fprog *ret)
{
    const Seccomp__Profile *m = p->message;
    uint32_t action = 0;
    int r;

    p->default_errno =
        m->_default_errno_ret_case ==
                SECCOMP__PROFILE___DEFAULT_ERRNO_RET_DEFAULT_ERRNO_RET
            ? m->default_errno_ret
            : EPERM;
    if (check_machine(p) < 0 ||
        read_action(p, m->default_action, p->default_errno, &action) < 0)
        return -1;
    p->default_errno = EPERM;
    p->rules = arena_alloc(p->arena, LIMIT_SECCOMP_RULES * sizeof(*p->rules));
    if (p->rules == NULL)
        return refuse(p, "too large", "syscalls");
    for (size_t i = 0; i < m->n_syscalls; i++)
        if (read_rule(p, m->syscalls[i]) < 0)
            return -1;
    r = seccomp_compile(action, p->rules, p->rule_count, ret);
    return r < 0 ? status_errno(p->st, RPC_FAILED_PRECONDITION, -r,
                                "cannot be compiled")
                 : 0;
}

int
profile_read(char *text, size_t len, struct sock_fprog *ret, struct status *st)
{
    struct arena arena;
    struct profile_text p = {.arena = &arena, .st = st};
    int r = -1;

    arena_init(&arena, ARENA_BYTES);
    p.message = (const Seccomp__Profile *)json_read(
        &seccomp__profile__descriptor, text, len, JSON_RULES_REST, &arena, st);
    if (p.message != NULL)
        r = compile(&p, ret);
    st->code = r < 0 ? RPC_FAILED_PRECONDITION : RPC_OK;
    arena_done(&arena);
    return r;
}
