/*
 * The messages that the codecs' harnesses read and write: every request, the
 * answers worth it, and the field kinds that these lack.
 */
#ifndef ENVD_TESTS_MESSAGE_TYPES_H
#define ENVD_TESTS_MESSAGE_TYPES_H

#include "codec_test.pb-c.h"
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

#endif
