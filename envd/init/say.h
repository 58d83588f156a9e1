/*
 * What process 1 has to say, on the console.
 */
#ifndef ENVD_INIT_SAY_H
#define ENVD_INIT_SAY_H

/* One line on standard error, as printf(3), with a prefix and an end. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, with the text of errno behind it. */
void say_errno(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
