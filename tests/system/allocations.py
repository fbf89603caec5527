#!/usr/bin/env python3
"""Each allocation of the program's short lives fails, once, and together with all after it.

    allocations.py FLYLEAF CHECK_VAULT HURT QUICK_GUESS FAILING_MALLOC [--full] [--seed N] [--life WORD] [--n N] [--ever 0|1]

A share of the places, chosen by the seed; with --full or FLYLEAF_FULL=1 all of them. What must be true: hurt.py.
"""

import lab
import hurt

# Of each life: the first so many allocations, and so many of the others.
SHARES = {"": (0, 12), "init": (0, 20), "run": (40, 80)}


def body():
    given.shares = SHARES
    random = lab.seed_of(given.seed)
    with lab.Lab(given.quick) as l:
        world = hurt.World(l, given)
        hurt.campaign(world, given, random, lambda n, ever, _: hurt.Malloc(n, ever))


if __name__ == "__main__":
    p = hurt.arguments(__doc__.splitlines()[0])
    p.add_argument("malloc")
    given = p.parse_args()
    lab.enter()
    lab.main(body)
