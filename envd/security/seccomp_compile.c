/*
 * The program: a check of the machine, a binary search for the number of the
 * call, and at its leaves the tests of arguments.
 */
#include "security/seccomp_compile.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "limits.h"

#define SECCOMP_WANT_NAMES
#include "seccomp_filters.inc"

/* Numbers from here on are those of x32. */
#define NUMBER_X32 0x40000000U
/* What a tracer makes of a call that is not to be done. */
#define NUMBER_NONE 0xffffffffU

/* In a jump: behind the rule that is being written. */
#define NEXT_RULE 255

#define OFFSET_LOW(arg) \
    ((uint32_t)(offsetof(struct seccomp_data, args) + 8U * (arg)))
#define OFFSET_HIGH(arg) (OFFSET_LOW(arg) + 4U)

enum { CALLS = SYSCALL_LAST + 1, SET_BYTES = (CALLS + 7) / 8 };

/* Calls that one rule names. */
struct call_set {
    uint8_t bits[SET_BYTES];
};

/* Calls from `first` to the next range have the same fate. */
struct call_range {
    uint32_t first;
    size_t rule; /* the first that names them; rule_count: none does */
    bool tested;
};

struct compiler {
    uint32_t default_action;
    const struct seccomp_rule *rules;
    size_t rule_count;
    struct call_set *sets; /* by rule */
    struct call_range ranges[CALLS + 1];
    size_t range_count;
    struct sock_filter *steps;
    size_t count; /* may be more than there is room for */
};

bool
seccomp_action(const char *name, uint32_t err, uint32_t *ret)
{
    static const struct {
        const char *name;
        uint32_t action;
    } actions[] = {
        {"ALLOW", SECCOMP_RET_ALLOW},
        {"ERRNO", SECCOMP_RET_ERRNO},
        {"KILL", SECCOMP_RET_KILL_THREAD},
        {"KILL_PROCESS", SECCOMP_RET_KILL_PROCESS},
        {"KILL_THREAD", SECCOMP_RET_KILL_THREAD},
        {"LOG", SECCOMP_RET_LOG},
        {"TRAP", SECCOMP_RET_TRAP},
    };
    static const char prefix[] = "SCMP_ACT_";

    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (strcmp(name + sizeof(prefix) - 1, actions[i].name) != 0)
            continue;
        *ret = actions[i].action;
        if (*ret == SECCOMP_RET_ERRNO)
            *ret |= err;
        return true;
    }
    return false;
}

bool
seccomp_compare(const char *name, enum seccomp_compare *ret)
{
    static const char *const names[] = {
        [SECCOMP_COMPARE_NE] = "NE",
        [SECCOMP_COMPARE_LT] = "LT",
        [SECCOMP_COMPARE_LE] = "LE",
        [SECCOMP_COMPARE_EQ] = "EQ",
        [SECCOMP_COMPARE_GE] = "GE",
        [SECCOMP_COMPARE_GT] = "GT",
        [SECCOMP_COMPARE_MASKED_EQ] = "MASKED_EQ",
    };
    static const char prefix[] = "SCMP_CMP_";

    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(name + sizeof(prefix) - 1, names[i]) == 0) {
            *ret = (enum seccomp_compare)i;
            return true;
        }
    }
    return false;
}

const char *
seccomp_machine(void)
{
#ifdef __x86_64__
    return "SCMP_ARCH_X86_64";
#else
    return "SCMP_ARCH_AARCH64";
#endif
}

const char *
seccomp_machine_go(void)
{
#ifdef __x86_64__
    return "amd64";
#else
    return "arm64";
#endif
}

/* ---- which rules a call has ---------------------------------------------- */

static bool
set_has(const struct call_set *s, uint32_t call)
{
    return (s->bits[call / 8] >> (call % 8) & 1) != 0;
}

static void
set_add(struct call_set *s, const char *name)
{
    const char *known = syscall_names;

    if (*name == '\0')
        return;
    for (uint32_t call = 0; call < CALLS; call++) {
        if (strcmp(known, name) == 0) {
            s->bits[call / 8] |= (uint8_t)(1U << (call % 8));
            return;
        }
        known += strlen(known) + 1;
    }
}

