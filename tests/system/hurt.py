"""The real program, hurt in one place: a system call or an allocation of it fails, once or for ever, or it is killed.

A life is one process of the program, with what is done to it and what is expected of it. Two people, Ana and Ben, are
contacts, on one loopback; their vaults are in memory. Whatever was done to it, a process

    ends soon, by itself and not by a signal of the kernel's
    with a documented exit code, and having said why where it is not 0
    and leaves a vault that opens and has every message of which it said that it is kept, once, in order
"""

import argparse
import contextlib
import os
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import time

import lab

FAILED_MAX = 10  # then nothing more is to be learned
LIFE_S = 60  # no life may take longer; on an idle machine none takes five
DONE, REFUSED, NO_NODE, SYSTEM, INTERRUPTED = 0, 1, 3, 8, 130
DOCUMENTED = (0, 1, 2, 3, 4, 5, 6, 7, 8, 130)  # flyleaf(1), EXIT STATUS


# ---- What is done to it --------------------------------------------------------

def counted(only):
    return [] if only is None else ["-a", only]


class SystemCall:
    """The nth system call fails; ever: all of its kind do from there on. only: of those of this name."""

    def __init__(self, n, ever=False, choice=0, only=None):
        self.n, self.ever, self.choice, self.only = n, ever, choice, only

    def __str__(self):
        return f"{self.only or 'system call'} {self.n}{' for ever' if self.ever else ''}, choice {self.choice}"

    def options(self):
        return ["--n", self.n, "--ever", int(self.ever), "--choice", self.choice] + (["--call", self.only] if self.only else [])

    def begin(self, world, node, words, **how):
        options = ["-n", str(self.n), "-c", str(self.choice)] + (["-e"] if self.ever else []) + counted(self.only)
        return Hurt(world, node, options, words, **how)


class Kill:
    """SIGKILL before the nth system call. only: of those of this name."""

    def __init__(self, n, only=None):
        self.n, self.only = n, only

    def __str__(self):
        return f"killed before {self.only or 'system call'} {self.n}"

    def options(self):
        return ["--n", self.n] + (["--call", self.only] if self.only else [])

    def begin(self, world, node, words, **how):
        return Hurt(world, node, ["-k", "-n", str(self.n), *counted(self.only)], words, **how)


class Malloc:
    """The nth allocation fails; ever: all after it do too."""

    def __init__(self, n, ever=False):
        self.n, self.ever = n, ever

    def __str__(self):
        return f"allocation {self.n}{' and all after it' if self.ever else ''}"

    def options(self):
        return ["--n", self.n, "--ever", int(self.ever)]

    def begin(self, world, node, words, **how):
        return Starved(world, node, self, words, **how)


# ---- A process -----------------------------------------------------------------

class Outcome:
    """code: negative for a signal. places: what could be hit, by number, when nothing was."""

    def __init__(self, code, places, hit, out, err, took):
        self.code, self.places, self.hit = code, places, hit
        self.out, self.err, self.took = out, err, took


