/*
 * Lines on the console.
 */
#include "init/say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/status.h"

__attribute__((format(printf, 1, 0))) static void
say_line(const char *format, va_list args, const char *cause)
{
    char text[512];

    (void)vsnprintf(text, sizeof(text), format, args);
    (void)fprintf(stderr, "init: %s%s%s\n", text, cause != NULL ? ": " : "",
                  cause != NULL ? cause : "");
}

void
say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say_line(format, args, NULL);
    va_end(args);
}

void
say_errno(const char *format, ...)
{
    const char *cause = errno_text(errno);
    va_list args;

    va_start(args, format);
    say_line(format, args, cause);
    va_end(args);
}
