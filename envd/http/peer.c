/*
 * Questions to the kernel about the other end.
 */
#include "http/peer.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

bool
peer_is_reset(int fd)
{
    struct pollfd p = {.fd = fd};

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP)) != 0;
}

enum peer_output
peer_output(int fd, int64_t stall_ms)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    int waiting = 0;
    int64_t silent_ms;

    if (ioctl(fd, SIOCOUTQ, &waiting) < 0 || waiting == 0)
        return PEER_HAS_ALL;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
        return PEER_TAKES_TIME; /* not TCP: its end is never in doubt */

    /*
     * Silence alone is no sign: between two questions, which come ever more
     * rarely, nothing need be said.  A question that was answered resets its
     * counter, or came later than the last answer.
     */
    silent_ms = info.tcpi_last_ack_recv;
    if (silent_ms < stall_ms)
        return PEER_TAKES_TIME;
    if (info.tcpi_probes > 1 ||
        (info.tcpi_retransmits > 0 && silent_ms > info.tcpi_rto / 1000))
        return PEER_SAYS_NOTHING;
    return PEER_TAKES_TIME;
}