/* The next rule, from `rule` on, that names a call. */
static size_t
rule_for(const struct compiler *c, size_t rule, uint32_t call)
{
    while (rule < c->rule_count && !set_has(&c->sets[rule], call))
        rule++;
    return rule;
}

static uint32_t
action_of(const struct compiler *c, size_t rule)
{
    return rule < c->rule_count ? c->rules[rule].action : c->default_action;
}

static void
find_ranges(struct compiler *c)
{
    for (uint32_t call = 0; call < CALLS; call++) {
        const struct call_range *last =
            c->range_count > 0 ? &c->ranges[c->range_count - 1] : NULL;
        size_t rule = rule_for(c, 0, call);
        bool tested = rule < c->rule_count && c->rules[rule].test_count > 0;

        if (last != NULL && !tested && !last->tested &&
            action_of(c, rule) == action_of(c, last->rule))
            continue;
        c->ranges[c->range_count++] = (struct call_range){call, rule, tested};
    }
}

/* ---- writing ------------------------------------------------------------- */

static void
write_jump(struct compiler *c, unsigned int code, uint32_t k, uint8_t jt,
           uint8_t jf)
{
    if (c->count < LIMIT_SECCOMP_STEPS)
        c->steps[c->count] = (struct sock_filter){(uint16_t)code, jt, jf, k};
    c->count++;
}

static void
write_step(struct compiler *c, unsigned int code, uint32_t k)
{
    write_jump(c, code, k, 0, 0);
}

static void
write_load(struct compiler *c, uint32_t offset)
{
    write_step(c, BPF_LD | BPF_W | BPF_ABS, offset);
}

static void
write_return(struct compiler *c, uint32_t action)
{
    write_step(c, BPF_RET | BPF_K, action);
}

#define IF_EQ (BPF_JMP | BPF_JEQ | BPF_K)
#define IF_GT (BPF_JMP | BPF_JGT | BPF_K)
#define IF_GE (BPF_JMP | BPF_JGE | BPF_K)

/* Equal, in the bits of a mask: go on, else to the next rule. */
static void
write_equal(struct compiler *c, uint32_t arg, uint64_t mask, uint64_t value)
{
    for (int high = 1; high >= 0; high--) {
        uint32_t bits = (uint32_t)(mask >> (32 * high));

        write_load(c, high ? OFFSET_HIGH(arg) : OFFSET_LOW(arg));
        if (bits != UINT32_MAX)
            write_step(c, BPF_ALU | BPF_AND | BPF_K, bits);
        write_jump(c, IF_EQ, (uint32_t)(value >> (32 * high)), 0, NEXT_RULE);
    }
}

/*
 * Greater, or greater or equal (`last` compares the low words): go on, else to
 * the next rule; and the other way round when `not`.
 */
static void
write_greater(struct compiler *c, const struct seccomp_test *t,
              unsigned int last, bool not )
{
    uint32_t high = (uint32_t)(t->value >> 32);
    uint32_t low = (uint32_t)t->value;

    write_load(c, OFFSET_HIGH(t->arg));
    write_jump(c, IF_GT, high, not ? NEXT_RULE : 3, 0);
    write_jump(c, IF_EQ, high, 0, not ? 2 : NEXT_RULE);
    write_load(c, OFFSET_LOW(t->arg));
    write_jump(c, last, low, not ? NEXT_RULE : 0, not ? 0 : NEXT_RULE);
}

static void
write_test(struct compiler *c, const struct seccomp_test *t)
{
    switch (t->compare) {
    case SECCOMP_COMPARE_NE:
        write_load(c, OFFSET_HIGH(t->arg));
        write_jump(c, IF_EQ, (uint32_t)(t->value >> 32), 0, 2);
        write_load(c, OFFSET_LOW(t->arg));
        write_jump(c, IF_EQ, (uint32_t)t->value, NEXT_RULE, 0);
        break;
    case SECCOMP_COMPARE_EQ:
        write_equal(c, t->arg, UINT64_MAX, t->value);
        break;
    case SECCOMP_COMPARE_MASKED_EQ:
        write_equal(c, t->arg, t->value, t->value_two);
        break;
    case SECCOMP_COMPARE_GT:
    case SECCOMP_COMPARE_LE:
        write_greater(c, t, IF_GT, t->compare == SECCOMP_COMPARE_LE);
        break;
    case SECCOMP_COMPARE_GE:
    case SECCOMP_COMPARE_LT:
        write_greater(c, t, IF_GE, t->compare == SECCOMP_COMPARE_LT);
        break;
    }
}

