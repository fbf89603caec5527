#!/usr/bin/env python3
"""Two people write to each other over networks that are bad in every way there is.

    network.py FLYLEAF RELAY QUICK_GUESS [still|changing] [--full] [--seed N] [--messages N] [--only NAME]

Two nodes, paired once. For each network: Ana comes, the two link, and each writes some messages, short and long, while the
network is what it is, or changes. Nothing is lost, nothing comes twice, each author's order is kept, all of it is
`stored`; the time to the link and to the last message is printed, and decides nothing but when it is out of bounds.

Loss, doubles, delays, other bits, a path that swallows what is large, and a rate come from relay.c; isolation from the
bridge; the rest from the devices.
"""

import argparse
import os
import subprocess
import time

import lab

LINK_S, STORED_S = 120, 180
PAUSE_S = 5.1  # one contact is answered once in 5 s


class Cable:
    """Ben's cable, with a relay in it."""

    def __init__(self, l, given, random, **faults):
        self.lab, self.words = l, [f"{name}={number}" for name, number in faults.items()]
        lab.run("ip", "link", "set", "p-ben", "nomaster")
        lab.run("ip", "link", "add", "r-ben", "type", "veth", "peer", "name", "q-ben")
        for device in ("r-ben", "q-ben"):
            lab.run("sysctl", "-qw", f"net.ipv6.conf.{device}.disable_ipv6=1")
            lab.run("ip", "link", "set", device, "up")
        lab.run("ip", "link", "set", "q-ben", "master", "br0")
        self.process = subprocess.Popen([given.relay, "p-ben", "r-ben", str(random.getrandbits(32)), *self.words],
                                        stdout=subprocess.PIPE)
        lab.check(self.process.stdout.readline() == b"ready\n", "the relay does not start")

    def mend(self):
        self.process.kill()
        self.process.wait()
        lab.run("ip", "link", "del", "r-ben")
        lab.run("ip", "link", "set", "p-ben", "master", "br0")


class Two:
    """Ana, who calls, and Ben; what each has said, and how much of it the other has been seen to have."""

    def __init__(self, l, given, random):
        self.lab, self.given, self.random = l, given, random
        self.nodes = [l.node(name, given.flyleaf) for name in ("ana", "ben")]
        self.names, self.said, self.number = ("Ben", "Ana"), ([], []), 0
        for node in self.nodes:
            node.init()
            node.start()
        lab.pair(*self.nodes, *self.names)
        self.nodes[0].ask("mode", name="Ben", mode="call")
        self.link()

    def linked(self):
        return all(node.contact(name)["linked"] for node, name in zip(self.nodes, self.names))

    def link(self, seconds=LINK_S):
        """Seconds to the link."""
        began = time.monotonic()
        lab.wait("the link", self.linked, seconds, 0.01)
        self.answered = time.monotonic()
        return self.answered - began

    def pause(self):
        time.sleep(max(0, self.answered + PAUSE_S - time.monotonic()))

    def go(self):
        """Ana goes, and comes again, so that there is a link to be made."""
        self.nodes[0].kill()

    def come(self):
        self.nodes[0].start()

    def say(self, n):
        for i in range(n):
            for node, name, said in zip(self.nodes, self.names, self.said):
                self.number += 1
                size = self.random.choice([10, 10, 10, 200, 900, 3000])
                text = f"{node.name} {self.number} " + "x" * size
                node.ask("send", name=name, text=text)
                said.append(text)

    def stored(self, seconds=STORED_S):
        """Seconds until all is stored; then everything is compared."""
        began = time.monotonic()
        for node, name in zip(self.nodes, self.names):
            lab.wait(f"all of {node.name}'s messages to be stored", lambda a=node, b=name: a.contact(b)["waiting"] == 0, seconds, 0.02)
        took = time.monotonic() - began
        for i, (node, name) in enumerate(zip(self.nodes, self.names)):
            got = [m["text"] for m in node.read(name) if not m["own"]]
            lab.check(got == self.said[1 - i], f"{node.name} has {len(got)} of {len(self.said[1 - i])} messages, or in another order")
        return took


# ---- Networks ----------------------------------------------------------------
# Each sets a network up, and gives what mends it; or does things to it while the two write.

def over(**faults):
    def prepare(two):
        return Cable(two.lab, two.given, two.random, **faults).mend
    return prepare


def both(two, *words):
    for node in two.nodes:
        two.lab.inside(node.name, *words)


def ipv6_only(two):
    both(two, "ip", "-4", "addr", "flush", "dev", "lan")
    return lambda: [two.lab.renumber(node.name, i) for i, node in enumerate(two.nodes, 1)]


def ipv4_only(two):
    both(two, "sysctl", "-qw", "net.ipv6.conf.lan.disable_ipv6=1")
    return lambda: both(two, "sysctl", "-qw", "net.ipv6.conf.lan.disable_ipv6=0")


def mtu(n):
    def prepare(two):
        both(two, "ip", "link", "set", "lan", "mtu", str(n))

        def mend():
            both(two, "ip", "link", "set", "lan", "mtu", "1500")
            both(two, "sysctl", "-qw", "net.ipv6.conf.lan.disable_ipv6=1")
            both(two, "sysctl", "-qw", "net.ipv6.conf.lan.disable_ipv6=0")
        return mend
    return prepare


def nothing(two):
    return lambda: None


