/*
 * quick_guess.c: loaded into a program by LD_PRELOAD, makes a guess of the pass-phrase cheap, so that a vault
 * opens in a moment. Says to hurt.c when the program is loaded.
 */
#include <dlfcn.h>
#include <sodium.h>
#include <sys/prctl.h>

#include "tests/system/hurt.h"

typedef int (*guess)(unsigned char *const, unsigned long long, const char *const, unsigned long long,
                     const unsigned char *const, unsigned long long, size_t, int);

int crypto_pwhash(unsigned char *const out, unsigned long long out_len, const char *const passphrase,
                  unsigned long long len, const unsigned char *const salt, unsigned long long passes,
                  size_t memory, int alg)
{
	guess real;

	(void)passes;
	(void)memory;
	*(void **)&real = dlsym(RTLD_NEXT, "crypto_pwhash");
	return real(out, out_len, passphrase, len, salt, crypto_pwhash_OPSLIMIT_MIN,
	            crypto_pwhash_MEMLIMIT_MIN, alg);
}

__attribute__((constructor)) static void loaded(void)
{
	(void)prctl(HURT_BEGIN, 0, 0, 0, 0);
}
