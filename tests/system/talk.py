#!/usr/bin/env python3
"""Two people write to each other while their devices are killed and the network comes and goes.

    talk.py FLYLEAF CHECK_VAULT QUICK_GUESS [--full] [--seed N] [--messages N] [--kills N]

Two nodes in two network namespaces pair by code with the command line; one calls. Each author writes bursts of
messages while either process is killed with SIGKILL at random, and the network is cut at random: the cable is
pulled, or nothing passes and nobody is told, or the address changes.

    always      what a node has said is kept - its own messages and the other's - is there after a kill, as it was;
                messages that were being handed in when it died are kept up to some one, and none after it;
                what one side says is stored by the other is stored by the other
    at the end  nothing lost, nothing twice, each author's order kept, all of it `stored`, both vaults whole
"""

import argparse
import signal
import subprocess
import time

import lab

BURST_MAX = 60
LINK_S = 120  # how long everything may take to arrive once the faults have stopped


def text_of(random, author, number):
    """Mostly a line, at times a page, rarely the longest that is allowed."""
    size = random.choice([random.randrange(1, 80)] * 12 + [random.randrange(80, 1200)] * 4 + [random.randrange(1200, 8000)])
    if random.random() < 0.002:
        size = 32000
    head = f"{author} {number} "
    return (head + "".join(random.choice("abcdefgh äß—漢🙂") for _ in range(size)))[:8000] if size < 32000 else \
        head + "x" * (32000 - len(head))


class Author:
    """One of the two: the node, what it was given to say, and what it was seen to keep."""

    def __init__(self, node, other_name, texts):
        self.node, self.other_name, self.texts = node, other_name, texts
        self.kept = []     # the conversation as it was read, [(own, text)]
        self.own = []      # positions of the own messages in it
        self.given = 0     # how many texts were handed in and said to be kept
        self.flying = 0    # handed in after those, without a reply yet
        self.cuts = 0      # kills that found some of them flying
        self.stored_before = 0

    def give(self, n):
        """Hands in the next n texts, and waits for no reply."""
        for text in self.texts[self.given + self.flying:self.given + self.flying + n]:
            self.node.face.put("send", name=self.other_name, text=text)
            self.flying += 1

    def listen(self):
        """Takes the replies and events that are there."""
        while self.node.face.fill(0):
            pass
        self.take_replies(self.node.face)

    def take_replies(self, face):
        for reply in face.lines:
            lab.check(reply["ok"], f"{self.node.name}: a message was refused: {reply}")
            self.given += 1
            self.flying -= 1
        face.lines.clear()
        for event in face.events:
            if event["event"] == "stored":
                self.stored_before = max(self.stored_before, event["before"])
        face.events.clear()

    def kill(self):
        """What it said up to its end counts."""
        face, self.node.face = self.node.face, None
        self.node.kill()
        while face.fill(1):
            pass
        self.take_replies(face)
        face.close()
        self.cuts += self.flying > 0

    def settle(self):
        """Waits for all replies."""
        while self.flying:
            lab.check(self.node.face.fill(60), f"{self.node.name} does not reply")
            self.take_replies(self.node.face)

    def read_on(self):
        """Reads what is new, and sees that nothing that was read before has changed."""
        self.settle()
        again = max(0, len(self.kept) - 5)
        rows = self.node.read(self.other_name, again)
        lab.check([m["position"] for m in rows] == list(range(again, again + len(rows))), "a position is missing")
        rows = [(m["own"], m["text"]) for m in rows]
        lab.check(rows[:len(self.kept) - again] == self.kept[again:], f"{self.node.name}: what was read before is not there")
        for own, text in rows[len(self.kept) - again:]:
            if own:
                self.own.append(len(self.kept))
            self.kept.append((own, text))

    def revive(self):
        """After a kill: the node opens, and has everything that it said it has."""
        self.node.start()
        flying, self.flying = self.flying, 0
        self.read_on()
        kept = len(self.own)
        lab.check(self.given <= kept <= self.given + flying,
                  f"{self.node.name} had {self.given} and {flying} on their way; {kept} are there")
        self.given = kept
        lab.check([self.kept[i][1] for i in self.own] == self.texts[:kept], f"{self.node.name}: own messages changed")
        self.node.ask("follow")
        self.node.face.events.clear()

    def others(self):
        return [text for own, text in self.kept if not own]

    def knows_stored(self):
        """How many own messages it takes for stored by the other side."""
        return sum(1 for i in self.own if i < self.stored_before)


class Network:
    """Cuts of three kinds, one at a time."""

    def __init__(self, l, random, names):
        self.lab, self.random, self.names = l, random, names
        self.mend, self.until, self.number, self.cuts = None, 0, 100, 0

    def maybe_cut(self):
        if self.mend is not None or self.random.random() > 0.4:
            return
        name, kind = self.random.choice(self.names), self.random.choice(["carrier", "silence", "renumber"])
        self.cuts += 1
        if kind == "renumber":
            self.number += 1
            self.lab.renumber(name, 100 + self.number % 100)
            return
        getattr(self.lab, kind)(name, kind == "silence")
        self.until = time.monotonic() + self.random.uniform(0.1, 2)
        self.mend = lambda: getattr(self.lab, kind)(name, kind != "silence")

    def tick(self, now=False):
        if self.mend is not None and (now or time.monotonic() > self.until):
            self.mend()
            self.mend = None