def roam(two):
    """Both get other addresses, one after the other."""
    for i, node in enumerate(two.nodes):
        two.lab.renumber(node.name, 100 + two.random.randrange(100) // 2 * 2 + i)
        two.say(3)


def unplug(two):
    for node in two.nodes:
        two.lab.carrier(node.name, False)
        two.say(2)
        time.sleep(0.5)
        two.lab.carrier(node.name, True)


def down(two):
    for node in two.nodes:
        two.lab.inside(node.name, "ip", "link", "set", "lan", "down")
        two.say(2)
        time.sleep(0.5)
        two.lab.inside(node.name, "ip", "link", "set", "lan", "up")


def removed(two):
    """Ben's device goes, as a Wi-Fi stick that is pulled, and another comes."""
    lab.run("ip", "link", "del", "p-ben")
    two.say(3)
    time.sleep(1)
    lab.run("ip", "link", "add", "p-ben", "type", "veth", "peer", "name", "lan", "netns", "ben")
    lab.run("sysctl", "-qw", "net.ipv6.conf.p-ben.disable_ipv6=1")
    lab.run("ip", "link", "set", "p-ben", "master", "br0")
    two.lab.inside("ben", "ip", "addr", "add", "10.7.0.77/24", "dev", "lan")
    two.lab.inside("ben", "ip", "link", "set", "lan", "up")
    lab.run("ip", "link", "set", "p-ben", "up")


def half_open(way):
    def change(two):
        cable = Cable(two.lab, two.given, two.random, dead=way)
        two.say(3)
        time.sleep(4)
        cable.mend()
    return change


def isolated(two):
    """The access point lets guests reach nobody. Nothing but calls leaves, and what is to be said waits."""
    for node in two.nodes:
        lab.run("ip", "link", "set", f"p-{node.name}", "type", "bridge_slave", "isolated", "on")
    two.nodes[0].kill()
    watch = [two.lab.capture(node.name) for node in two.nodes]
    two.come()
    two.say(2)
    time.sleep(3)
    frames = [f for w in watch for f in w.stop() if f.left and f.protocol in ("udp", "igmp", "mld")]
    status = two.nodes[0].ask("status")
    # Ben may still hold on to the link that was, and say so to the address where Ana was.
    others = [f for f in frames if not f.is_call() and f.source == two.lab.mac("ana") and f.protocol == "udp"]
    lab.check(not others, f"{len(others)} datagrams besides calls left Ana")
    lab.check(status["linked"] == [] and status["waiting"] >= 2, f"status says {status}")
    for node in two.nodes:
        lab.run("ip", "link", "set", f"p-{node.name}", "type", "bridge_slave", "isolated", "off")


# name, what is set up before Ana comes, what happens while they write, whether only in a long run
NETWORKS = [
    ("nothing wrong", nothing, None, False),
    ("IPv6 only", ipv6_only, None, False),
    ("IPv4 only", ipv4_only, None, False),
    ("MTU 1280", mtu(1280), None, True),
    ("MTU 576", mtu(576), None, False),
    ("large packets swallowed", over(mtu=1000), None, False),
    ("10 % lost", over(loss=10), None, True),
    ("30 % lost", over(loss=30), None, False),
    ("30 % of multicast lost", over(multicast_loss=30), None, False),
    ("60 % of multicast lost", over(multicast_loss=60), None, True),
    ("90 % of multicast lost", over(multicast_loss=90), None, True),
    ("half of it twice, out of order", over(twice=50, jitter=30), None, False),
    ("delay 200 to 300 ms", over(delay=100, jitter=50), None, False),
    ("delay 2 s", over(delay=1000), None, True),
    ("other bits in 5 %", over(corrupt=5), None, False),
    ("40 kB/s", over(rate=40000), None, False),
    ("everything at once", over(loss=10, multicast_loss=20, twice=20, jitter=50, corrupt=3, rate=200000), None, True),
    ("other addresses meanwhile", nothing, roam, False),
    ("cables pulled meanwhile", nothing, unplug, False),
    ("devices down meanwhile", nothing, down, True),
    ("a device removed meanwhile", nothing, removed, False),
    ("deaf for 4 s", nothing, half_open(1), False),
    ("mute for 4 s", nothing, half_open(2), False),
    ("guests isolated meanwhile", nothing, isolated, False),
]


def one(two, name, prepare, change, messages):
    slow = "multicast" in name
    two.go()
    two.pause()
    mend = prepare(two)
    two.come()
    link = two.link(1300 if slow else LINK_S)
    two.say(messages)
    if change is not None:
        two.pause()
        change(two)
        two.say(messages)
    stored = two.stored()
    two.answered = time.monotonic() if change is not None else two.answered  # they may have linked anew
    mend()
    print(f"{name}: linked in {link:.2f} s, all stored {stored:.2f} s after the last was written", flush=True)


def body(given):
    random = lab.seed_of(given.seed)
    with lab.Lab(given.quick) as l:
        two = Two(l, given, random)
        some = [n for n in NETWORKS if given.only in (None, n[0]) and (given.full or given.only or not n[3]) and
                given.which in (None, "still" if n[2] is None else "changing")]
        if "90" in str(given.only) or given.full:
            two.nodes[1].ask("mode", name="Ana", mode="call")
        for name, prepare, change, _ in some:
            one(two, name, prepare, change, given.messages)
        print(f"{len(some)} networks, {two.number} messages: none lost, none twice, each author's order kept")


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("flyleaf")
    p.add_argument("relay")
    p.add_argument("quick")
    p.add_argument("which", nargs="?", choices=["still", "changing"], help="networks that stay as they are, or that change")
    p.add_argument("--seed", type=int)
    p.add_argument("--messages", type=int)
    p.add_argument("--only", help="one network, by its name")
    p.add_argument("--full", action="store_true", default="FLYLEAF_FULL" in os.environ, help="worse networks, more messages")
    given = p.parse_args()
    given.messages = given.messages or (200 if given.full else 20)
    lab.enter()
    lab.main(lambda: body(given))
