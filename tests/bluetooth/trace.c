#include "tests/bluetooth/trace.h"

#include <string.h>
#include <unistd.h>

#include "tests/bluetooth/device.h"

enum { HEAD = 16, RECORD = 24, TYPE = 2001, SETTLE_US = 1500000 };

void trace_begin(void)
{
	device_root(
	        "rm -f /tmp/trace; btmon -w /tmp/trace </dev/null >/dev/null 2>&1 & echo $! >/run/btmon.pid");
	usleep(SETTLE_US);
}

void trace_end(void)
{
	usleep(SETTLE_US);
	device_root("kill $(cat /run/btmon.pid); chmod 644 /tmp/trace");
}

static uint32_t be(const uint8_t *p, size_t n)
{
	uint32_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | p[i];
	return value;
}

void trace_each(void (*record)(void *arg, unsigned controller, unsigned kind, const uint8_t *p, size_t len),
                void *arg)
{
	uint8_t head[RECORD], packet[UINT16_MAX];
	FILE *f = fopen("/tmp/trace", "r");

	if (f == NULL || fread(head, 1, HEAD, f) != HEAD || memcmp(head, "btsnoop", 8) != 0 ||
	    be(head + 12, 4) != TYPE)
		device_fail("btmon has recorded nothing");
	while (fread(head, 1, RECORD, f) == RECORD) {
		const size_t len = be(head + 4, 4);

		if (len > sizeof(packet) || fread(packet, 1, len, f) != len)
			break;
		record(arg, be(head + 8, 2), be(head + 10, 2), packet, len);
	}
	fclose(f);
}
