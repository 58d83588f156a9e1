/*
 * libevent's reader of addresses, which nobody here calls, mentions sscanf(),
 * and a static binary would carry it with floating point of 128 bits.  This
 * takes its place in the agent alone: tests may want to scan.
 */

/* sscanf() as calls of it are compiled, by the standard that they ask for. */
int no_scanf_99(const char *text, const char *format,
                ...) __asm__("__isoc99_sscanf");
int no_scanf_23(const char *text, const char *format,
                ...) __asm__("__isoc23_sscanf");

int
no_scanf_99(const char *text, const char *format, ...)
{
    (void)text;
    (void)format;
    return 0;
}

int
no_scanf_23(const char *text, const char *format, ...)
{
    (void)text;
    (void)format;
    return 0;
}
