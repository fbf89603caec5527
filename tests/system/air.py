#!/usr/bin/env python3
"""What an onlooker of the network sees while two people pair by code and talk.

    air.py FLYLEAF [--seed N] [--messages N]

    no name, message, pass-phrase or code in it, as UTF-8 or UTF-16
    every UDP datagram has 256 or 1,232 bytes, or is a well-formed mDNS query of 396 or 1,164 bytes with TTL 255
    at each place of the datagrams of either size every byte is as likely as any other (chi-square, over 1,000 or
    more), and no place is constant
"""

import argparse
import time

import lab

SIZES = (256, 1232)
ENOUGH = 1000
Z_MAX = 6  # of the most unlikely of 1,488 places: by chance in one run of a million


def z_of(counts, n):
    """How unlikely these counts of 256 byte values are where all are as likely: in standard deviations (Wilson-Hilferty)."""
    expected, k = n / 256, 255
    chi = sum((c - expected) ** 2 for c in counts) / expected
    return ((chi / k) ** (1 / 3) - (1 - 2 / (9 * k))) / (2 / (9 * k)) ** 0.5


def look_at_places(size, datagrams):
    """Whether the datagrams of one size are noise at every place. What the protocol sends again is counted once."""
    distinct = list(dict.fromkeys(datagrams))
    lab.check(len(distinct) >= ENOUGH, f"only {len(distinct)} datagrams of {size} bytes")
    worst = (0, 0)
    for at in range(size):
        counts = [0] * 256
        for d in distinct:
            counts[d[at]] += 1
        lab.check(max(counts) < len(distinct), f"byte {at} of {size} is constant")
        worst = max(worst, (abs(z_of(counts, len(distinct))), at))
    print(f"{len(datagrams)} datagrams of {size} bytes, {len(distinct)} of them distinct: "
          f"the most unlikely place is byte {worst[1]}, z = {worst[0]:.2f}")
    lab.check(worst[0] < Z_MAX, f"byte {worst[1]} of {size} is not noise")


def talk(nodes, names, texts):
    """One message after the other, each when the one before has arrived: acknowledgements go alone."""
    for node in nodes:
        node.ask("follow")
    for i, text in enumerate(texts):
        sender, name = nodes[i % 2], names[i % 2]
        position = sender.ask("send", name=name, text=text)["position"]
        while True:
            if sender.face.event(30, "stored", name=name)["before"] > position:
                break


def body(given):
    random = lab.seed_of(given.seed)
    with lab.Lab() as l:
        ana, ben = (l.node(name, given.flyleaf) for name in ("ana", "ben"))
        names = [lab.marker("Name"), lab.marker("Name")]
        for node in (ana, ben):
            node.init()
        capture = l.capture("ana")
        ana.start(), ben.start()
        number = lab.pair_by_command(ana, ben, *names)
        ana.must("mode", names[0], "call")
        for node, name in ((ana, names[0]), (ben, names[1])):
            lab.wait("the two to meet", lambda n=node, m=name: n.contact(m)["linked"], 60)
        texts = [lab.marker("Text") + "." * random.choice([0, 20, 700, 2000]) for _ in range(given.messages)]
        talk((ana, ben), names, texts)
        ana.lock(), ben.lock()
        time.sleep(0.3)
        frames = capture.stop()
        look(frames, [" ".join(number), "".join(number)], {l.mac("ana"), l.mac("ben")})


def look(frames, texts, own):
    air = b"\0".join(f.raw for f in frames)
    found = lab.hits(air, *texts)
    lab.check(not found, f"in clear on the air: {found}")
    sizes, calls, others = {size: [] for size in SIZES}, 0, {}
    for f in frames:
        lab.check(f.source in own, f"a frame of somebody else: {f.raw[:14].hex()}")
        if f.protocol != "udp":
            others[f.protocol] = others.get(f.protocol, 0) + 1
        elif f.is_call():
            calls += 1
        else:
            lab.check(len(f.payload) in SIZES, f"a datagram of {len(f.payload)} bytes, port {f.sport} to {f.dport}")
            lab.check(min(f.sport, f.dport) >= 49152 and f.sport == f.dport, f"ports {f.sport} to {f.dport}")
            sizes[len(f.payload)].append(f.payload)
    print(f"{len(air)} bytes in {len(frames)} frames: {calls} calls and answers; not of the program: {others}")
    for size in SIZES:
        look_at_places(size, sizes[size])


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("flyleaf")
    p.add_argument("--seed", type=int)
    p.add_argument("--messages", type=int, default=1600)
    given = p.parse_args()
    lab.enter()
    lab.main(lambda: body(given))