class Process:
    """A process of the program. Its output goes to files, so that nobody waits for a reader."""

    def __init__(self, world, node, before, words, preload, passphrase=None, text=b"", more=None, fds=()):
        self.node, self.began = node, time.monotonic()
        self.files = [world.scratch() for _ in range(3)]
        with open(self.files[0], "wb") as f:
            f.write(text)
        extra, fds = [], list(fds)
        fd = None
        if passphrase is not None:
            fd = lab.passphrase_fd(passphrase)
            extra, fds = ["--passphrase-fd", str(fd)], [*fds, fd]
        environ = {**node.environ(), **lab.preloaded(*preload), **(more or {})}
        with open(self.files[0], "rb") as i, open(self.files[1], "wb") as o, open(self.files[2], "wb") as e:
            self.process = subprocess.Popen([*before, node.flyleaf, "--home", node.home, *extra, *words], env=environ, stdin=i,
                                            stdout=o, stderr=e, pass_fds=fds, start_new_session=True)
        if fd is not None:
            os.close(fd)

    def running(self):
        return self.process.poll() is None

    def said(self):
        with open(self.files[1], "rb") as f:
            return f.read().decode(errors="replace")

    def wait(self, seconds):
        """False when it has not ended in time."""
        try:
            self.process.wait(seconds)
            return True
        except subprocess.TimeoutExpired:
            return False

    def heeds(self, number):
        """It has said what it does on this signal, or has ended."""
        with contextlib.suppress(OSError, StopIteration):
            with open(f"/proc/{self.program()}/status") as f:
                masks = [int(line.split()[1], 16) for line in f if line.startswith(("SigBlk", "SigIgn", "SigCgt"))]
            return any(mask >> number - 1 & 1 for mask in masks)
        return not self.running()

    def signal(self, number):
        """As a person does, who waits until it is there."""
        with contextlib.suppress(lab.Failure):
            lab.wait("the program to heed a signal", lambda: self.heeds(number) or not self.running(), LIFE_S, 0.002)
        with contextlib.suppress(ProcessLookupError, TypeError):
            os.kill(self.program(), number)

    def state(self):
        """Where it is, for whoever looks for the fault."""
        said = []
        for part in ("comm", "wchan", "syscall", "stack"):
            with contextlib.suppress(OSError, TypeError):
                with open(f"/proc/{self.program()}/{part}") as f:
                    said.append(f"{part}: {f.read().strip()}")
        return "; ".join(said)

    def program(self):
        """The number of the program's process, or None when it is not known yet."""
        return self.process.pid

    def hit(self):
        return "?"

    def stop(self):
        if self.running():
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def texts(self):
        out = []
        for path in self.files[1:]:
            with open(path, "rb") as f:
                out.append(f.read().decode(errors="replace"))
        for path in self.files:
            os.remove(path)
        return out


class Hurt(Process):
    """Under hurt.c."""

    def __init__(self, world, node, options, words, **how):
        read, write = os.pipe()
        self.report, self.read = b"", read
        self.pid = None
        super().__init__(world, node, [world.hurt, "-u", str(node.user), *options, str(write)], words, [world.quick],
                         fds=[write], **how)
        os.close(write)

    def take(self):
        with contextlib.suppress(BlockingIOError):
            os.set_blocking(self.read, False)
            while (part := os.read(self.read, 4096)):
                self.report += part
        return dict(line.split(b" ", 1) for line in self.report.splitlines() if b" " in line)

    def places(self):
        lines = [line.split() for line in self.report.splitlines()]
        calls = [words for words in lines if words and words[0] in (b"call", b"spared")]
        return {n: name.decode() for n, (what, name) in enumerate(calls, 1) if what == b"call"}

    def program(self):
        if self.pid is None:
            self.pid = int(self.take().get(b"pid", 0)) or None
        return self.pid

    def hit(self):
        return self.take().get(b"hit", b"nothing was hit").decode(errors="replace")

    def outcome(self):
        report = self.take()
        os.close(self.read)
        if b"calls" not in report:
            raise lab.Failure(f"hurt did not report: {self.report} {self.texts()}")
        code = int(report[b"exit"]) if b"exit" in report else -int(report[b"signal"])
        return Outcome(code, self.places(), report.get(b"hit", b"").decode(errors="replace"), *self.texts(),
                       time.monotonic() - self.began)


class Starved(Process):
    """With failing_malloc.c loaded."""

    PLAN = struct.Struct("<4Q")

    def __init__(self, world, node, plan, words, **how):
        self.path, self.plan = world.scratch(), plan
        with open(self.path, "wb") as f:
            f.write(self.PLAN.pack(plan.n, plan.ever, 0, 0))
        os.chown(self.path, node.user, node.user)
        super().__init__(world, node, node.prefix(), words, [world.quick, world.malloc], more={"FAILING_MALLOC": self.path}, **how)

    def outcome(self):
        with open(self.path, "rb") as f:
            n, _, count, caller = self.PLAN.unpack(f.read())
        os.remove(self.path)
        hit = f"at {caller:#x}" if 0 < n <= count else ""
        return Outcome(self.process.returncode, dict.fromkeys(range(1, count + 1), "allocation"), hit, *self.texts(), time.monotonic() - self.began)


# ---- The two people --------------------------------------------------------------

