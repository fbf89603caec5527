#include "store/meta.h"

#include "store/stmt.h"

int meta_get(struct store *s, enum meta_key key, uint64_t *out)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_META_GET);
	int r;

	stmt_bind_i64(q, 1, key);
	r = stmt_row(q);
	if (r < 0)
		return r;
	*out = r == STMT_NO_ROW ? 0 : stmt_u64(q, 0);
	return 0;
}

int meta_set(struct store *s, enum meta_key key, uint64_t value)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_META_SET);

	stmt_bind_i64(q, 1, key);
	stmt_bind_u64(q, 2, value);
	return stmt_run(q);
}
