#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

/* usage: replay DIR: runs every file of the corpus through the one entry that is linked in */

enum { INPUT_MAX = 1 << 20 };

static int run(const char *dir, const char *name)
{
	static uint8_t buf[INPUT_MAX];
	char path[4096];
	uint8_t *exact;
	size_t len;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	if (f == NULL)
		return 0;
	len = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	exact = malloc(len == 0 ? 1 : len); /* so that a sanitizer sees a read behind the end */
	if (exact == NULL)
		return 0;
	for (size_t i = 0; i < len; i++)
		exact[i] = buf[i];
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	return 1;
}

int main(int argc, char **argv)
{
	DIR *d = argc == 2 ? opendir(argv[1]) : NULL;
	int inputs = 0;

	if (d == NULL || LLVMFuzzerInitialize(&argc, &argv) != 0)
		return 1;
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		if (e->d_name[0] != '.')
			inputs += run(argv[1], e->d_name);
	closedir(d);
	printf("%d inputs\n", inputs);
	return inputs > 0 ? 0 : 1;
}
