/*
 * The way to the metadata service, mended: whoever redirects port 80 in the
 * guest redirects the agent's own lookups as well.
 *
 * A table of our own holds a chain before all others that do address
 * translation, for what comes in and for what goes out.  It translates the
 * address of the service into itself, which settles the matter: no later
 * chain, of nft or iptables, is asked about such a connection.
 */
#ifndef ENVD_GUEST_ROUTE_HEAL_H
#define ENVD_GUEST_ROUTE_HEAL_H

#include <netinet/in.h>

/*
 * Put the table there, or make it new.
 *
 * Returns 0; -EOPNOTSUPP when this kernel has no nf_tables; another -errno.
 * Context: worker.
 */
int route_heal(const struct sockaddr_in *address);

#endif
