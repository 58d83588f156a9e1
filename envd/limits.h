/*
 * Every bound of the agent, with its unit and its reason.  What a client can
 * make larger than these is refused with an answer that names the limit.
 * `--dump-config` prints this table.
 */
/*
 * The compiler's <limits.h> looks for the C library's and finds us first, also
 * when we are included already: hence before the guard.
 */
#include_next <limits.h>

#ifndef ENVD_LIMITS_H
#define ENVD_LIMITS_H

/* X(name, value, unit, what it bounds) */
#define LIMITS_TABLE(X)                                                        \
    X(HTTP_HEAD_BYTES, 64 * 1024, "bytes", "request line and headers (431)")   \
    X(HTTP_HEADERS, 128, "headers", "header lines of one request (431)")       \
    X(HTTP_HEAD_TIMEOUT_MS, 10 * 1000, "ms", "from the first byte of a head")  \
    X(HTTP_IDLE_TIMEOUT_MS, 640 * 1000, "ms", "a connection between requests") \
    X(HTTP_BODY_STALL_MS, 60 * 1000, "ms",                                     \
      "no byte of a body that is awaited")                                     \
    X(HTTP_WRITE_STALL_MS, 25 * 1000, "ms",                                    \
      "a peer that acknowledges nothing")                                      \
    X(HTTP_DRAIN_BYTES, 256 * 1024, "bytes", "unread body after an answer")    \
    X(HTTP_LINGER_MS, 1000, "ms", "write side shut, before the close")         \
    X(HTTP_CONNECTIONS, 4096, "connections", "beyond: 503 and close")          \
    X(HTTP_RANGES, 1024, "ranges", "of one request; for more, all is sent")    \
    X(HTTP_OUTPUT_BYTES, 256 * 1024, "bytes",                                  \
      "queued towards one client before its producer waits")                   \
    X(REST_JSON_BYTES, 4 * 1024 * 1024, "bytes", "JSON body of REST (413)")    \
    X(REST_DECODED_BYTES, 16 * 1024 * 1024, "bytes",                           \
      "one of them, decoded: small things take many times their text (400)")   \
    X(RPC_MESSAGE_BYTES, 32 * 1024 * 1024, "bytes",                            \
      "one RPC message or unary body, inflated (resource_exhausted)")          \
    X(RPC_DECODED_BYTES, 128 * 1024 * 1024, "bytes",                           \
      "one RPC message, decoded (resource_exhausted)")                         \
    X(RPC_INFLATE_RATIO, 1100, "times", "inflated size over compressed size")  \
    X(RPC_DEFLATE_BYTES, 256 * 1024, "bytes",                                  \
      "a message that is compressed; larger ones are sent plain")              \
    X(RPC_NESTING, 10000, "levels", "nested JSON values or messages")          \
    X(RPC_ERROR_TEXT_BYTES, 4096, "bytes", "text of one error message")        \
    X(PROCESSES, 4096, "processes", "alive at once (resource_exhausted)")      \
    X(PROCESS_INPUT_BYTES, 1024 * 1024, "bytes",                               \
      "input waiting for one process before its sender waits")                 \
    X(PROCESS_RING_BYTES, 1024 * 1024, "bytes", "recent output, one process")  \
    X(PROCESS_RINGS_BYTES, 64 * 1024 * 1024, "bytes", "of all processes")      \
    X(PROCESS_READERS, 1024, "readers", "streams attached to one process")     \
    X(PROCESS_RETAINED, 4096, "exits", "kept for late readers")                \
    X(PROCESS_RETAIN_MS, 600 * 1000, "ms", "how long an exit is kept")         \
    X(PROCESS_RETAINED_MIN, 1024, "exits", "kept however old they are")        \
    X(PROCESS_STALL_MS, 10 * 1000, "ms",                                       \
      "a reader without progress while others wait, before it is cut")         \
    X(PROCESS_LINGER_MS, 100, "ms",                                            \
      "from an exit to its end while the background holds the output")         \
    X(CGROUP_LINGERING, 8192, "cgroups",                                       \
      "of ended commands in which something lives on")                         \
    X(FREEZE_CGROUPS, 512, "cgroups", "looked at by a freeze, by default")     \
    X(FREEZE_TREE, 8192, "cgroups", "looked at by a thaw, and by a freeze")    \
    X(FREEZE_WAIT_MS, 60 * 1000, "ms", "a freeze waits for all to stop")       \
    X(FREEZE_WATCHDOG_MS, 600 * 1000, "ms", "until a freeze ends by itself")   \
    X(FREEZE_QUEUE, 256, "requests", "waiting to freeze or thaw (503)")        \
    X(STALL_MS, 5 * 1000, "ms", "a turn of the loop, before it is told")       \
    X(WORKER_THREADS, 4, "threads", "for blocking file work, on demand")       \
    X(WORKER_LONG_MS, 100, "ms",                                               \
      "a thread stands still; twice that: a job is long, and not counted")     \
    X(WORKER_THREADS_ALL, 32, "threads", "with those that run long jobs")      \
    X(WORKER_THREADS_URGENT, 2, "threads", "more, for a thaw and its like")    \
    X(WORKER_BULK, 4, "jobs", "that list, remove or move, at once")            \
    X(WORKER_STILL, 4, "threads", "that stand still below one mount point")    \
    X(WORKER_HELD_JOBS, 256, "jobs",                                           \
      "waiting for file systems that stand still (resource_exhausted)")        \
    X(WORKER_GATED_JOBS, 1024, "jobs",                                         \
      "waiting to write while a file system is frozen (unavailable)")          \
    X(WORKER_LEAVE_MS, 2000, "ms", "at the end, for a thread that is still")   \
    X(WORKER_IDLE_MS, 10 * 1000, "ms", "before an idle worker ends")           \
    X(WORKER_QUEUE_JOBS, 8192, "jobs", "waiting (resource_exhausted)")         \
    X(WALK_OPEN_DIRS, 32, "descriptors", "directories a tree walk holds open") \
    X(LIST_ANSWER_BYTES, 256 * 1024 * 1024, "bytes",                           \
      "encoded answer of one ListDir (resource_exhausted)")                    \
    X(TRANSFER_SLICE_BYTES, 256 * 1024, "bytes",                               \
      "one read or write of a file")                                           \
    X(TRANSFER_DEVICE_BYTES, 16 * 1024 * 1024, "bytes", "read of a device")    \
    X(UPLOAD_BUFFERS_BYTES, 2 * 1024 * 1024, "bytes",                          \
      "shared by the uploads that run, with least slices of 16 KiB")           \
    X(DOWNLOADS_GZIP, 128, "downloads",                                        \
      "compressed at once; others are sent as they are")                       \
    X(TYPES_FILE_BYTES, 1024 * 1024, "bytes",                                  \
      "a file that tells content types by extension; larger: not read")        \
    X(UPLOAD_FILES, 16384, "files", "of one multipart upload")                 \
    X(UPLOAD_NAMES_BYTES, 4 * 1024 * 1024, "bytes",                            \
      "their names, which are its answer")                                     \
    X(COMPOSE_SOURCES, 16384, "files", "of one compose (400)")                 \
    X(TAR_NAME_BYTES, 4096, "bytes", "a name or link target in an archive")    \
    X(TAR_PAX_BYTES, 256 * 1024, "bytes", "an extended header in an archive")  \
    X(TAR_LINKS_BYTES, 16 * 1024 * 1024, "bytes",                              \
      "names of files with several, to pack one; what is more is packed "      \
      "again")                                                                 \
    X(TAR_DIRS_BYTES, 16 * 1024 * 1024, "bytes",                               \
      "directories of one archive that get mode and time at its end")          \
    X(TAR_STREAMS, 64, "archives", "packed and unpacked at once (503)")        \
    X(LIST_PAGE_ENTRIES, 10000, "entries", "of one page of a listing")         \
    X(MULTIPART_HEAD_BYTES, 64 * 1024, "bytes", "headers of one part")         \
    X(WATCHERS, 4096, "watchers", "at once (resource_exhausted)")              \
    X(WATCH_NODES, 1024 * 1024, "directories", "watched, of all watchers")     \
    X(WATCH_ENTRIES, 8 * 1024 * 1024, "names",                                 \
      "remembered, of all watchers; what is more is announced unchecked")      \
    X(WATCH_QUEUE_EVENTS, 64 * 1024, "events",                                 \
      "waiting in one watcher before its tree is listed again instead")        \
    X(WATCH_QUEUE_BYTES, 16 * 1024 * 1024, "bytes", "the same in bytes")       \
    X(WATCH_QUEUES_BYTES, 64 * 1024 * 1024, "bytes", "of all watchers")        \
    X(WATCH_BACKLOG_EVENTS, 128 * 1024, "events",                              \
      "kept while directories are listed, to be compared with what is found")  \
    X(WATCH_TODO_DIRS, 64 * 1024, "directories",                               \
      "of one watcher that wait to be listed, before all of it is")            \
    X(WATCH_PATTERNS, 256, "patterns", "to ignore, of one watcher")            \
    X(WATCH_PATTERN_BYTES, 1024, "bytes", "one of them")                       \
    X(WATCH_POLLED_BYTES, 1024 * 1024, "bytes",                                \
      "entries looked up early for one polled watcher; others are later")      \
    X(WATCH_ALL_POLLED_BYTES, 16 * 1024 * 1024, "bytes",                       \
      "entries looked up early for all polled watchers")                       \
    X(MOUNT_TABLE_BYTES, 1024 * 1024, "bytes", "/proc/self/mountinfo")         \
    X(ACCOUNT_FILE_BYTES, 8 * 1024 * 1024, "bytes",                            \
      "/etc/passwd and /etc/group; a larger one counts as unreadable")         \
    X(USER_GROUPS, 65536, "groups", "of one user, as the kernel allows")       \
    X(INIT_WORKS, 64, "requests",                                              \
      "to POST /init that want different things at once; beyond: cut")         \
    X(INIT_BODIES_BYTES, 16 * 1024 * 1024, "bytes",                            \
      "bodies of POST /init that wait; beyond: cut")                           \
    X(INIT_HOLD_MS, 10 * 1000, "ms",                                           \
      "POST /init while the metadata service cannot be reached")               \
    X(CONFIG_BYTES, 64 * 1024, "bytes", "/etc/envd.conf")                      \
    X(SECCOMP_FILE_BYTES, 128 * 1024, "bytes",                                 \
      "a profile of system calls (failed_precondition)")                       \
    X(SECCOMP_RULES, 1024, "rules", "of one such profile")                     \
    X(SECCOMP_STEPS, 4096, "instructions", "of one filter, as in the kernel")  \
    X(SECCOMP_PROFILES, 16, "profiles",                                        \
      "compiled and kept; more are read again")                                \
    X(SERVICE_SOCKETS, 64, "sockets", "handed over by the service manager")    \
    X(HOSTS_BYTES, 8 * 1024 * 1024, "bytes",                                   \
      "/etc/hosts; a larger one is "                                           \
      "left alone")                                                            \
    X(HOSTS_CHANGES, 64, "changes", "waiting for their turn")                  \
    X(CA_BUNDLE_BYTES, 32 * 1024 * 1024, "bytes",                              \
      "the trust store; a larger one is appended to, and never tidied")        \
    X(CA_BLOCKS, 256, "certificates", "of one caBundle (400)")                 \
    X(CA_RETIRED, 1024, "certificates", "to be removed, while that fails")     \
    X(VOLUMES, 64, "volumes", "of one /init (400)")                            \
    X(VOLUMES_LEDGER, 1024, "volumes", "known to be mounted")                  \
    X(HOOKS, 64, "programs", "of one event; the first by name")                \
    X(HELPER_OUTPUT_BYTES, 4096, "bytes", "kept of what a helper writes")      \
    X(MMDS_TOKEN_BYTES, 1024, "bytes", "a token of the metadata service")      \
    X(MMDS_DOCUMENT_BYTES, 64 * 1024, "bytes", "its document")                 \
    X(MMDS_VALUE_BYTES, 2048, "bytes", "one value that is taken out of that")  \
    X(MMDS_LOOKUP_MS, 1000, "ms", "one lookup there, both requests")           \
    X(MMDS_POLL_MS, 60 * 1000, "ms", "looking it up again after an /init")     \
    X(MMDS_HEAL_MS, 10 * 1000, "ms", "between repairs of the way to it")       \
    X(HTTP_ANSWER_HEAD_BYTES, 16 * 1024, "bytes",                              \
      "status and headers of an answer to a request of our own")               \
    X(LOG_LINE_BYTES, 192 * 1024, "bytes", "a line to ship; longer: dropped")  \
    X(LOG_EARLY_BYTES, 256 * 1024, "bytes",                                    \
      "lines to ship, before it is known where; the oldest are dropped")       \
    X(LOG_EXPORT_BYTES, 8 * 1024 * 1024, "bytes",                              \
      "lines to ship; the oldest are dropped")                                 \
    X(LOG_POST_MS, 10 * 1000, "ms", "shipping one line")                       \
    X(ORIGIN_ADDRESSES, 1024, "addresses",                                     \
      "of the machine, known to be inside; further ones go by interface")      \
    X(FSFREEZE_DRAIN_MS, 2000, "ms",                                           \
      "before a freeze, for what is being written")                            \
    X(FSFREEZE_WATCHDOG_MS, 120 * 1000, "ms",                                  \
      "frozen, before the file system is thawed unasked")                      \
    X(COLLAPSE_MAPS_BYTES, 1024 * 1024, "bytes", "/proc/self/maps (500)")      \
    X(PORTS, 4096, "ports", "open, and known to us")                           \
    X(PORT_ADDRESSES, 32, "addresses", "on which one port listens")            \
    X(PORT_LISTENERS, 8192, "addresses", "of all ports together")              \
    X(PORT_FOLLOWERS, 64, "streams", "that follow the open ports (503)")       \
    X(PORT_OWNER_LINKS, 256 * 1024, "descriptors",                             \
      "of all processes, looked at to find who holds a port")                  \
    X(PORT_COMMAND_BYTES, 512, "bytes", "told of the command of an owner")     \
    X(FORWARD_PORTS, 1024, "ports", "of loopback, forwarded to")               \
    X(FORWARD_CONNECTIONS, 4096, "connections", "forwarded; beyond: reset")    \
    X(FORWARD_PIPES, 256, "pipes",                                             \
      "with bytes in flight; further connections copy")                        \
    X(FORWARD_PIPE_BYTES, 256 * 1024, "bytes",                                 \
      "in flight in one direction of a connection, and moved at a time")       \
    X(METRICS_WAIT_MS, 250, "ms",                                              \
      "for a reading of the kernel's figures, before an answer goes without")  \
    X(REQUEST_ID_BYTES, 128, "bytes",                                          \
      "X-Request-Id; a longer one is not ours")                                \
    X(LOG_QUEUE_BYTES, 64 * 1024, "bytes", "log lines not yet written")

enum limits {
#define X(name, value, unit, what) LIMIT_##name = (value),
    LIMITS_TABLE(X)
#undef X
};

#endif
