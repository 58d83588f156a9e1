/*
 * The messages that the codecs' harnesses read and write: every request, the
 * answers worth it, and the field kinds that these lack; and the check that
 * both harnesses make.
 */
#ifndef ENVD_TESTS_MESSAGES_H
#define ENVD_TESTS_MESSAGES_H

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/scope.h"
#include "codec_test.pb-c.h"
#include "connect/codec.h"
#include "filesystem.pb-c.h"
#include "process.pb-c.h"
#include "rest.pb-c.h"

/* The order is that of the first byte of an input: append only. */
static const ProtobufCMessageDescriptor *const message_types[] = {
    &codec_test__kinds__descriptor,
    &codec_test__lists__descriptor,
    &codec_test__maps__descriptor,
    &codec_test__empty__descriptor,
    &rest__init_request__descriptor,
    &process__start_request__descriptor,
    &process__connect_request__descriptor,
    &process__list_request__descriptor,
    &process__update_request__descriptor,
    &process__stream_input_request__descriptor,
    &process__send_input_request__descriptor,
    &process__send_signal_request__descriptor,
    &process__close_stdin_request__descriptor,
    &process__start_response__descriptor,
    &process__list_response__descriptor,
    &filesystem__stat_request__descriptor,
    &filesystem__make_dir_request__descriptor,
    &filesystem__move_request__descriptor,
    &filesystem__list_dir_request__descriptor,
    &filesystem__remove_request__descriptor,
    &filesystem__watch_dir_request__descriptor,
    &filesystem__create_watcher_request__descriptor,
    &filesystem__get_watcher_events_request__descriptor,
    &filesystem__remove_watcher_request__descriptor,
    &filesystem__list_dir_response__descriptor,
    &filesystem__watch_dir_response__descriptor,
};

#define MESSAGE_ARENA_BYTES ((size_t)64 << 20)

/* Encode `m` in `codec`, decode that, and check that its JSON is `want`. */
static void
check_round_trip(enum codec codec, const ProtobufCMessage *m,
                 const struct buf *want)
{
    SCOPE(status_done) struct status st = {0};
    SCOPE(arena_done) struct arena arena = {0};
    SCOPE(buf_done) struct buf coded = {0};
    SCOPE(buf_done) struct buf out = {0};
    const ProtobufCMessage *back;

    assert(buf_reserve(&coded, 1) != NULL); /* even an empty one has memory */
    assert(codec_encode(codec, m, &coded, &st) == 0);
    back = codec_decode(codec, m->descriptor, buf_data(&coded), coded.len,
                        &arena, &st);
    assert(back != NULL);
    assert(codec_encode(CODEC_JSON, back, &out, &st) == 0);
    assert(out.len == want->len);
    assert(out.len == 0 ||
           memcmp(buf_data(&out), buf_data(want), out.len) == 0);
}

#endif
