/*
 * Nothing here prints a number with a fraction by printf(), which would bring
 * arithmetic of 128 bits into a static binary.  These take the place of that
 * part of it in the agent alone: such a number is printed as nothing.
 */
#include <stdio.h>

int no_float(FILE *file, const void *info,
             const void *const *args) __asm__("__printf_fp");
int no_hex_float(FILE *file, const void *info,
                 const void *const *args) __asm__("__printf_fphex");

int
no_float(FILE *file, const void *info, const void *const *args)
{
    (void)file;
    (void)info;
    (void)args;
    return 0;
}

int
no_hex_float(FILE *file, const void *info, const void *const *args)
{
    (void)file;
    (void)info;
    (void)args;
    return 0;
}
