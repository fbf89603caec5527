/*
 * check_vault.c: whether a vault is whole, page by page and row by row.
 *
 *     check_vault HOME < PASSPHRASE      prints what was found; 0: whole, 1: not
 *
 * No node may have it open.
 */
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "store/stmt.h"
#include "tests/system/open_vault.h"

static int print_row(void *whole, int n, char **columns, char **names)
{
	(void)names;
	if (n != 1 || columns[0] == NULL || strcmp(columns[0], "ok") != 0)
		*(bool *)whole = false;
	for (int i = 0; i < n; i++)
		printf("%s%c", columns[i] != NULL ? columns[i] : "-", i + 1 < n ? ' ' : '\n');
	return 0;
}

/* SQLite's own look at every page and row; each row it gives but "ok" is a fault. */
static bool rows_are_whole(struct store *s)
{
	scoped(stmt_done) struct stmt *q = store_stmt(s, SQL_CONTACTS);
	sqlite3 *db = sqlite3_db_handle(q->raw);
	bool whole = true;
	int r = sqlite3_exec(db, "PRAGMA integrity_check", print_row, &whole, NULL);

	if (r == SQLITE_OK)
		r = sqlite3_exec(db, "PRAGMA foreign_key_check", print_row, &whole, NULL);
	return r == SQLITE_OK && whole;
}

int main(int argc, char **argv)
{
	struct vault_report found = { 0 };
	struct vault *v;
	bool whole = false;
	int r;

	if (argc != 2 || sodium_init() < 0)
		return 2;
	r = open_vault(&v, argv[1], &found);
	if (r == 0) {
		whole = rows_are_whole(vault_store(v)) && !found.damaged;
		printf("bytes cut %llu%s\n", (unsigned long long)found.log.bytes_cut,
		       found.damaged ? ", damaged" : "");
	} else {
		printf("does not open: %d\n", r);
	}
	vault_close(v);
	return whole ? 0 : 1;
}
