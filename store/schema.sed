# schema.sed: schema.sql as a C string, without its comments (SQLite would keep them in the vault).
1i static const char schema_sql[] =
$a ;
s/[[:space:]]*--.*$//
s/^[[:space:]]*//
/^$/d
s/[\\"]/\\&/g
s/.*/"&\\n"/
