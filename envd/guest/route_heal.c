/*
 * One nf_tables transaction, written by hand: add the table, so that there is
 * one to delete, delete it with all that is in it, and build it anew.
 *
 * Why not simply a rule that accepts, as `-j RETURN` of iptables does in its
 * own chain: an accept ends one chain, and the kernel asks the next one as long
 * as the connection is not translated.  Why not `notrack`: a guest's firewall
 * may let in what belongs to known connections alone.
 */
#include "guest/route_heal.h"

#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/scope.h"

#define TABLE "envd-mmds"

/* The earliest at which address translation may be registered. */
#define PRIORITY (-199)

#define IP_DESTINATION_AT 16 /* in an IPv4 header */
#define TCP_PORT_AT       2  /* of the destination, in a TCP header */

struct batch {
    _Alignas(struct nlmsghdr) uint8_t mem[4096]; /* about 1300 are used */
    size_t len;
    size_t message; /* where the last one begins */
    uint32_t sequence;
};

static void
put(struct batch *b, const void *data, size_t len)
{
    memcpy(b->mem + b->len, data, len);
    b->len = NLMSG_ALIGN(b->len + len); /* what is between is zero already */
}

static void
message_end(struct batch *b)
{
    uint32_t len = (uint32_t)(b->len - b->message);

    memcpy(b->mem + b->message, &len, sizeof(len));
}

static void
message(struct batch *b, int type, int flags, uint8_t family)
{
    bool control = type == NFNL_MSG_BATCH_BEGIN || type == NFNL_MSG_BATCH_END;
    struct nlmsghdr head = {
        .nlmsg_type =
            (uint16_t)(control ? type : NFNL_SUBSYS_NFTABLES << 8 | type),
        .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
        .nlmsg_seq = b->sequence++,
    };
    struct nfgenmsg family_head = {
        .nfgen_family = family,
        .version = NFNETLINK_V0,
        .res_id = control ? htobe16(NFNL_SUBSYS_NFTABLES) : 0,
    };

    b->message = b->len;
    put(b, &head, sizeof(head));
    put(b, &family_head, sizeof(family_head));
}

static void
attr(struct batch *b, int type, const void *data, size_t len)
{
    struct nlattr head = {.nla_len = (uint16_t)(sizeof(head) + len),
                          .nla_type = (uint16_t)type};

    put(b, &head, sizeof(head));
    put(b, data, len);
}

static void
attr_text(struct batch *b, int type, const char *text)
{
    attr(b, type, text, strlen(text) + 1);
}

static void
attr_u32(struct batch *b, int type, uint32_t value)
{
    uint32_t raw = htobe32(value);

    attr(b, type, &raw, sizeof(raw));
}

/* Returns what nest_end() wants. */
static size_t
nest(struct batch *b, int type)
{
    size_t at = b->len;

    attr(b, type | NLA_F_NESTED, "", 0);
    return at;
}

static void
nest_end(struct batch *b, size_t at)
{
    uint16_t len = (uint16_t)(b->len - at);

    memcpy(b->mem + at, &len, sizeof(len));
}

/* ---- a rule -------------------------------------------------------------- */

/* An expression has a name and a nest of its own attributes. */
struct expression {
    size_t element;
    size_t data;
};

static struct expression
expression(struct batch *b, const char *name)
{
    struct expression e = {.element = nest(b, NFTA_LIST_ELEM)};

    attr_text(b, NFTA_EXPR_NAME, name);
    e.data = nest(b, NFTA_EXPR_DATA);
    return e;
}

static void
expression_end(struct batch *b, struct expression e)
{
    nest_end(b, e.data);
    nest_end(b, e.element);
}

static void
data_value(struct batch *b, int type, const void *value, size_t len)
{
    size_t data = nest(b, type);

    attr(b, NFTA_DATA_VALUE, value, len);
    nest_end(b, data);
}

/* Continue only when the first register has this value. */
static void
compare(struct batch *b, const void *value, size_t len)
{
    struct expression e = expression(b, "cmp");

    attr_u32(b, NFTA_CMP_SREG, NFT_REG_1);
    attr_u32(b, NFTA_CMP_OP, NFT_CMP_EQ);
    data_value(b, NFTA_CMP_DATA, value, len);
    expression_end(b, e);
}

/* Continue only when these bytes of the packet have this value. */
static void
match_payload(struct batch *b, uint32_t base, uint32_t offset,
              const void *value, size_t len)
{
    struct expression e = expression(b, "payload");

    attr_u32(b, NFTA_PAYLOAD_DREG, NFT_REG_1);
    attr_u32(b, NFTA_PAYLOAD_BASE, base);
    attr_u32(b, NFTA_PAYLOAD_OFFSET, offset);
    attr_u32(b, NFTA_PAYLOAD_LEN, (uint32_t)len);
    expression_end(b, e);
    compare(b, value, len);
}

