/*
 * nonces.h: watches that no key ever seals twice with one nonce (invariant I4).
 *
 * A program that is linked with sim_nonces_dep comes through here whenever it seals
 * something, in whichever of our libraries. What is remembered outlives every node,
 * restart and older copy put back, until nonces_reset().
 *
 * Two calls with one key, nonce, text and associated data would betray nothing. Still
 * no place of ours makes them: an envelope or a flight that is sent again was kept as
 * it was sealed. So they count as repeats, and what repeats a whole life with the same
 * seed resets first.
 */
#ifndef TOOLS_SIM_NONCES_H
#define TOOLS_SIM_NONCES_H

#include "node/base/common.h"

/* Forgets all, and counts from 0; before the first time nothing is remembered. */
void nonces_reset(void);
/* Who seals from now on, for the report; borrowed. NULL: nobody in particular. */
void nonces_label(const char *who);

uint64_t nonces_sealed(void); /* calls */
uint64_t nonces_broken(
        void); /* key and nonce as before, and not the same text: the first few are reported to stderr */
uint64_t nonces_repeated(void); /* key, nonce and text as before */

#endif
