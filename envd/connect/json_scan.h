/*
 * The inner step of reading and writing JSON strings.
 */
#ifndef ENVD_CONNECT_JSON_SCAN_H
#define ENVD_CONNECT_JSON_SCAN_H

#include <stddef.h>

/*
 * How many bytes at the front of `s` stand for themselves in a JSON string and
 * need no further look: ASCII, but no control character, no `"`, no `\`.
 * Context: any.
 */
size_t json_scan_plain(const char *s, size_t len);

#endif
