#include "tools/sim/log.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>

#include "tools/sim/need.h"

struct log {
	struct log_options options;
	crypto_generichash_state hash;
};

struct log *log_new(const struct log_options *o)
{
	struct log *l = need(calloc(1, sizeof(*l)));

	l->options = *o;
	crypto_generichash_init(&l->hash, NULL, 0, sizeof(struct hash32));
	return l;
}

void log_free(struct log *l)
{
	free(l);
}

const char *log_time(char out[static LOG_TIME_MAX], uint64_t us)
{
	const unsigned s = (unsigned)(us / 1000000 % 86400);

	snprintf(out, LOG_TIME_MAX, "%ud %02u:%02u:%02u.%06u", (unsigned)(us / 1000000 / 86400), s / 3600,
	         s / 60 % 60, s % 60, (unsigned)(us % 1000000));
	return out;
}

void log_line(struct log *l, uint64_t now_us, const char *who, const char *format, ...)
{
	char line[1024], time[LOG_TIME_MAX];
	int len, more;
	va_list args;

	if (l == NULL)
		return;
	len = snprintf(line, sizeof(line), "%s %-12s ", log_time(time, now_us), who);
	va_start(args, format);
	more = vsnprintf(line + len, sizeof(line) - 1 - (size_t)len, format, args);
	va_end(args);
	len = MIN(len + more, (int)sizeof(line) - 2);
	line[len++] = '\n';
	crypto_generichash_update(&l->hash, (const uint8_t *)line, (size_t)len);
	if (l->options.out != NULL && now_us >= l->options.from_us &&
	    (l->options.who == NULL || strcmp(l->options.who, who) == 0))
		fwrite(line, 1, (size_t)len, l->options.out);
}

void log_hash(struct log *l, struct hash32 *out)
{
	crypto_generichash_state hash = l->hash;

	crypto_generichash_final(&hash, out->b, sizeof(out->b));
}
