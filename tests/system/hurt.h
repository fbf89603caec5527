/* hurt.h: how a program that is to be hurt says that it is loaded. */
#ifndef TESTS_SYSTEM_HURT_H
#define TESTS_SYSTEM_HURT_H

enum { HURT_BEGIN = 0x68757274 }; /* for prctl(); no kernel knows it */

#endif
