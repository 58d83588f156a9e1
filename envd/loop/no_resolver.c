/*
 * Names are never resolved here, but libevent mentions the resolver, and a
 * static binary would carry all of it, NSS included.  These take its place.
 */
#include <netdb.h>
#include <stddef.h>

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

int
getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
            struct addrinfo **ret)
{
    (void)node;
    (void)service;
    (void)hints;
    (void)ret;
    return EAI_FAIL;
}

void
freeaddrinfo(struct addrinfo *list)
{
    (void)list;
}

const char *
gai_strerror(int code)
{
    (void)code;
    return "names are not resolved";
}

struct servent *
getservbyname(const char *name, const char *proto)
{
    (void)name;
    (void)proto;
    return NULL;
}

struct protoent *
getprotobynumber(int number)
{
    (void)number;
    return NULL;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