class Near(lab.Node):
    """A node of the test's own namespace, on an address of the loopback."""

    def __init__(self, world, name, number):
        super().__init__(world.lab, name, world.flyleaf, home=os.path.join(world.ram, name))
        self.interfaces = f"lo=127.0.0.{number}"

    def prefix(self):
        return ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", "--bounding-set=-all",
                "--inh-caps=-all"]

    def start(self, *words):
        super().start("--interfaces", self.interfaces, *words)

    def make(self):
        self.must("init", passphrase=self.passphrase)


class World:
    """Ana, who is hurt, and Ben, who is not. kept: what Ana said is kept, in order; maybe: what came before it, of which
    she said nothing."""

    def __init__(self, l, given, peer=True):
        self.lab, self.count, self.quick = l, 0, l.quick
        self.ram = os.path.join(l.dir, "ram")
        os.mkdir(self.ram)
        lab.run("mount", "-t", "tmpfs", "-o", "mode=755", "none", self.ram)
        # Where every user can read them.
        self.flyleaf, self.hurt = (shutil.copy(path, self.ram) for path in (given.flyleaf, given.hurt))
        self.malloc = shutil.copy(given.malloc, self.ram) if getattr(given, "malloc", None) else None
        self.check_vault = given.check_vault
        self.ana, self.ben = self.near("ana", 1), self.near("ben", 2)
        self.written, self.kept, self.maybe = 0, [], set()
        for node in (self.ana, self.ben):
            node.make()
            node.start()
        lab.pair(self.ana, self.ben, "Ben", "Ana")
        self.ana.ask("mode", name="Ben", mode="call")
        lab.wait("the two to meet", lambda: self.ana.contact("Ben")["linked"] and self.ben.contact("Ana")["linked"], 30)
        for i in range(3):
            self.ana.ask("send", name="Ben", text=self.next(True))
            self.ben.ask("send", name="Ana", text=f"from Ben {i}")
        lab.wait("all to be stored", lambda: all(n.contact(m)["waiting"] == 0 for n, m in ((self.ana, "Ben"), (self.ben, "Ana"))), 30)

    def near(self, name, number):
        node = Near(self, name, number)
        self.lab.nodes.append(node)
        return node

    def scratch(self):
        self.count += 1
        return os.path.join(self.ram, f"scratch-{self.count}")

    def next(self, kept=False):
        """A text of Ana's that was not there before."""
        self.written += 1
        text = f"from Ana {self.written} {'x' * (self.written * 37 % 500)}"
        if kept:
            self.kept.append(text)
        return text

    def compare(self):
        """What Ana has, against what was said. She runs, and is healthy."""
        own = [m["text"] for m in self.ana.read("Ben") if m["own"]]
        kept, self.kept = self.kept, own
        lab.check(len(set(own)) == len(own), "a message is there twice")
        lab.check([t for t in own if t in set(kept)] == kept, f"of {len(kept)} kept messages {len(set(kept) & set(own))} are there")
        lab.check(set(own) - set(kept) <= self.maybe, "something is there that nobody wrote")
        lab.check(numbers(own) == sorted(numbers(own)), "the order is another")
        self.maybe = set()

    def finish(self):
        """All arrives, and both vaults are whole."""
        self.ana.start()
        self.compare()
        lab.wait("all to be stored", lambda: self.ana.contact("Ben")["waiting"] == 0, 60)
        theirs = [m["text"] for m in self.ben.read("Ana") if not m["own"]]
        lab.check(theirs == self.kept, f"Ben has {len(theirs)} messages of {len(self.kept)}")
        for node in (self.ana, self.ben):
            lab.check(node.lock() == 0, "locking failed")
            subprocess.run([self.check_vault, node.home], input=node.passphrase.encode(), check=True,
                           env=node.environ())


# ---- Lives -------------------------------------------------------------------------

def judge(outcome):
    """What must be true of every end."""
    if outcome.code == -signal.SIGKILL and outcome.hit.startswith("killed"):
        return
    lab.check(outcome.code >= 0, f"ended by signal {-outcome.code}: {outcome.err[-500:]}")
    lab.check(outcome.code in DOCUMENTED, f"exit code {outcome.code} is not documented: {outcome.err[-500:]}")
    if outcome.code not in (DONE, INTERRUPTED):
        lab.check("flyleaf: " in outcome.err or outcome.out, f"exit code {outcome.code}, and nothing is said")