def live(authors, network, seconds):
    """Lets the two run for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for author in authors:
            author.listen()
        network.tick()
        time.sleep(0.02)


def one_kill(random, authors, network, burst):
    """Some talk, then a kill in the middle of it, and the other lives on for a moment before the first is back."""
    victim, other = random.sample(authors, 2)
    live(authors, network, random.choice([0, 0.05, 0.3, random.uniform(0, 1.5), random.uniform(0, 3)]))
    network.maybe_cut()
    for author in authors:
        author.give(random.randrange(burst))
    live([other], network, random.choice([0, 0, 0.002, 0.01, random.uniform(0, 0.1)]))
    victim.kill()
    if random.random() < 0.1:  # both at once
        other.kill()
        other.revive()
    victim.revive()
    for author, peer in ((victim, other), (other, victim)):
        peer.read_on()
        author.listen()
        lab.check(author.knows_stored() <= len(peer.others()) or fresh(peer, author),
                  f"{author.node.name} was told of more than {peer.node.name} has stored")


def fresh(peer, author):
    """More may have come since it was read."""
    peer.read_on()
    return author.knows_stored() <= len(peer.others())


def finish(authors):
    """The rest of the messages, without faults, until all of them are stored by the other side."""
    for author in authors:
        while author.given < len(author.texts):
            author.give(200)
            author.settle()
    began = time.monotonic()
    for author in authors:
        lab.wait(f"all of {author.node.name}'s messages to be stored",
                 lambda a=author: a.node.contact(a.other_name)["waiting"] == 0, LINK_S + len(author.texts) / 100, 0.2)
    return time.monotonic() - began


def compare(authors, check_vault):
    for author, other in (authors, authors[::-1]):
        author.read_on()
        other.read_on()
        lab.check([author.kept[i][1] for i in author.own] == author.texts, f"{author.node.name}'s own messages")
        lab.check(other.others() == author.texts, f"{author.node.name}'s messages at the other: {len(other.others())} "
                  f"of {len(author.texts)}, first difference at {first_difference(other.others(), author.texts)}")
    for author in authors:
        rows = len(author.kept)
        lab.check(author.node.lock() == 0, "locking failed")
        subprocess.run([check_vault, author.node.home], input=author.node.passphrase.encode(), check=True, env=author.node.environ())
        author.node.start()
        author.read_on()
        lab.check(len(author.kept) == rows, "rows after locking")
        lab.check("report" not in author.node.ask("status"), "something was noticed when it was opened")


def first_difference(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def body(given):
    random = lab.seed_of(given.seed)
    kills = given.kills or (1000 if given.full else 100)
    messages = given.messages or (20000 if given.full else 2000)
    with lab.Lab(given.quick) as l:
        nodes = [l.node(name, given.flyleaf) for name in ("ana", "ben")]
        for node in nodes:
            node.init()
            node.start()
        lab.pair_by_command(*nodes, "Ben", "Ana")
        nodes[0].must("mode", "Ben", "call")
        authors = [Author(node, other, [text_of(random, node.name, i) for i in range(messages)])
                   for node, other in zip(nodes, ("Ben", "Ana"))]
        for author in authors:
            author.node.ask("follow")
        network = Network(l, random, ["ana", "ben"])
        burst = max(2, min(BURST_MAX, 2 * messages // kills))
        began = time.monotonic()
        for n in range(kills):
            one_kill(random, authors, network, burst)
            if (n + 1) % 20 == 0:
                print(f"{n + 1} kills, {time.monotonic() - began:.0f} s: {report(authors)}", flush=True)
        network.tick(now=True)
        last = finish(authors)
        compare(authors, given.check_vault)
        unlock = sorted(s for node in nodes for s in node.unlock_s)
        print(f"{messages} messages each way, {kills} kills of which {sum(a.cuts for a in authors)} cut a burst, "
              f"{network.cuts} cuts of the network, {time.monotonic() - began:.0f} s; the last arrived after {last:.1f} s; "
              f"to open took {unlock[len(unlock) // 2]:.2f} s (median)")


def report(authors):
    return ", ".join(f"{a.node.name} wrote {a.given}, has {len(a.others())}" for a in authors)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("flyleaf")
    p.add_argument("check_vault")
    p.add_argument("quick")
    p.add_argument("--full", action="store_true", help="20,000 messages and 1,000 kills")
    p.add_argument("--seed", type=int)
    p.add_argument("--messages", type=int)
    p.add_argument("--kills", type=int)
    given = p.parse_args()
    lab.enter()
    lab.main(lambda: body(given))
