/*
 * connectrpc.conformance.v1.ConformanceService: answers as it is told to by
 * the request itself.
 */
#ifndef TESTS_CONFORMANCE_SERVICE_H
#define TESTS_CONFORMANCE_SERVICE_H

#include "connect/call.h"

extern const struct rpc_service conformance_service;

/* Declare the messages that travel inside others. */
void conformance_declare_types(void);

#endif
