/*
 * Run while building: writes the filters of the agent and the names of system
 * calls, for one kind of machine, as C.
 *
 *     seccomp_filters MACHINE >seccomp_filters.inc      MACHINE as of uname(1)
 *
 * So the agent itself is not linked with libseccomp.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* Numbers above are no system calls of any machine's table. */
#define NUMBER_MAX 1023

#define LOW_WORD UINT64_C(0xffffffff)

/* For what these are: the contract's section on seccomp. */
static const char *const denied[] = {
    "acct",
    "add_key",
    "bpf",
    "chroot",
    "delete_module",
    "finit_module",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "open_by_handle_at",
    "perf_event_open",
    "pivot_root",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "request_key",
    "setns",
    "swapoff",
    "swapon",
    "unshare",
    "userfaultfd",
};

static const char *const denied_exec[] = {"execve", "execveat"};

static const char *const denied_mount[] = {
    "fsconfig",      "fsmount",    "fsopen",    "fspick", "mount",
    "mount_setattr", "move_mount", "open_tree", "umount", "umount2",
};

/*
 * Families of sockets that are none of UNIX (1), INET (2), INET6 (10), NETLINK
 * (16) and VSOCK (40), by the bits that a range of them has in common: a rule
 * cannot name two things about one argument.
 */
static const struct {
    uint64_t mask;
    uint64_t family;
} foreign_families[] = {
    {LOW_WORD, 0},      {LOW_WORD, 3},      {LOW_WORD - 3, 4},
    {LOW_WORD - 1, 8},  {LOW_WORD, 11},     {LOW_WORD - 3, 12},
    {LOW_WORD, 17},     {LOW_WORD - 1, 18}, {LOW_WORD - 3, 20},
    {LOW_WORD - 7, 24}, {LOW_WORD - 7, 32},
};

static const uint64_t namespaces[] = {
    CLONE_NEWCGROUP, CLONE_NEWIPC,  CLONE_NEWNET, CLONE_NEWNS,
    CLONE_NEWPID,    CLONE_NEWUSER, CLONE_NEWUTS,
};

enum filter {
    FILTER_LOOP,       /* the agent's threads */
    FILTER_PRIVILEGED, /* those that mount and freeze */
    FILTER_HARDENED,   /* commands that asked for it */
};

static void
check(int r, const char *what)
{
    if (r >= 0)
        return;
    (void)fprintf(stderr, "seccomp_filters: %s: %s\n", what, strerror(-r));
    exit(EXIT_FAILURE);
}

/*
 * A rule for a call, if this machine has it.  The library takes the numbers of
 * the machine that it runs on, and finds the other one's by their names.
 */
static void
refuse(scmp_filter_ctx ctx, uint32_t machine, uint32_t action, const char *name,
       unsigned int arg_count, struct scmp_arg_cmp arg)
{
    int number = seccomp_syscall_resolve_name_arch(machine, name);

    if (number >= 0 && number <= NUMBER_MAX)
        check(seccomp_rule_add_array(ctx, action,
                                     seccomp_syscall_resolve_name(name),
                                     arg_count, &arg),
              name);
}

static void
refuse_all(scmp_filter_ctx ctx, uint32_t machine, const char *const *names,
           size_t count)
{
    for (size_t i = 0; i < count; i++)
        refuse(ctx, machine, SCMP_ACT_ERRNO(EPERM), names[i], 0,
               (struct scmp_arg_cmp){0});
}

/* A comparison of the bits that the kernel looks at, whatever the others are.
 */
static void
refuse_bits(scmp_filter_ctx ctx, uint32_t machine, const char *name,
            unsigned int arg, uint64_t mask, uint64_t value)
{
    refuse(ctx, machine, SCMP_ACT_ERRNO(EPERM), name, 1,
           SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, mask, value));
}

static void
refuse_families(scmp_filter_ctx ctx, uint32_t machine, bool vsock)
{
    for (size_t i = 0; i < COUNT(foreign_families); i++)
        refuse_bits(ctx, machine, "socket", 0, foreign_families[i].mask,
                    foreign_families[i].family);
    refuse(ctx, machine, SCMP_ACT_ERRNO(EPERM), "socket", 1,
           SCMP_CMP64(0, SCMP_CMP_GT, AF_VSOCK));
    if (!vsock)
        refuse_bits(ctx, machine, "socket", 0, LOW_WORD, AF_VSOCK);
}

static void
refuse_both(scmp_filter_ctx ctx, uint32_t machine)
{
    const uint64_t both = PROT_WRITE | PROT_EXEC;

    refuse_bits(ctx, machine, "mmap", 2, both, both);
    refuse_bits(ctx, machine, "mprotect", 2, both, both);
    refuse_bits(ctx, machine, "pkey_mprotect", 2, both, both);
}