def end(process):
    end.hit = "?"
    if not process.wait(LIFE_S):
        end.hit, where = process.hit(), process.state()
        process.stop()
        raise lab.Failure(f"did not end within {LIFE_S} s; {where}; it said {process.texts()}")
    outcome = process.outcome()
    end.hit = outcome.hit
    judge(outcome)
    return outcome


class Word:
    """A life of the command line. Ana's node is healthy and runs, where node is set."""

    def __init__(self, word, *operands, node=True, stdin=b"", same=False, passphrase=False):
        self.name, self.words, self.node, self.stdin = word, [word, *operands], node, stdin
        self.same, self.passphrase = same, passphrase
        self.healthy = None

    def live(self, world, fault):
        how = {"text": self.stdin}
        if self.passphrase:
            how["passphrase"] = world.ana.passphrase
        outcome = end(fault.begin(world, world.ana, self.words, **how))
        if fault.n == 0:
            self.healthy = self.lasting(outcome.out)
        elif outcome.code == DONE and self.same:
            lab.check(self.lasting(outcome.out) == self.healthy, f"exit code 0, but it printed {outcome.out[-300:]!r}")
        return outcome

    @staticmethod
    def lasting(out):
        """What does not change while the two come and go, and midnight passes."""
        return [line for line in out.splitlines() if not line.startswith(("state ", "waiting ", "paired "))]


class Send(Word):
    def __init__(self):
        super().__init__("send", "Ben", "-")

    def live(self, world, fault):
        text = world.next()
        world.maybe.add(text)
        self.stdin = text.encode()
        outcome = super().live(world, fault)
        if outcome.code == DONE:
            world.kept.append(text)
        world.compare()
        return outcome


class Init(Word):
    """Makes a vault of its own each time; after a failure it can be made anew in the same place."""

    def __init__(self):
        super().__init__("init", node=False, passphrase=True)

    def live(self, world, fault):
        home, world.ana.home = world.ana.home, os.path.join(world.ram, "new")
        os.mkdir(world.ana.home)
        os.chown(world.ana.home, world.ana.user, world.ana.user)
        try:
            outcome = super().live(world, fault)
            if outcome.code != DONE:
                world.ana.cli("init", passphrase=world.ana.passphrase)  # where it is not there yet
            whole = subprocess.run([world.check_vault, world.ana.home], input=world.ana.passphrase.encode(), capture_output=True,
                                   env=world.ana.environ())
            lab.check(whole.returncode == 0, f"after {outcome.code} {outcome.err!r} the vault is not whole: {whole.stdout}")
        finally:
            shutil.rmtree(world.ana.home)
            world.ana.home = home
        return outcome


class Interrupted(Word):
    """A word that goes on until it is interrupted: it is, once it printed something."""

    SAID_S = 3  # where something failed it may have nothing to say

    def live(self, world, fault):
        process = fault.begin(world, world.ana, self.words)
        end_s = time.monotonic() + self.SAID_S
        while process.running() and time.monotonic() < end_s and self.until not in process.said():
            time.sleep(0.005)
        if process.running():
            process.signal(signal.SIGINT)
        outcome = end(process)
        try:
            world.ana.ask("pair_cancel")
        except lab.Refused:
            pass
        return outcome

    def __init__(self, word, *operands, until):
        super().__init__(word, *operands)
        self.until = until


def numbers(texts):
    return [int(t.split()[2]) for t in texts]


