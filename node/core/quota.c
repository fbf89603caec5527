#include "node/core/quota.h"

#include "node/core/limits.h"

uint64_t quota_until_us(const struct quota *q)
{
	return q->from_us + QUOTA_S * UINT64_C(1000000);
}

bool quota_is_left(const struct quota *q, uint64_t now_us)
{
	return q->bytes < QUOTA_BYTES || now_us >= quota_until_us(q);
}

void quota_count(struct quota *q, uint64_t now_us, size_t envelope, int64_t messages)
{
	if (q->bytes == 0 || now_us >= quota_until_us(q))
		*q = (struct quota){ .from_us = now_us };
	q->bytes += envelope + (uint64_t)messages * QUOTA_MESSAGE_BYTES;
}
