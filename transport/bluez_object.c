#include "transport/bluez_object.h"

enum { ENTRIES_MAX = 256 }; /* of a dictionary that are looked at: no true one has as many */

/* ---- Texts ------------------------------------------------------------------ */

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Reads n bytes in hexadecimal, with the separator before each byte whose bit is set in before; NULL: it is
 * something else. Returns what follows. */
static const char *read_hex(uint8_t *out, size_t n, const char *text, char separator, uint32_t before)
{
	for (size_t i = 0; i < n; i++) {
		int high, low;

		if ((before & BIT(i)) != 0 && *text++ != separator)
			return NULL;
		high = digit_of(text[0]);
		low = high < 0 ? -1 : digit_of(text[1]);
		if (low < 0)
			return NULL;
		out[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	return text;
}

enum { DASHES = BIT(4) | BIT(6) | BIT(8) | BIT(10) };

bool bluez_uuid_read(uint8_t out[static BLUEZ_UUID_LEN], const char *text)
{
	const char *const end = read_hex(out, BLUEZ_UUID_LEN, text, '-', DASHES);

	return end != NULL && *end == '\0';
}

void bluez_uuid_write(char out[static BLUEZ_UUID_TEXT_LEN + 1], const uint8_t uuid[static BLUEZ_UUID_LEN])
{
	static const char digits[] = "0123456789abcdef";
	char *at = out;

	for (size_t i = 0; i < BLUEZ_UUID_LEN; i++) {
		if ((DASHES & BIT(i)) != 0)
			*at++ = '-';
		*at++ = digits[uuid[i] >> 4];
		*at++ = digits[uuid[i] & 15];
	}
	*at = '\0';
}

/* What follows prefix in text, or NULL. */
static const char *after(const char *prefix, const char *text)
{
	const size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

/* /org/bluez/hci0 and /org/bluez/hci0/dev_00_11_22_33_44_55 */
bool bluez_object_path(struct bluez_path *out, const char *path)
{
	struct bluez_path p = { 0 };
	const char *at = after("/org/bluez/hci", path);
	int digits = 0;

	if (at == NULL)
		return false;
	for (; *at >= '0' && *at <= '9' && digits < 5; digits++)
		p.number = p.number * 10 + (uint32_t)(*at++ - '0');
	if (digits == 0)
		return false;
	if (*at != '\0') {
		at = after("/dev", at);
		at = at == NULL ? NULL : read_hex(p.address, sizeof(p.address), at, '_', UINT32_MAX);
		if (at == NULL || *at != '\0')
			return false;
		p.is_device = true;
	}
	*out = p;
	return true;
}

uint8_t bluez_object_address_type(const char *text)
{
	if (strcmp(text, "public") == 0)
		return BLUEZ_PUBLIC;
	return strcmp(text, "random") == 0 ? BLUEZ_RANDOM : 0;
}

/* ---- Dictionaries ----------------------------------------------------------- */

/* Enters a variant whose content has this type; passes over any other. > 0: it is entered. */
static int enter_variant(sd_bus_message *m, const char *type)
{
	const char *content;

	if (sd_bus_message_peek_type(m, NULL, &content) <= 0)
		return -1;
	if (strcmp(content, type) != 0)
		return sd_bus_message_skip(m, "v") < 0 ? -1 : 0;
	return sd_bus_message_enter_container(m, 'v', type) < 0 ? -1 : 1;
}

/* Calls value() with each entry of an a{sv}, which reads or passes over the variant. */
static bool each_entry(sd_bus_message *m, int (*value)(void *arg, const char *key, sd_bus_message *m),
                       void *arg)
{
	int r;

	if (sd_bus_message_enter_container(m, 'a', "{sv}") <= 0)
		return false;
	for (int i = 0; (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0; i++) {
		const char *key;

		if (sd_bus_message_read(m, "s", &key) <= 0)
			return false;
		if ((i < ENTRIES_MAX ? value(arg, key, m) : sd_bus_message_skip(m, "v")) < 0)
			return false;
		if (sd_bus_message_exit_container(m) < 0)
			return false;
	}
	return r == 0 && sd_bus_message_exit_container(m) >= 0;
}

/* The value of a variant, borrowed from the message; < 0: damaged, 0: of another type. */
static int read_value(sd_bus_message *m, const char *type, void *out)
{
	int r = enter_variant(m, type);

	if (r <= 0)
		return r;
	if (sd_bus_message_read_basic(m, type[0], out) <= 0)
		return -1;
	return sd_bus_message_exit_container(m) < 0 ? -1 : 1;
}

/* ---- Adapters --------------------------------------------------------------- */

static int read_bool(sd_bus_message *m, bool *out)
{
	int yes;
	const int r = read_value(m, "b", &yes);

	if (r > 0)
		*out = yes != 0;
	return r;
}

/* "central" among them says that it can do Low Energy (since BlueZ 5.51; before, nothing is said). */
static int read_roles(struct bluez_adapter *a, sd_bus_message *m)
{
	const char *role;
	bool central = false;
	int r = enter_variant(m, "as");

	if (r <= 0)
		return r;
	if (sd_bus_message_enter_container(m, 'a', "s") <= 0)
		return -1;
	while ((r = sd_bus_message_read(m, "s", &role)) > 0)
		central |= strcmp(role, "central") == 0;
	if (r < 0 || sd_bus_message_exit_container(m) < 0)
		return -1;
	a->no_le = !central;
	return sd_bus_message_exit_container(m);
}

static int adapter_property(void *arg, const char *key, sd_bus_message *m)
{
	struct bluez_adapter *const a = arg;
	const char *text;
	int r;

	if (strcmp(key, "Powered") == 0)
		return read_bool(m, &a->powered);
	if (strcmp(key, "Discovering") == 0)
		return read_bool(m, &a->discovering);
	if (strcmp(key, "Roles") == 0)
		return read_roles(a, m);
	if (strcmp(key, "Address") == 0) {
		uint8_t address[BLUEZ_ADDRESS_LEN];
		const char *end;

		r = read_value(m, "s", &text);
		end = r <= 0 ? NULL : read_hex(address, sizeof(address), text, ':', UINT32_MAX - 1);
		if (end == NULL || *end != '\0')
			return r;
		memcpy(a->address, address, sizeof(address));
		if (a->address_type == 0)
			a->address_type = BLUEZ_PUBLIC;
		return r;
	}
	if (strcmp(key, "AddressType") == 0) {
		r = read_value(m, "s", &text);
		if (r > 0 && bluez_object_address_type(text) != 0)
			a->address_type = bluez_object_address_type(text);
		return r;
	}
	return sd_bus_message_skip(m, "v");
}

bool bluez_object_adapter(struct bluez_adapter *a, sd_bus_message *m)
{
	return each_entry(m, adapter_property, a);
}

static int manager_property(void *arg, const char *key, sd_bus_message *m)
{
	unsigned *const adverts = arg;
	uint8_t n;
	int r;

	if (strcmp(key, "SupportedInstances") != 0 && strcmp(key, "ActiveInstances") != 0)
		return sd_bus_message_skip(m, "v");
	r = read_value(m, "y", &n);
	if (r > 0)
		*adverts += n;
	return r;
}

/* SupportedInstances are those that are still free. */
bool bluez_object_manager(struct bluez_adapter *a, sd_bus_message *m)
{
	unsigned adverts = 0;
	const bool whole = each_entry(m, manager_property, &adverts);

	a->adverts = (uint8_t)MIN(adverts, (unsigned)UINT8_MAX);
	return whole;
}

/* ---- Devices ---------------------------------------------------------------- */

static int service_data(void *arg, const char *key, sd_bus_message *m)
{
	struct bluez_device *const d = arg;
	uint8_t *const advert = d->adverts[MIN(d->adverts_len, BLUEZ_ADVERTS_MAX - 1)];
	uint8_t uuid[BLUEZ_UUID_LEN];
	const void *bytes;
	size_t len;
	int r;

	if (d->adverts_len == BLUEZ_ADVERTS_MAX || !bluez_uuid_read(uuid, key))
		return sd_bus_message_skip(m, "v");
	r = enter_variant(m, "ay");
	if (r <= 0)
		return r;
	if (sd_bus_message_read_array(m, 'y', &bytes, &len) < 0)
		return -1;
	if (len == ADVERT_LEN - BLUEZ_UUID_LEN) {
		memcpy(advert, uuid, sizeof(uuid));
		memcpy(advert + sizeof(uuid), bytes, len);
		d->adverts_len++;
	}
	return sd_bus_message_exit_container(m);
}

static int device_property(void *arg, const char *key, sd_bus_message *m)
{
	struct bluez_device *const d = arg;
	const char *text;
	int r;

	if (strcmp(key, "AddressType") == 0) {
		r = read_value(m, "s", &text);
		if (r > 0)
			d->address_type = bluez_object_address_type(text);
		return r;
	}
	if (strcmp(key, "ServiceData") != 0)
		return sd_bus_message_skip(m, "v");
	r = enter_variant(m, "a{sv}");
	if (r <= 0)
		return r;
	return each_entry(m, service_data, d) ? sd_bus_message_exit_container(m) : -1;
}

bool bluez_object_device(struct bluez_device *d, sd_bus_message *m)
{
	return each_entry(m, device_property, d);
}
