#!/usr/bin/env python3
"""The program is killed at the boundaries of its system calls, while it sends and receives, and while it makes a vault.

    kills.py FLYLEAF CHECK_VAULT HURT QUICK_GUESS [--full] [--seed N] [--life WORD] [--n N] [--call NAME]

400 kills, spread by the seed; with --full or FLYLEAF_FULL=1 at every boundary, and 10,000 or more. Of the other person, who is
killed too before each life, nothing is asked but that all arrives at the end. What must be true: hurt.py.
"""

import lab
import hurt

RUN, INIT, FULL = 370, 30, 10000


def rounds(random, numbers, share, full):
    """The places, once or often."""
    if not full:
        return sorted(random.sample(numbers, min(share, len(numbers))))
    return numbers * -(-share // len(numbers))


def body():
    random = lab.seed_of(given.seed)
    with lab.Lab(given.quick) as l:
        world = hurt.World(l, given)
        tally = hurt.Tally(world, given)
        shares = ((hurt.Init(), INIT), (hurt.Run(), FULL if given.full else RUN))
        for life, share in [x for x in shares if given.life in (None, x[0].name)]:
            numbers = sorted(hurt.places_of(world, life, hurt.Kill(0, given.call)))
            before = tally.hit
            for n in [given.n] if given.n else rounds(random, numbers, share, given.full):
                tally.live(life, hurt.Kill(n, given.call))
            print(f"{life.name}: {tally.hit - before} kills at {len(numbers)} boundaries", flush=True)
        tally.finish()


if __name__ == "__main__":
    given = hurt.arguments(__doc__.splitlines()[0]).parse_args()
    lab.enter()
    lab.main(body)
