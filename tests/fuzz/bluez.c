#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "transport/bluez_object.h"

/*
 * What bluetoothd says of its objects. The first byte chooses the reader; for a reader of texts the rest is
 * the text, for a reader of messages it is a program that builds one: entries of a key and a value of any
 * type.
 */

enum { DEPTH_MAX = 3, TEXT_MAX = 64 };

static sd_bus *bus_once(void)
{
	static sd_bus *bus;
	int fds[2];

	if (bus != NULL)
		return bus;
	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	assert(sd_bus_new(&bus) >= 0 && sd_bus_set_fd(bus, fds[0], fds[0]) >= 0 && sd_bus_start(bus) >= 0);
	return bus;
}

static const char *text_of(struct reader *r)
{
	static const char *const known[] = { "Address",
		                             "AddressType",
		                             "Powered",
		                             "Discovering",
		                             "Roles",
		                             "SupportedInstances",
		                             "ActiveInstances",
		                             "ServiceData",
		                             "00112233-4455-6677-8899-aAbBcCdDeEfF",
		                             "0000180f-0000-1000-8000-00805f9b34fb",
		                             "00:AA:01:02:03:fe",
		                             "public",
		                             "random",
		                             "central" };
	static char text[TEXT_MAX + 1];
	const uint8_t which = reader_u8(r);
	const struct span bytes = which < COUNT_OF(known) ? SPAN_NONE : reader_span(r, which % TEXT_MAX);

	if (which < COUNT_OF(known))
		return known[which];
	for (size_t i = 0; i < bytes.len; i++)
		text[i] = bytes.p[i] == 0 || bytes.p[i] > 126 ? '?' : (char)bytes.p[i];
	text[bytes.len] = '\0';
	return text;
}

static void append_dictionary(sd_bus_message *m, struct reader *r, unsigned depth);

static void append_variant(sd_bus_message *m, struct reader *r, unsigned depth)
{
	static const char *const types[] = { "s", "b", "y", "ay", "as", "a{sv}", "q", "v", "o", "x" };
	const char *const type = types[reader_u8(r) % COUNT_OF(types)];
	struct span bytes;

	if (depth == DEPTH_MAX && (*type == 'v' || strcmp(type, "a{sv}") == 0)) {
		sd_bus_message_append(m, "v", "s", "deep");
		return;
	}
	sd_bus_message_open_container(m, 'v', type);
	if (strcmp(type, "a{sv}") == 0) {
		append_dictionary(m, r, depth + 1);
	} else if (*type == 'v') {
		append_variant(m, r, depth + 1);
	} else if (strcmp(type, "ay") == 0) {
		bytes = reader_span(r, reader_u8(r) % 16);
		sd_bus_message_append_array(m, 'y', bytes.p, bytes.len);
	} else if (strcmp(type, "as") == 0) {
		sd_bus_message_append(m, "as", 2, text_of(r), "peripheral");
	} else if (*type == 's') {
		sd_bus_message_append(m, "s", text_of(r));
	} else if (*type == 'o') {
		sd_bus_message_append(m, "o", "/org/bluez");
	} else if (*type == 'x') {
		sd_bus_message_append(m, "x", (int64_t)reader_u64(r));
	} else {
		sd_bus_message_append(m, type, reader_u8(r));
	}
	sd_bus_message_close_container(m);
}

static void append_dictionary(sd_bus_message *m, struct reader *r, unsigned depth)
{
	sd_bus_message_open_container(m, 'a', "{sv}");
	for (int n = reader_u8(r) % 12; n > 0 && !r->failed; n--) {
		sd_bus_message_open_container(m, 'e', "sv");
		sd_bus_message_append(m, "s", text_of(r));
		append_variant(m, r, depth);
		sd_bus_message_close_container(m);
	}
	sd_bus_message_close_container(m);
}

static void read_message(uint8_t reader, struct reader *r)
{
	struct bluez_adapter a = { 0 };
	struct bluez_device d = { 0 };
	sd_bus_message *m = NULL;
	bool whole;

	assert(sd_bus_message_new_signal(bus_once(), &m, "/", "a.b", "C") >= 0);
	if (reader == 5) /* not even a dictionary */
		append_variant(m, r, 0);
	else
		append_dictionary(m, r, 0);
	assert(sd_bus_message_seal(m, 1, 0) >= 0);
	if (reader == 2)
		whole = bluez_object_adapter(&a, m);
	else if (reader == 3)
		whole = bluez_object_manager(&a, m);
	else
		whole = bluez_object_device(&d, m);
	/* Whatever it says, it is read to its end, and what is taken has the shape that we use. */
	assert(whole == (reader != 5) && (!whole || sd_bus_message_at_end(m, true) > 0));
	assert(a.address_type <= BLUEZ_RANDOM && d.address_type <= BLUEZ_RANDOM);
	assert(d.adverts_len <= BLUEZ_ADVERTS_MAX);
	sd_bus_message_unref(m);
}

static void read_text(uint8_t reader, const char *text)
{
	uint8_t uuid[BLUEZ_UUID_LEN], again[BLUEZ_UUID_LEN];
	char written[BLUEZ_UUID_TEXT_LEN + 1];
	struct bluez_path p;

	if (reader == 0) {
		assert(!bluez_object_path(&p, text) || p.number <= 99999);
		return;
	}
	if (!bluez_uuid_read(uuid, text))
		return;
	bluez_uuid_write(written, uuid);
	assert(strlen(text) == BLUEZ_UUID_TEXT_LEN && bluez_uuid_read(again, written));
	assert(memcmp(uuid, again, sizeof(uuid)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_from(span_from(data, size));
	const uint8_t reader = reader_u8(&r) % 6;
	char *text;

	if (reader > 1) {
		read_message(reader, &r);
		return 0;
	}
	text = calloc(1, r.len + 1); /* so that a sanitizer sees a read behind the end */
	assert(text != NULL);
	reader_bytes(&r, text, r.len);
	read_text(reader, text);
	free(text);
	return 0;
}