static void
match_tcp(struct batch *b)
{
    static const uint8_t tcp = IPPROTO_TCP;
    struct expression e = expression(b, "meta");

    attr_u32(b, NFTA_META_KEY, NFT_META_L4PROTO);
    attr_u32(b, NFTA_META_DREG, NFT_REG_1);
    expression_end(b, e);
    compare(b, &tcp, sizeof(tcp));
}

static void
translate(struct batch *b, const struct in_addr *address)
{
    struct expression e = expression(b, "immediate");

    attr_u32(b, NFTA_IMMEDIATE_DREG, NFT_REG_1);
    data_value(b, NFTA_IMMEDIATE_DATA, address, sizeof(*address));
    expression_end(b, e);
    e = expression(b, "nat");
    attr_u32(b, NFTA_NAT_TYPE, NFT_NAT_DNAT);
    attr_u32(b, NFTA_NAT_FAMILY, NFPROTO_IPV4);
    attr_u32(b, NFTA_NAT_REG_ADDR_MIN, NFT_REG_1);
    expression_end(b, e);
}

static void
rule(struct batch *b, const char *chain, const struct sockaddr_in *address)
{
    size_t list;

    message(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK,
            NFPROTO_IPV4);
    attr_text(b, NFTA_RULE_TABLE, TABLE);
    attr_text(b, NFTA_RULE_CHAIN, chain);
    list = nest(b, NFTA_RULE_EXPRESSIONS);
    match_payload(b, NFT_PAYLOAD_NETWORK_HEADER, IP_DESTINATION_AT,
                  &address->sin_addr, sizeof(address->sin_addr));
    match_tcp(b);
    match_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_PORT_AT,
                  &address->sin_port, sizeof(address->sin_port));
    translate(b, &address->sin_addr);
    nest_end(b, list);
    message_end(b);
}

/* ---- the transaction ----------------------------------------------------- */

static void
table(struct batch *b, int type, int flags)
{
    message(b, type, flags | NLM_F_ACK, NFPROTO_IPV4);
    attr_text(b, NFTA_TABLE_NAME, TABLE);
    message_end(b);
}

static void
chain(struct batch *b, const char *name, uint32_t hook)
{
    size_t place;

    message(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_ACK, NFPROTO_IPV4);
    attr_text(b, NFTA_CHAIN_TABLE, TABLE);
    attr_text(b, NFTA_CHAIN_NAME, name);
    place = nest(b, NFTA_CHAIN_HOOK);
    attr_u32(b, NFTA_HOOK_HOOKNUM, hook);
    attr_u32(b, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY);
    nest_end(b, place);
    attr_text(b, NFTA_CHAIN_TYPE, "nat");
    message_end(b);
}

static void
build(struct batch *b, const struct sockaddr_in *address)
{
    message(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC);
    message_end(b);
    table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    table(b, NFT_MSG_DELTABLE, 0);
    table(b, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    chain(b, "prerouting", NF_INET_PRE_ROUTING);
    rule(b, "prerouting", address);
    chain(b, "output", NF_INET_LOCAL_OUT);
    rule(b, "output", address);
    message(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC);
    message_end(b);
}

/* The first error among the answers, or 0; all are there already. */
static int
read_answers(int fd)
{
    _Alignas(struct nlmsghdr) uint8_t mem[8192];
    int first = 0;

    for (;;) {
        ssize_t n = recv(fd, mem, sizeof(mem), MSG_DONTWAIT);
        size_t at = 0;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno != EAGAIN && first == 0 ? -errno : first;
        while (at + sizeof(struct nlmsghdr) <= (size_t)n) {
            struct nlmsghdr *head = (void *)(mem + at);
            const struct nlmsgerr *answer = NLMSG_DATA(head);

            if (head->nlmsg_len < sizeof(*head) ||
                head->nlmsg_len > (size_t)n - at)
                break;
            if (head->nlmsg_type == NLMSG_ERROR &&
                head->nlmsg_len >= NLMSG_LENGTH(sizeof(*answer)) && first == 0)
                first = answer->error;
            at += NLMSG_ALIGN(head->nlmsg_len);
        }
    }
}

int
route_heal(const struct sockaddr_in *address)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct batch b = {0};
    SCOPE(fd_close)
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

    int r;

    if (fd < 0)
        return errno == EPROTONOSUPPORT ? -EOPNOTSUPP : -errno;
    build(&b, address);
    if (sendto(fd, b.mem, b.len, 0, (const struct sockaddr *)&kernel,
               sizeof(kernel)) < 0)
        return errno == ECONNREFUSED ? -EOPNOTSUPP : -errno;
    r = read_answers(fd);
    return r == -ENOENT ? -EOPNOTSUPP : r; /* no such part of nf_tables */
}