class Run:
    """The node's own life: it opens, links, sends and receives, is asked for this and that, and is locked."""

    name, node, words = "run", False, ["run"]
    REPLY_S = 3

    def __init__(self):
        self.flying = []

    def live(self, world, fault):
        ana = world.ana
        world.ben.kill()
        world.ben.start()  # a node answers one contact once in five seconds, and a fresh one at once
        process = fault.begin(world, ana, ["run", "--interfaces", ana.interfaces], passphrase=ana.passphrase)
        face, wrong = None, None
        try:
            face = self.reach(process, ana)
            if face is not None:
                self.talk(world, face)
        except (ConnectionError, OSError, lab.Failure):
            pass  # what was said until then counts
        except ValueError as error:  # it is no JSON, or shows something else
            wrong = error
        finally:
            if face is not None:
                self.last_words(world, face)
                face.close()
        if not process.wait(0.5 if face is None else self.REPLY_S):
            process.signal(signal.SIGTERM)
        outcome = end(process)
        ana.start()
        world.compare()
        ana.kill()
        lab.check(wrong is None, f"what it says is wrong: {wrong}")
        return outcome

    @staticmethod
    def reach(process, ana):
        end_s = time.monotonic() + 5
        while process.running() and time.monotonic() < end_s:
            with contextlib.suppress(OSError):
                return lab.Face(ana.home, ana.user)
            time.sleep(0.002)
        return None

    def ask(self, face, word, **fields):
        face.put(word, **fields)
        return face.reply(self.REPLY_S)

    def talk(self, world, face):
        for word in ("hello", "follow", "status", "contacts"):
            self.ask(face, word)
        world.ben.ask("send", name="Ana", text=f"from Ben {time.monotonic()}")
        for _ in range(3):
            text = world.next()
            world.maybe.add(text)
            self.flying.append(text)
            face.put("send", name="Ben", text=text)
        while self.flying:
            self.taken(world, face.reply(self.REPLY_S))
        end_s = time.monotonic() + 1
        while not {"stored", "message"} <= {e["event"] for e in face.events} and time.monotonic() < end_s:
            lab.check(face.fill(0.1) is not False, "it went away")
        self.look(world, self.ask(face, "read", name="Ben", last=20))
        for word, fields in (("show", {"name": "Ben"}), ("status", {}), ("lock", {})):
            self.ask(face, word, **fields)

    @staticmethod
    def look(world, reply):
        """All that is shown is whole, and none is left out."""
        if not reply["ok"]:
            return
        own = [m["text"] for m in reply["messages"] if m["own"]]
        known = set(world.kept)
        mine = [t for t in own if t in known]
        before = world.kept[-len(mine):] if mine else world.kept[:0]
        # The last commit may have been whole where its fdatasync failed: such a message was refused, and is there.
        if reply["messages"][-1]["position"] + 1 != reply["next"] or mine != before or not set(own) - known <= world.maybe:
            raise ValueError(f"read shows {numbers(own)}, kept is {numbers(world.kept[-len(own) - 1:])}")

    def taken(self, world, reply):
        text = self.flying.pop(0)
        if reply["ok"]:
            world.kept.append(text)

    def last_words(self, world, face):
        """What it said before it went away."""
        with contextlib.suppress(OSError, ValueError):
            while face.fill(0.02):
                pass
        for reply in face.lines:
            if self.flying:
                self.taken(world, reply)
        self.flying = []


def picture(world):
    """A picture without a code."""
    path = os.path.join(world.ram, "picture.pgm")
    if not os.path.exists(path):
        with open(path, "wb") as f:
            f.write(b"P5\n32 32\n255\n" + bytes(32 * 32))
    return path


def lives(world):
    """Each word of the command line once, those first that change something."""
    return [Init(), Run(), Send(), Word("read", "Ben"), Word("read", "Ben", "--json"),
            Word("status"), Word("contacts"), Word("show", "Ben", same=True), Word("doctor"),
            Word("chat", "Ben", stdin=b""), Word("join", "Cleo", picture(world)),
            Interrupted("pair", "Cleo", until="Ctrl-C"), Interrupted("look", until="\n"), Word("lock")]


def chosen(random, places, first, each, full):
    """Which places are tried: all, or the first so many, and so many of each name among the others."""
    numbers = sorted(places)
    if full:
        return numbers
    out, by_name = set(numbers[:first]), {}
    for n in numbers[first:]:
        by_name.setdefault(places[n], []).append(n)
    for name in sorted(by_name):
        out.update(random.sample(by_name[name], min(each, len(by_name[name]))))
    return sorted(out)