static void
write_rule(struct compiler *c, const struct seccomp_rule *rule)
{
    size_t begin = c->count;

    for (size_t i = 0; i < rule->test_count; i++)
        write_test(c, &rule->tests[i]);
    write_return(c, rule->action);
    for (size_t i = begin; i < MIN(c->count, (size_t)LIMIT_SECCOMP_STEPS);
         i++) {
        struct sock_filter *step = &c->steps[i];
        uint8_t behind = (uint8_t)(c->count - i - 1);

        step->jt = step->jt == NEXT_RULE ? behind : step->jt;
        step->jf = step->jf == NEXT_RULE ? behind : step->jf;
    }
}

/* All rules for a call, up to the first without tests. */
static void
write_range(struct compiler *c, const struct call_range *r)
{
    for (size_t i = r->rule; i < c->rule_count;
         i = rule_for(c, i + 1, r->first)) {
        write_rule(c, &c->rules[i]);
        if (c->rules[i].test_count == 0)
            return;
    }
    write_return(c, c->default_action);
}

/* A binary search, of which the depth is that of the logarithm. */
static void
write_search(struct compiler *c, size_t from, size_t to)
{
    size_t middle = from + (to - from) / 2;
    size_t jump;

    if (to - from == 1) {
        write_range(c, &c->ranges[from]);
        return;
    }
    write_jump(c, IF_GE, c->ranges[middle].first, 0, 1);
    jump = c->count;
    write_step(c, BPF_JMP | BPF_JA, 0);
    write_search(c, from, middle);
    if (jump < LIMIT_SECCOMP_STEPS)
        c->steps[jump].k = (uint32_t)(c->count - jump - 1);
    write_search(c, middle, to);
}

static void
write_program(struct compiler *c)
{
    bool allows = c->default_action == SECCOMP_RET_ALLOW ||
                  c->default_action == SECCOMP_RET_LOG;

    write_load(c, offsetof(struct seccomp_data, arch));
    write_jump(c, IF_EQ, SECCOMP_MACHINE, 1, 0);
    write_return(c, SECCOMP_RET_KILL_PROCESS);
    write_load(c, offsetof(struct seccomp_data, nr));
    write_jump(c, IF_GE, NUMBER_X32, 0, 2);
    write_jump(c, IF_EQ, NUMBER_NONE, 1, 0);
    write_return(c, SECCOMP_RET_KILL_PROCESS);
    write_jump(c, IF_GE, CALLS, 0, 1);
    write_return(c, allows ? c->default_action : SECCOMP_RET_ERRNO | ENOSYS);
    write_search(c, 0, c->range_count);
}

int
seccomp_compile(uint32_t default_action, const struct seccomp_rule *rules,
                size_t rule_count, struct sock_fprog *ret)
{
    SCOPE(scope_free) struct compiler *c = calloc(1, sizeof(*c));
    SCOPE(scope_free)
    struct call_set *sets = calloc(rule_count + 1, sizeof(*sets));
    SCOPE(scope_free)
    struct sock_filter *steps = malloc(LIMIT_SECCOMP_STEPS * sizeof(*steps));

    if (c == NULL || sets == NULL || steps == NULL)
        return -ENOMEM;
    c->default_action = default_action;
    c->rules = rules;
    c->rule_count = rule_count;
    c->sets = sets;
    c->steps = steps;
    for (size_t i = 0; i < rule_count; i++)
        for (size_t j = 0; j < rules[i].name_count; j++)
            set_add(&sets[i], rules[i].names[j]);
    find_ranges(c);
    write_program(c);
    if (c->count == 0 || c->count > LIMIT_SECCOMP_STEPS)
        return -E2BIG;
    ret->len = (unsigned short)c->count;
    ret->filter = realloc(steps, c->count * sizeof(*steps));
    if (ret->filter == NULL)
        return -ENOMEM;
    steps = NULL;
    return 0;
}
