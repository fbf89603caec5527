#!/usr/bin/env python3
"""Each system call of the program's short lives fails, once and for ever.

    syscalls.py FLYLEAF CHECK_VAULT HURT QUICK_GUESS [--full] [--seed N] [--life WORD] [--call NAME] [--n N]
                [--ever 0|1] [--choice N]

A share of the places, chosen by the seed; with --full or FLYLEAF_FULL=1 all of them. What must be true: hurt.py.
"""

import lab
import hurt

# Of each life: the first so many calls, and of the others so many of each name; each once or for ever, by chance.
SHARES = {"": (0, 1), "init": (0, 2), "run": (0, 3), "send": (0, 2)}


def body():
    given.shares = SHARES
    random = lab.seed_of(given.seed)
    with lab.Lab(given.quick) as l:
        world = hurt.World(l, given)
        hurt.campaign(world, given, random, lambda n, ever, choice: hurt.SystemCall(n, ever, choice, given.call))


if __name__ == "__main__":
    given = hurt.arguments(__doc__.splitlines()[0]).parse_args()
    lab.enter()
    lab.main(body)
