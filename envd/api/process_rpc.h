/*
 * What the handlers of the process service share.
 */
#ifndef ENVD_API_PROCESS_RPC_H
#define ENVD_API_PROCESS_RPC_H

#include "base/status.h"
#include "connect/call.h"
#include "process.pb-c.h"

struct call;
struct envd;
struct process;

/* Handlers with streams of their own: Start and Connect (process_output.c). */
void process_rpc_start(struct call *c, const ProtobufCMessage *request);
void process_rpc_connect(struct call *c, const ProtobufCMessage *request);
void process_rpc_on_output_room(struct call *c);
void process_rpc_on_output_cancel(struct call *c, enum call_cancel why);

/* Handlers that feed a process (process_input.c). */
void process_rpc_send_input(struct call *c, const ProtobufCMessage *request);
void process_rpc_close_stdin(struct call *c, const ProtobufCMessage *request);
void process_rpc_stream_input(struct call *c, const ProtobufCMessage *request);
void process_rpc_on_input_message(struct call *c, const ProtobufCMessage *m);
void process_rpc_on_input_end(struct call *c);
void process_rpc_on_input_cancel(struct call *c, enum call_cancel why);

/*
 * Find the process a selector names.
 *
 * retained  look among those that ended, too
 *
 * Returns it, or NULL with `st` set: not_found, or unimplemented when the
 * selector is missing.
 */
struct process *process_rpc_select(struct envd *e,
                                   const Process__ProcessSelector *selector,
                                   bool retained, struct status *st);

#endif