def ready(world, life):
    """Ana's node runs, or does not, as this life wants it."""
    if life.node and (world.ana.process is None or world.ana.process.poll() is not None):
        world.ana.kill()
        world.ana.start()
    elif not life.node:
        world.ana.kill()


def one(world, life, fault):
    """One life with one fault. Returns its outcome."""
    ready(world, life)
    return life.live(world, fault)


class Tally:
    """How many lives there were, how many of them were hit, and how many went wrong."""

    def __init__(self, world, given):
        self.world, self.given, self.lives, self.hit, self.failed = world, given, 0, 0, []

    def live(self, life, fault):
        self.lives += 1
        try:
            outcome = one(self.world, life, fault)
            self.hit += outcome.hit != ""
            if self.given.verbose:
                print(f"{life.name}, {fault}: {outcome.hit}: {outcome.code} {outcome.err.strip()!r} {outcome.took:.2f} s", flush=True)
        except (lab.Failure, ValueError) as failure:  # ValueError: what it said is not as it must be
            self.failed.append(f"{' '.join(life.words)}, {fault}: {end.hit}: {failure}\n  {again(self.given, life, fault)}")
            print(f"FAILED: {self.failed[-1]}", flush=True)
            self.tell()
            self.world.ana.kill()

    def tell(self):
        """At the end of everything, where it is read."""
        if self.failed and (self.given.first or len(self.failed) == FAILED_MAX):
            raise lab.Failure("\n".join([f"{len(self.failed)} lives of {self.lives}, and it was ended", *self.failed]))

    def finish(self):
        try:
            self.world.ana.kill()
            self.world.finish()
        except lab.Failure as failure:
            self.failed.append(f"at the end of all: {failure}\n  {again(self.given)}")
        print(f"{self.lives} lives, {self.hit} were hit, {len(self.failed)} failed; {len(self.world.kept)} messages of Ana's are there")
        lab.check(not self.failed, "\n".join([f"{len(self.failed)} of {self.lives} lives", *self.failed]))


def again(given, life=None, fault=None):
    """The command that repeats it."""
    programs = [given.flyleaf, given.check_vault, given.hurt, given.quick, *filter(None, [getattr(given, "malloc", None)])]
    options = ["--life", life.name, *fault.options()] if life else []
    return "repeat: " + shlex.join(map(str, ["python3", sys.argv[0], *programs, "--seed", given.seed, *options]))


def places_of(world, life, nothing):
    """Where this life can be hit, by number. The longer of two healthy ones decides."""
    return max((one(world, life, nothing).places for _ in range(2)), key=len)


def campaign(world, given, random, kind):
    """Every life with faults of one kind. kind(n, ever, choice) makes one."""
    tally = Tally(world, given)
    for life in [x for x in lives(world) if given.life in (None, x.name)]:
        began, before = time.monotonic(), tally.lives
        places = places_of(world, life, kind(0, False, 0))
        share = given.shares.get(life.name, given.shares[""]) if given.share is None else (0, given.share)
        for n in [given.n] if given.n else chosen(random, places, *share, given.full):
            modes = (False, True) if given.ever is None else (bool(given.ever),)
            for ever in modes if given.full or given.n else random.sample(modes, 1):
                tally.live(life, kind(n, ever, random.randrange(12) if given.choice is None else given.choice))
        print(f"{life.name}: {tally.lives - before} lives of which each has {len(places)} places, "
              f"{time.monotonic() - began:.0f} s", flush=True)
    tally.finish()


def arguments(what):
    p = argparse.ArgumentParser(description=what)
    for name in ("flyleaf", "check_vault", "hurt", "quick"):
        p.add_argument(name)
    p.add_argument("--full", action="store_true", default=os.environ.get("FLYLEAF_FULL") == "1", help="every place")
    p.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    p.add_argument("--life", help="only this word")
    p.add_argument("--call", help="only at system calls of this name, counted alone")
    p.add_argument("--first", action="store_true", help="end with the first failure")
    p.add_argument("--share", type=int, help="so many places of each name")
    p.add_argument("--n", type=int, help="only at this place")
    p.add_argument("--ever", type=int, choices=(0, 1), help="only once, or only for ever")
    p.add_argument("--choice", type=int)
    p.add_argument("--verbose", action="store_true")
    return p
