/*
 * Where options come from besides the command line: a file of `key = value`
 * lines, the environment, and the kernel's command line.
 */
#ifndef ENVD_GUEST_CONFIG_H
#define ENVD_GUEST_CONFIG_H

/*
 * Called for each setting in order; key and value point into the text.  A
 * line that is no setting comes with a value of NULL.
 *
 * line  from 1
 */
typedef void (*config_fn)(void *ctx, unsigned int line, const char *key,
                          const char *value);

/*
 * Take a text apart, in place: one `key = value` a line, blanks around both
 * do not count, a value may stand in double quotes; empty lines, and lines
 * that begin with #, are comments.  Context: any.
 */
void config_parse(char *text, config_fn fn, void *ctx);

/*
 * Read a file as config_parse() does.
 *
 * ret_text  what keys and values point into; the caller frees it
 *
 * Returns 0, or -errno: -ENOENT when there is none, -EPERM when others than
 * root and ourselves could have written it, -EFBIG beyond CONFIG_BYTES.
 * Context: start-up.
 */
int config_read(const char *path, char **ret_text, config_fn fn, void *ctx);

/*
 * Take the kernel's command line apart, in place: call fn for each word
 * `envd.KEY=VALUE`, without that prefix.  Double quotes keep blanks, as the
 * kernel reads them.  Context: any.
 */
void config_parse_kernel(char *text, config_fn fn, void *ctx);

/*
 * The variable that stands for an option: ENVD_ and the name in upper case,
 * with _ for -.  `size` holds the name, 5 more, and a NUL.
 */
void config_variable(const char *option, char *ret, unsigned int size);

#endif
