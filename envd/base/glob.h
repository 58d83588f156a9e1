/*
 * Shell patterns.
 */
#ifndef ENVD_BASE_GLOB_H
#define ENVD_BASE_GLOB_H

#include <stdbool.h>

/*
 * Whether the whole of `text` matches: `*`, `?`, `[a-z]`, `[!a-z]`,
 * `[[:alpha:]]`, and a backslash before what stands for itself.  Bytes, not
 * characters.
 *
 * by_path  a slash is matched by a slash alone
 *
 * Time: at most the product of both lengths.  Context: any.
 * Rule: fnmatch(3) in the C locale, without collating elements.
 */
bool glob_matches(const char *pattern, const char *text, bool by_path);

#endif
