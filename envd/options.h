/*
 * Options.  The command line has the names and the manners of Go's flag
 * package: one dash or two, `-f v` or `-f=v`, booleans bare or `-f=bool`.
 * What it does not say is as the environment says (ENVD_PORT), else as the
 * file does, else as envd_options_init() has it.
 *
 * A flag whose help is NULL is hidden: it works, on the command line alone,
 * and appears neither in the usage nor in a dump, a file or the environment.
 *
 * Included by main.c and options*.c only.
 */
#ifndef ENVD_OPTIONS_H
#define ENVD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "envd.h"
#include "init/init.h"

#define OPTIONS_FILE "/etc/envd.conf"

/* ---- what was said ------------------------------------------------------- */

struct command_line {
    struct envd_options envd;
    struct init_options init;
    /* From here on for the command line alone. */
    const char *config;
    bool be_init;
    bool version;
    bool commit;
    bool check_config;
    bool dump_config;
    bool help;
};

/* Whether a field may be set by the file and the environment too. */
#define OPTIONS_END offsetof(struct command_line, config)

/* Fill in what holds when nothing is said. */
void options_init(struct command_line *cl);

/*
 * Take the flags of the command line; values point into `argv`.  Returns how
 * many words are flags and their values; -1 after having complained.
 */
int options_parse(struct command_line *cl, int argc, char **argv);

/* Put on stderr which flags there are. */
void options_usage(const char *program);

/* Put on stdout the options in force, and the limits. */
void options_dump(const struct command_line *cl);

/* ---- other sources (options_file.c) -------------------------------------- */

/*
 * Take the file of options, -config's or OPTIONS_FILE, which stays in memory.
 * What is wrong is said on stderr and left out.  Returns how much was wrong.
 */
unsigned int options_read_file(struct command_line *cl);

/* The same with the environment. */
unsigned int options_read_environment(struct command_line *cl);

/* Have options on the kernel's command line count as the environment's. */
void options_read_kernel(void);

/* ---- flags, for options*.c ----------------------------------------------- */

enum flag_kind {
    FLAG_BOOL,
    FLAG_PORT,
    FLAG_STRING,
    FLAG_BYTES, /* size_t */
    FLAG_MS,    /* int64_t */
    FLAG_WORD,  /* an enum: one of two or three words */
};

struct flag {
    const char *name;
    enum flag_kind kind;
    size_t offset; /* into struct command_line */
    const char *help;
    int64_t min; /* FLAG_MS */
    const char *words[3];
};

/* All of them, by name; options.c. */
extern const struct flag option_flags[];
extern const size_t option_flag_count;

/* Returns NULL when there is no such flag. */
const struct flag *option_find(struct str name);

/* Set the field of a flag; false: the value is not one of its kind. */
bool option_set(struct command_line *cl, const struct flag *f,
                const char *value);

/* Whether the file and the environment may say it. */
bool option_is_setting(const struct flag *f);

#endif
