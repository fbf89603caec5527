/*
 * trace.h: what goes to and from the controllers, and what programs ask of the kernel: recorded by btmon.
 *
 * A file of btmon is a btsnoop of type 2001, big-endian:
 *
 *     0 +8 "btsnoop\0" | 8 +4 version 1 | 12 +4 type 2001
 *     then, for each record:
 *     0 +4 original length | 4 +4 length | 8 +2 number of the controller | 10 +2 kind | 12 +4 drops | 16 +8
 * time 24 + length: the packet
 */
#ifndef TESTS_BLUETOOTH_TRACE_H
#define TESTS_BLUETOOTH_TRACE_H

#include <stddef.h>
#include <stdint.h>

enum trace_kind {
	TRACE_COMMAND = 2,
	TRACE_EVENT = 3,
	TRACE_ACL_OUT = 4,
	TRACE_ACL_IN = 5,
	TRACE_CONTROL = 16, /* what a program asks of the kernel */
};

/* From here on everything is recorded; until trace_end(). One trace at a time. */
void trace_begin(void);
void trace_end(void);
/* Hands out each record of the trace that has ended; the packet is valid in the callback only. */
void trace_each(void (*record)(void *arg, unsigned controller, unsigned kind, const uint8_t *p, size_t len),
                void *arg);

#endif
