/*
 * What a failed assert() says: the C library's own can say it to wide streams
 * too, and a static binary would carry those.  In the agent alone.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void
__assert_fail(const char *assertion, const char *file, unsigned int line,
              const char *function)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "%s:%u: %s: `%s' failed.\n", file,
                       line, function, assertion);

    if (len > 0)
        (void)!write(STDERR_FILENO, text,
                     (size_t)len < sizeof(text) ? (size_t)len
                                                : sizeof(text) - 1);
    abort();
}
