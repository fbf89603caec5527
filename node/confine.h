/*
 * confine.h: what a node may ask of the system once it serves.
 *
 * Two fences of the kernel that no process gets over again, nor what it would start: Landlock for files and
 * TCP, and a seccomp filter for system calls. A fault in what reads datagrams, envelopes or control lines
 * then reaches the notebooks and the sockets of these kinds, and no other file of the person's.
 *
 *     files        HOME/notebooks as before, HOME for the socket; /sys, /proc and /dev/null to be read;
 * nothing else is opened, and no program is started sockets      datagrams over IPv4 and IPv6, Unix sockets,
 * Bluetooth channels, news of interfaces processes    no other is started, looked into, limited or sent a
 * signal; no memory becomes code
 *
 * What stays open: any Unix socket that has a name, the bus of the person's session too; names and sizes of
 * files elsewhere; command lines in /proc.
 */
#ifndef NODE_CONFINE_H
#define NODE_CONFINE_H

#include "node/base/common.h"

/* What the system has not got: the node runs without that fence. */
enum confine_lack {
	CONFINE_FILES_OPEN = BIT(0), /* no Landlock: before Linux 5.13, or not switched on */
	CONFINE_CALLS_OPEN = BIT(1), /* no seccomp */
};

/* What this system has not got: lacks. Changes nothing. */
int confine_lacks(void);

/* Confines this process for good. Called when process_harden() has been and before there is a second thread,
 * which would go free. home: the folder of the vault, as it was given. Returns the lacks, or an enum err,
 * where the process is as it was or half confined: it must end. A build with address, memory or thread
 * sanitizer is not confined, and lacks nothing: their own work at the end of a process is what is refused
 * here. */
must_check int confine_process(const char *home);

#endif