static void
refuse_namespaces(scmp_filter_ctx ctx, uint32_t machine)
{
    for (size_t i = 0; i < COUNT(namespaces); i++)
        refuse_bits(ctx, machine, "clone", 0, namespaces[i], namespaces[i]);
    /* Its flags are in memory, where no filter looks; clone(2) does as well. */
    refuse(ctx, machine, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0,
           (struct scmp_arg_cmp){0});
}

static scmp_filter_ctx
filter_new(uint32_t machine, enum filter kind)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

    if (ctx == NULL)
        check(-ENOMEM, "seccomp_init");
    if (machine != seccomp_arch_native()) {
        check(seccomp_arch_add(ctx, machine), "seccomp_arch_add");
        check(seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE),
              "seccomp_arch_remove");
    }
    /* Of any other machine's calls, those of i386 and x32 on x86_64 too. */
    check(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS),
          "SCMP_FLTATR_ACT_BADARCH");
    check(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2),
          "SCMP_FLTATR_CTL_OPTIMIZE");
    refuse_all(ctx, machine, denied, COUNT(denied));
    refuse(ctx, machine, SCMP_ACT_ERRNO(EPERM), "personality", 1,
           SCMP_CMP64(0, SCMP_CMP_NE, LOW_WORD));
    refuse_families(ctx, machine, kind != FILTER_HARDENED);
    if (kind == FILTER_HARDENED) {
        refuse_namespaces(ctx, machine);
    } else {
        refuse_all(ctx, machine, denied_exec, COUNT(denied_exec));
        refuse_both(ctx, machine);
    }
    if (kind != FILTER_PRIVILEGED) {
        refuse_all(ctx, machine, denied_mount, COUNT(denied_mount));
        refuse_bits(ctx, machine, "ioctl", 1, LOW_WORD, FIFREEZE);
        refuse_bits(ctx, machine, "ioctl", 1, LOW_WORD, FITHAW);
    }
    return ctx;
}

static void
print_filter(uint32_t machine, enum filter kind, const char *name)
{
    scmp_filter_ctx ctx = filter_new(machine, kind);
    FILE *program = tmpfile();
    struct sock_filter step;

    if (program == NULL)
        check(-errno, "tmpfile");
    check(seccomp_export_bpf(ctx, fileno(program)), "seccomp_export_bpf");
    seccomp_release(ctx);
    rewind(program);
    (void)printf("static const struct sock_filter %s[] = {\n", name);
    while (fread(&step, sizeof(step), 1, program) == 1)
        (void)printf("    {0x%x, %u, %u, 0x%x},\n", step.code, step.jt, step.jf,
                     step.k);
    (void)printf("};\n");
    (void)fclose(program);
}

/* The names by number; one that is not given away is empty. */
static void
print_names(uint32_t machine)
{
    int last = NUMBER_MAX;
    char *name;

    while (last > 0 &&
           (name = seccomp_syscall_resolve_num_arch(machine, last)) == NULL)
        last--;
    free(name);
    (void)printf("static const char syscall_names[] =");
    for (int i = 0; i <= last; i++) {
        name = seccomp_syscall_resolve_num_arch(machine, i);
        (void)printf("\n    \"%s\\0\"", name != NULL ? name : "");
        free(name);
    }
    (void)printf(";\n#define SYSCALL_LAST %d\n", last);
}

int
main(int argc, char **argv)
{
    uint32_t machine = argc == 2 ? seccomp_arch_resolve_name(argv[1]) : 0;

    if (machine == 0) {
        (void)fprintf(stderr, "usage: seccomp_filters x86_64|aarch64\n");
        return EXIT_FAILURE;
    }
    (void)printf("/* Made by envd/security/build/seccomp_filters.c with "
                 "libseccomp. */\n");
    (void)printf("#define SECCOMP_MACHINE 0x%xU\n", machine);
    (void)printf("#ifdef SECCOMP_WANT_FILTERS\n");
    print_filter(machine, FILTER_LOOP, "loop_filter");
    print_filter(machine, FILTER_PRIVILEGED, "privileged_filter");
    print_filter(machine, FILTER_HARDENED, "hardened_filter");
    (void)printf("#endif\n#ifdef SECCOMP_WANT_NAMES\n");
    print_names(machine);
    (void)printf("#endif\n");
    return fflush(stdout) == 0 && ferror(stdout) == 0 ? EXIT_SUCCESS
                                                      : EXIT_FAILURE;
}
