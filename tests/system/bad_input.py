#!/usr/bin/env python3
"""What people, disks and networks get wrong, tried on the real program. Each check has a name; prints TAP.

    bad_input.py FLYLEAF QUICK_GUESS [NAME...]       NAME: only these checks

A code that is too old, and a clock that is wrong for hours, need time: tests/unit/test_node.c tries them on a virtual
clock. Here the clock is wrong from the start, by a library that is loaded into the program.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback

import lab

REFUSED, USAGE, NO_NODE, PASSPHRASE, VAULT, IN_USE, PAIRING, SYSTEM = 1, 2, 3, 4, 5, 6, 7, 8
MESSAGE_MAX = 32000


def ends(node, code, *texts, passphrase=None):
    """`flyleaf run` ends by itself with this code, and says these things."""
    began = os.path.getsize(node.log) if os.path.exists(node.log) else 0
    node.begin(passphrase=passphrase)
    try:
        got = node.process.wait(60)
    finally:
        node.kill()
    with open(node.log, errors="replace") as f:
        said = f.read()[began:]
    lab.check(got == code, f"ended with {got}, not {code}: {said}")
    for text in texts:
        lab.check(text in said, f"did not say {text!r}: {said}")


def refuses(node, code, why, *words, **more):
    """A word of the command line ends with this code and says so."""
    got, out, err = node.cli(*words, **more)
    lab.check(got == code, f"{words} ended with {got}, not {code}: {out}{err}")
    lab.check(why in err, f"{words} did not say {why!r} but {err!r}")


def refused(error, node, word, **fields):
    """The node answers a request with this error."""
    try:
        node.ask(word, **fields)
    except lab.Refused as r:
        lab.check(r.error == error, f"{word} was refused as {r.error}, not {error}")
        return
    raise lab.Failure(f"{word} {fields} was not refused")


def files(node):
    """Every file of the home, by what is in it."""
    out = {}
    for folder, _, names in os.walk(node.home):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    out[path] = hashlib.sha256(f.read()).digest()
    return out


def notebook(node, name):
    return os.path.join(node.home, "notebooks", name)


def patch(path, at, data):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)


class Group:
    """What the checks share: a lab, a vault that is copied for each, two people who are contacts."""

    def __init__(self, l, flyleaf, clock):
        self.lab, self.flyleaf, self.clock = l, flyleaf, clock and shutil.copy(clock, l.dir)
        self.count = 0
        self.model = l.node("model", flyleaf)
        self.model.init()
        self.model.start()
        self.model.lock()

    def fresh(self, name=None):
        """A node with a vault of its own that nobody has used."""
        self.count += 1
        name = name or f"n{self.count}"
        node = self.lab.node(name, self.flyleaf, place=True)
        self.copy(self.model, node)
        return node

    def copy(self, one, other):
        shutil.rmtree(other.home)
        shutil.copytree(one.home, other.home, ignore=lambda _, names: [n for n in names if n == "control"])
        lab.run("chown", "-R", f"{other.user}:{other.user}", other.home)
        other.passphrase = one.passphrase

    def paired(self):
        """Two running nodes that are contacts, Ana and Ben to each other, linked."""
        ana, ben = self.fresh(), self.fresh()
        ana.start(), ben.start()
        lab.pair(ana, ben, "Ben", "Ana")
        ana.ask("mode", name="Ben", mode="call")
        lab.wait("the two to meet", lambda: ana.contact("Ben")["linked"] and ben.contact("Ana")["linked"], 60)
        return ana, ben


# ---- Vaults ------------------------------------------------------------------

def wrong_passphrase(g):
    n = g.fresh()
    before = files(n)
    for wrong in ("not the phrase", n.passphrase.upper(), n.passphrase + " ", "x" * 1024):
        ends(n, PASSPHRASE, "opens nothing here", passphrase=wrong)
    ends(n, REFUSED, "empty", passphrase="\n")
    ends(n, REFUSED, "longer than", passphrase="x" * 1025)
    ends(n, REFUSED, "UTF-8", passphrase=b"\xff\xfe not text")
    lab.check(files(n) == before, "a file was changed")
    n.start()


def missing_vault(g):
    n = g.fresh()
    shutil.rmtree(n.home + "/notebooks")
    ends(n, VAULT, "there is no vault", "flyleaf init")
    lab.check(not os.listdir(n.home), "something was made")
    refuses(n, NO_NODE, "flyleaf init", "contacts")


def foreign_vault(g):
    n = g.fresh()
    size = os.path.getsize(notebook(n, "slots"))
    for other in (b"SQLite format 3\0" + bytes(7_000_001), os.urandom(5_000_000), os.urandom(size + 1), b"#!/bin/sh\n", b""):
        with open(notebook(n, "slots"), "wb") as f:
            f.write(other)
        before = files(n)
        # What is shorter than the largest vault's might be the rest of one.
        ends(n, VAULT, "not a vault of Flyleaf" if len(other) >= 5_000_000 else "cut short", "Nothing was changed")
        lab.check(files(n) == before, "a file was changed")
    with open(notebook(n, "slots"), "wb") as f:
        f.write(os.urandom(size))  # of the right size: nobody can tell it from a vault
    ends(n, PASSPHRASE, "opens nothing here")
    os.remove(notebook(n, "slots"))
    os.mkdir(notebook(n, "slots"))
    n.begin()
    lab.check(n.process.wait(60) in (VAULT, SYSTEM), "a folder in place of a file is opened")
    n.kill()


def truncated_vault(g):
    n = g.fresh()
    size = os.path.getsize(notebook(n, "slots"))
    os.truncate(notebook(n, "slots"), size - 1)
    before = files(n)
    ends(n, VAULT, "cut short", "Nothing was changed")
    lab.check(files(n) == before, "a file was changed")
    n = g.fresh()
    for name in sorted(os.listdir(n.home + "/notebooks")):
        if name != "slots":
            os.truncate(notebook(n, name), 3000)
    before = files(n)
    n.begin()
    code = n.process.wait(60)
    n.kill()
    lab.check(code == VAULT, f"ended with {code}")
    lab.check(files(n) == before, "a file was changed")


def bit_flipped_vault(g):
    """Of a vault with messages: what opens is what was written up to the damage, and is never anything else."""
    ana, ben = g.paired()
    texts = [f"message {i} {'x' * 300}" for i in range(40)]
    for text in texts:
        ana.ask("send", name="Ben", text=text)
    lab.wait("all to be stored", lambda: ana.contact("Ben")["waiting"] == 0, 30)
    ana.kill(), ben.kill()
    n = g.fresh()
    outcomes = {}
    log = max((os.path.join(ana.home, "notebooks", f) for f in os.listdir(ana.home + "/notebooks") if f != "slots"),
              key=lambda path: open(path, "rb").read(4096) != bytes(4096))
    size = os.path.getsize(log)
    for at in [16, 5000, 4096 + 131072 + 10] + [i * 4096 + 100 for i in range(0, min(size // 4096, 400), 31)]:
        for file in ("slots", os.path.basename(log)):
            g.copy(ana, n)
            path = notebook(n, file)
            if at >= os.path.getsize(path):
                continue
            with open(path, "rb") as f:
                f.seek(at)
                byte = f.read(1)[0]
            patch(path, at, bytes([byte ^ 1 << at % 8]))
            outcome = opens_to(n, texts)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(f"# bits flipped, outcomes: {outcomes}")


def opens_to(n, texts):
    """What became of a damaged vault: its exit code, or how much of it can be read."""
    if os.path.exists(n.log):
        os.remove(n.log)
    n.begin()
    end = time.monotonic() + 30
    while n.process.poll() is None and time.monotonic() < end:
        if n.is_open():
            break
        time.sleep(0.02)
    if n.process.poll() is not None:
        code = n.kill()
        lab.check(code in (PASSPHRASE, VAULT), f"ended with {code}")
        return f"exit {code}"
    try:
        got = [m["text"] for m in n.read("Ben")]
        report = n.ask("status").get("report", "")
    except lab.Refused as r:
        got, report = [], r.error
    n.kill()
    lab.check(got == texts[:len(got)], "something else was read")
    lab.check(len(got) == len(texts) or report, "messages are missing, and nothing is said")
    return "whole" if len(got) == len(texts) else "up to the damage, and said so"


def read_only_vault(g):
    ana, ben = g.paired()
    ana.ask("send", name="Ben", text="before")
    lab.wait("it to be stored", lambda: ana.contact("Ben")["waiting"] == 0, 30)
    ana.lock()
    lab.run("mount", "--bind", ana.home + "/notebooks", ana.home + "/notebooks")
    lab.run("mount", "-o", "remount,ro,bind", ana.home + "/notebooks")
    before = files(ana)
    ana.start()
    lab.check([m["text"] for m in ana.read("Ben")] == ["before"], "it cannot be read")
    lab.check("cannot be written" in ana.ask("status").get("report", ""), "nothing is said")
    try:
        ana.ask("send", name="Ben", text="lost")
        lab.check(False, "a message was taken that cannot be kept")
    except lab.Refused as r:
        lab.check(r.error == "failed", r.error)
    ana.lock()
    lab.check(files(ana) == before, "a file was changed")
    lab.run("umount", ana.home + "/notebooks")
    ana.start()
    ana.ask("send", name="Ben", text="after")
    lab.wait("it to be stored", lambda: ana.contact("Ben")["waiting"] == 0, 60)
    lab.check([m["text"] for m in ben.read("Ana")] == ["before", "after"], "Ben has something else")
    ro = g.fresh()
    lab.run("mount", "--bind", ro.home, ro.home)
    lab.run("mount", "-o", "remount,ro,bind", ro.home)
    ends(ro, SYSTEM, "flyleaf: ")


def move_to_small_disk(node, room):
    """The node's home, on a disk of its own with so much room."""
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(node.home) for f in fs)
    small = node.home + ".small"
    os.mkdir(small)
    lab.run("mount", "-t", "tmpfs", "-o", f"size={size + room}", "none", small)
    lab.run("cp", "-a", node.home + "/.", small)
    node.home = small
    lab.run("chown", f"{node.user}:{node.user}", small)
    os.chmod(small, 0o700)
    return small


def disk_full(g):
    """In the middle of a message: it is refused, all that was taken is there, and with room again all goes on."""
    ana, ben = g.paired()
    ana.lock()
    small = move_to_small_disk(ana, 3 << 20)
    ana.start()
    ben.kill()  # so that nothing is stored, and all waits
    taken, failed = [], 0
    for i in range(4000):
        try:
            ana.ask("send", name="Ben", text=f"{i} {'y' * 6000}")
            taken.append(i)
        except lab.Refused as r:
            lab.check(r.error == "failed", f"refused as {r.error}")
            failed += 1
        except ConnectionError:
            failed = -1
        if failed:
            break
    lab.check(failed > 0 or failed == -1, "the disk does not get full")
    lab.check(failed == 1, f"the node ended on a full disk, after {len(taken)} messages")
    got = [int(m["text"].split()[0]) for m in ana.read("Ben")]
    lab.check(got == taken, "what was taken cannot be read on a full disk")
    ana.kill()
    ana.start()
    got = [int(m["text"].split()[0]) for m in ana.read("Ben")]
    lab.check(got == taken, "what was taken is not there after a kill on a full disk")
    for i in range(10):
        refused("failed", ana, "send", name="Ben", text="z" * 32000)
    lab.check(ana.ask("status")["room"] == "none", "status does not say that the disk is full")
    lab.check("disk            is full" in ana.cli("status")[1], "flyleaf status does not say it")
    used = cpu_s(ana)
    time.sleep(3)
    lab.check(cpu_s(ana) - used < 0.5, "the node is busy with waiting for room")
    lab.run("mount", "-o", f"remount,size=200M", small)
    ana.ask("send", name="Ben", text=f"{len(taken)} the last")
    ben.start()
    lab.wait("all to be stored", lambda: ana.contact("Ben")["waiting"] == 0, 90)
    got = [int(m["text"].split()[0]) for m in ben.read("Ana")]
    lab.check(got == taken + [len(taken)], "Ben has something else")
    lab.check(ana.ask("status")["room"] == "enough", "there is room again, and it does not say so")
    print(f"# {len(taken)} messages fitted; with room again all of them arrived")


def cpu_s(node):
    """How much time of a processor the node has used."""
    with open(f"/proc/{node.process.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def flood(g):
    """Ben sends more than Ana's disk takes: she goes on to write and to lock, he keeps what was not taken."""
    ana, ben = g.paired()
    ana.lock()
    small = move_to_small_disk(ana, 28 << 20)
    ana.start()
    text = "y" * 31000
    count = 0
    while ana.ask("status")["room"] == "enough":
        lab.check(count < 3000, "the disk does not get full")
        for _ in range(20):
            ben.ask("send", name="Ana", text=f"{count} {text}")
            count += 1
        time.sleep(0.1)
    for _ in range(100):
        ben.ask("send", name="Ana", text=f"{count} {text}")
        count += 1
    lab.check("nearly full" in ana.cli("status")[1], "flyleaf status does not say it")
    time.sleep(3)
    waiting = ben.contact("Ana")["waiting"]
    lab.check(waiting > 0, "all was taken")
    for i in range(50):
        ana.ask("send", name="Ben", text=f"mine {i}")
    lab.wait("her own to arrive", lambda: ana.contact("Ben")["waiting"] == 0, 60)
    lab.check(ben.contact("Ana")["waiting"] == waiting, "something more was taken")
    lab.check(ana.ask("status")["room"] == "low", "the room is not low any more")
    ana.lock()
    lab.check("without the room" not in open(ana.log).read(), "locking had no room to erase what was deleted")
    ana.start()
    lab.run("mount", "-o", "remount,size=200M", small)
    lab.wait("the rest", lambda: ben.contact("Ana")["waiting"] == 0, 120)
    got = [int(m["text"].split()[0]) for m in ana.read("Ben") if not m["own"]]
    lab.check(got == list(range(count)), "Ana has something else")
    print(f"# of {count} messages {count - waiting} were taken; with room again all of them")


def two_instances(g):
    n = g.fresh()
    n.start()
    first, face = n.process, n.face
    n.process, n.face = None, None
    ends(n, IN_USE, "open in another process", "flyleaf lock")
    n.process, n.face = first, face
    lab.check(n.ask("hello")["program"] == "flyleaf", "the first does not live on")
    refuses(n, REFUSED, "there is a vault", "init", passphrase="another phrase for it")
    n.kill()
    n.start()


def processes_show_nothing(g):
    """Another process of the same user cannot read what passes through one of ours, nor does a core file hold it."""
    ana, _ = g.paired()
    blank = g.lab.node("blank", g.flyleaf)
    ready, tell = os.pipe()
    waiting = {"run": ana.process}
    for name, node, words, more in (("chat", ana, ["chat", "Ben"], {}), ("read", ana, ["read", "Ben", "--follow"], {}),
                                    ("pair", ana, ["pair", "Cleo"], {}), ("send", ana, ["send", "Ben", "-"], {}),
                                    ("init", blank, ["init", "--passphrase-fd", str(ready)], {"pass_fds": [ready]})):
        waiting[name] = subprocess.Popen(node.words(*words), env=node.environ(), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL, start_new_session=True, **more)
    try:
        for name, process in waiting.items():
            lab.wait(f"{name} to be shielded", lambda: is_shielded(process.pid), 10)
            lab.check(process.poll() is None, f"{name} has ended")
        lab.wait("init to close what it inherited", lambda: holds_no_pipe(waiting["init"].pid), 10)
    finally:
        os.close(tell), os.close(ready)
        for name, process in waiting.items():
            if name != "run":
                process.kill()
                process.wait()


def is_shielded(pid):
    """The files of /proc belong to nobody but root for a process that cannot be dumped."""
    with open(f"/proc/{pid}/comm") as f:
        if f.read().strip() != "flyleaf":
            return False
    with open(f"/proc/{pid}/limits") as f:
        cores = next(line for line in f if line.startswith("Max core file size")).split()[4:6]
    return os.stat(f"/proc/{pid}/mem").st_uid == 0 and cores == ["0", "0"]


def holds_no_pipe(pid):
    return all("pipe:" not in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2)


# ---- Contacts and pairing ----------------------------------------------------

def unknown_contact(g):
    n = g.fresh()
    n.start()
    for words in (["send", "Nobody", "text"], ["show", "Nobody"], ["mode", "Nobody", "call"], ["rename", "Nobody", "Other"],
                  ["block", "Nobody"], ["forget", "Nobody"], ["read", "Nobody"], ["confirm", "Nobody", "--number", "12345-67890"],
                  ["again", "Nobody"], ["chat", "Nobody"]):
        refuses(n, REFUSED, "there is no contact of this name", *words)


class Shown:
    """`flyleaf pair NAME` in the background."""

    def __init__(self, node, name):
        self.process = subprocess.Popen(node.words("pair", name), env=node.environ(), stdin=subprocess.DEVNULL, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        self.code = None
        for line in self.process.stdout:
            words = line.split()
            if len(words) == 4 and words[0].isdigit():
                self.code = words
                break
        lab.check(self.code, "no code is shown")

    def ends(self, how=None):
        if how is not None:
            self.process.send_signal(how)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out + err


def nobody_answers(node, code):
    """A code that serves no more: `join` calls, as for a device that is not near yet, until it is stopped."""
    joins = subprocess.Popen(node.words("join", "Ana", *code), env=node.environ(), stdin=subprocess.DEVNULL, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    time.sleep(6)  # three calls or more
    lab.check(joins.poll() is None, "somebody answered")
    joins.send_signal(signal.SIGINT)
    said = joins.communicate(timeout=30)[0]
    lab.check(joins.returncode == 130 and "is here" not in said, f"join ended with {joins.returncode}: {said}")


def wrong_code(g):
    """Well-formed, but not the words that were shown: one attempt, and both sides are told."""
    ana, ben = g.fresh(), g.fresh()
    ana.start(), ben.start()
    shown = Shown(ana, "Ben")
    other = Shown(ben, "Ana")  # gives words of the list
    other.ends(signal.SIGINT)
    wrong = [shown.code[0]] + other.code[1:]
    code, out, err = ben.cli("join", "Ana", *wrong, timeout=90)
    lab.check(code == PAIRING, f"join ended with {code}: {out}{err}")
    code, said = shown.ends()
    lab.check(code == PAIRING, f"pair ended with {code}: {said}")
    nobody_answers(ben, shown.code)
    for n in (ana, ben):
        lab.check(n.ask("contacts")["contacts"] == [], "a contact came of it")
    for bad in ("", "47", "paper lemon window", "47 qqqqqq wwwwww zzzzzz", "x" * 513, "47\u202e a b c"):
        code, out, err = ben.cli("join", "Ana", "--", bad)
        lab.check(code in (REFUSED, USAGE), f"{bad!r} ended with {code}: {out}{err}")


def used_code(g):
    ana, ben, eve = g.fresh(), g.fresh(), g.fresh()
    for n in (ana, ben, eve):
        n.start()
    shown = Shown(ana, "Ben")
    ben.must("join", "Ana", *shown.code)
    lab.check(shown.ends()[0] == 0, "the pairing failed")
    nobody_answers(eve, shown.code)
    lab.check(len(ana.ask("contacts")["contacts"]) == 1, "a second contact came of it")


def both_display(g):
    """Nothing comes of it, and either can stop and enter the other's code."""
    ana, ben = g.fresh(), g.fresh()
    ana.start(), ben.start()
    one, two = Shown(ana, "Ben"), Shown(ben, "Ana")
    time.sleep(3)
    lab.check(one.process.poll() is None and two.process.poll() is None, "one of them ended")
    refuses(ana, REFUSED, "a pairing is under way already", "pair", "Third")
    code, said = two.ends(signal.SIGINT)
    lab.check(code == 130, f"ended with {code}: {said}")
    ben.must("join", "Ana", *one.code)
    lab.check(one.ends()[0] == 0, "the pairing failed")


def oneself(g):
    n = g.fresh()
    n.start()
    shown = Shown(n, "Me")
    code, out, err = n.cli("join", "Myself", *shown.code)
    lab.check(code == REFUSED, f"join ended with {code}: {out}{err}")
    shown.ends(signal.SIGINT)
    lab.check(n.ask("contacts")["contacts"] == [], "a contact came of it")


def known_contact_again(g):
    """The same person under another name is another contact, with keys of its own; under the same name it is refused."""
    ana, ben = g.paired()
    refuses(ana, REFUSED, "there is a contact of this name already", "pair", "bEN")
    lab.pair(ana, ben, "Ben again", "Ana again")
    first, second = (ana.contact(n)["safety"] for n in ("Ben", "Ben again"))
    lab.check(first != second, "two pairings have one safety number")
    ana.ask("mode", name="Ben again", mode="call")
    lab.wait("the second to be linked", lambda: ana.contact("Ben again")["linked"], 60)
    for name in ("Ben", "Ben again"):
        ana.ask("send", name=name, text=f"to {name}")
    lab.wait("both to be stored", lambda: ana.ask("status")["waiting"] == 0, 30)
    lab.check([m["text"] for m in ben.read("Ana")] == ["to Ben"] and
              [m["text"] for m in ben.read("Ana again")] == ["to Ben again"], "they are mixed up")


def numbers_that_differ(g):
    ana, ben = g.fresh(), g.fresh()
    ana.start(), ben.start()
    shown = Shown(ana, "Ben")
    ben.must("join", "Ana", *shown.code)
    shown.ends()
    refuses(ana, REFUSED, "the safety number is not confirmed yet", "send", "Ben", "too early")
    refuses(ana, USAGE, "not a safety number", "confirm", "Ben", "--number", "12345")
    refuses(ana, PAIRING, "the numbers differ", "confirm", "Ben", "--number", "00000-00000")
    lab.check(ana.ask("contacts")["contacts"] == [], "the contact is there still")


def bad_names(g):
    n, other = g.fresh(), g.fresh()
    n.start(), other.start()
    lab.pair(n, other, "Ben", "Ana")
    for name in ("", " ", "a\nb", "a\tb", "\x1b[31mred", "a\u202eb", "a\u2066b", "a\u200bb", "a\u200db", "\ufeffa", "a\u00adb",
                 "a\u0000b", "\u2028", "x" * 65, "x" * 300, "\U000e0041", "a\u061cb", "a\u0085b"):
        if "\0" not in name:
            code, out, err = n.cli("rename", "Ben", "--", name)
            lab.check(code == REFUSED, f"rename to {name!r} ended with {code}: {out}{err}")
            lab.check(not any(c in out + err for c in "\x1b\u202e\u2066\u200b"), f"{name!r} was printed as it is")
            code, out, err = n.cli("pair", "--", name)
            lab.check(code == REFUSED, f"pair {name!r} ended with {code}: {out}{err}")
        try:
            n.ask("rename", name="Ben", to=name)
            raise lab.Failure(f"{name!r} was taken")
        except lab.Refused as r:
            lab.check(r.error in ("bad-name", "bad-request"), f"{name!r} was refused as {r.error}")
    for name in ("Zoë", "李", "أمينة", "O'Neill-Smith 2"):
        n.ask("rename", name="Ben", to=name)
        n.ask("rename", name=name, to="Ben")


# ---- Messages ----------------------------------------------------------------

def invalid_text(g):
    ana, ben = g.paired()
    for bad in (b"\xff\xfe", b"a\xc0\x80b", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"cut \xe2\x82"):
        refuses(ana, REFUSED, "UTF-8", "send", "Ben", "-", text=bad)
        face = lab.Face(ana.home, ana.user)
        face.socket.sendall(b'{"v":1,"id":7,"do":"send","name":"Ben","text":"' + bad + b'"}\n')
        reply = face.reply()
        lab.check(not reply["ok"] and reply["error"] == "bad-request", f"{bad!r} over the socket: {reply}")
        face.close()
    refuses(ana, REFUSED, "NUL", "send", "Ben", "-", text=b"a\0b")
    refuses(ana, REFUSED, "empty", "send", "Ben", "-", text=b"")
    face = lab.Face(ana.home, ana.user)
    for bad in (b"{", b"[]", b"{}", b'{"v":2,"id":1,"do":"hello"}', b'{"v":1,"id":1,"do":"hello","x":1}', b'{"v":1,"id":-1,"do":"hello"}',
                b'{"v":1,"id":1,"do":"send","name":"Ben","text":"\\u0000"}', b'{"v":1,"id":1,"do":"send","name":["Ben"],"text":"x"}',
                b'{"v":1,"id":1,"id":2,"do":"hello"}', b'[' * 1000, b"\xff"):
        face.socket.sendall(bad + b"\n")
        reply = face.reply()
        lab.check(not reply["ok"] and reply["error"] in ("bad-request", "unknown-request"), f"{bad!r}: {reply}")
    lab.check(face.ask("hello")["program"] == "flyleaf", "the socket is of no use afterwards")
    face.close()
    odd = "\u202eright to left\u202c \u200b\u200d e\u0301\u0301\u0301 \U0001f469\u200d\U0001f469 \x1b[31mred\x07\r\nlines"
    ana.ask("send", name="Ben", text=odd)
    lab.wait("it to be stored", lambda: ana.contact("Ben")["waiting"] == 0, 30)
    got = ben.read("Ana")
    lab.check([m["text"] for m in got] == [odd], "it is not what was written")
    shown = ben.must("read", "Ana")
    lab.check("\x1b" not in shown and "\x07" not in shown and "\u202e" not in shown, f"it reaches the terminal as it is: {shown!r}")


def too_long(g):
    ana, ben = g.paired()
    longest = "é" * (MESSAGE_MAX // 2)
    ana.must("send", "Ben", "-", text=longest.encode())
    refuses(ana, REFUSED, "longer than 32,000 bytes", "send", "Ben", "-", text=(longest + "e").encode())
    refuses(ana, REFUSED, "longer than 32,000 bytes", "send", "Ben", "-", text=b"x" * 10_000_000)
    for n in (MESSAGE_MAX + 1, 200_000):
        try:
            ana.ask("send", name="Ben", text="x" * n)
            raise lab.Failure(f"{n} bytes were taken")
        except lab.Refused as r:
            lab.check(r.error in ("too-long", "bad-request"), f"{n} bytes were refused as {r.error}")
    face = lab.Face(ana.home, ana.user)
    try:
        face.socket.sendall(b"x" * 300_000)
        lab.check(face.reply()["error"] == "bad-request", "a line without an end is borne")
        lab.check(face.fill(10) is False, "the face is not cut off")
    except (BrokenPipeError, ConnectionResetError):
        pass  # cut off before all was written
    face.close()
    lab.wait("it to be stored", lambda: ana.contact("Ben")["waiting"] == 0, 30)
    lab.check([m["text"] for m in ben.read("Ana")] == [longest], "it is not what was written")


# ---- Clocks and networks -----------------------------------------------------

def wrong_clocks(g):
    """One in 1970, one in 2100: they pair, for codes have no clock, and what they write waits. A call may be ten years off
    when a person looks, no more; once the clocks are set all arrives, where time went back after a person looked."""
    if not g.clock:
        print("# skipped: there is no library for the clock in this build")
        return
    ana, ben = g.fresh(), g.fresh()
    for node, year in ((ana, 1970), (ben, 2100)):
        node.wrong_clock = str(int((year - 1970) * 365.2425 * 86400) + 1000)
        node.more = {**lab.preloaded(g.lab.quick, g.clock), "WRONG_CLOCK": node.wrong_clock}
        node.start()
    lab.pair(ana, ben, "Ben", "Ana")
    ana.ask("mode", name="Ben", mode="call")
    ana.ask("look", on=True), ben.ask("look", on=True)
    ana.ask("send", name="Ben", text="from 1970"), ben.ask("send", name="Ana", text="from 2100")
    for n, name in ((ana, "Ben"), (ben, "Ana")):
        n.must("read", name), n.must("contacts"), n.must("status")
        code, out, _ = n.cli("doctor")
        lab.check(code == REFUSED and "clock: cannot be right" in out, "doctor bears the clock")
    time.sleep(5)
    lab.check(not ana.contact("Ben")["linked"], "a call of another century is answered")
    for n in (ana, ben):  # the clocks are set
        n.lock()
        n.more = {}
        n.start()
    lab.check(ben.ask("status")["clock_wrong"], "after 2100 the clock of today is not in doubt")
    ben.ask("look", on=True)
    for n, name in ((ana, "Ben"), (ben, "Ana")):
        lab.wait("all to be stored", lambda n=n, name=name: n.contact(name)["waiting"] == 0, 60)
    lab.check([m["text"] for m in ben.read("Ana") if not m["own"]] == ["from 1970"], "Ben has something else")
    lab.check(max(m["claimed"] for m in ana.read("Ben")) > 4_000_000_000, "2100 is not what was claimed")


def no_network(g):
    ana, ben = g.paired()
    ana.lock()
    lab.run("ip", "-n", ana.name, "link", "set", "lan", "down")
    ana.start()
    said = ana.must("status")
    lab.check("does not work" in said and "works\n" not in said, f"the status does not say so: {said}")
    refuses(ana, REFUSED, "neither a network nor Bluetooth is up", "pair", "Somebody")
    ana.must("send", "Ben", "-", text=b"written without a network")
    lab.check("(waiting)" in ana.must("read", "Ben"), "it is not shown as waiting")
    refuses(ana, REFUSED, "neither a network nor Bluetooth is up", "look")
    lab.run("ip", "-n", ana.name, "link", "set", "lan", "up")
    lab.wait("it to be stored", lambda: ana.contact("Ben")["waiting"] == 0, 60)
    lab.check([m["text"] for m in ben.read("Ana")] == ["written without a network"], "Ben has something else")


CHECKS = [wrong_passphrase, missing_vault, foreign_vault, truncated_vault, bit_flipped_vault, read_only_vault, disk_full, flood, two_instances, processes_show_nothing,
          unknown_contact, wrong_code, used_code, both_display, oneself, known_contact_again, numbers_that_differ, bad_names,
          invalid_text, too_long, wrong_clocks, no_network]


def body(given):
    failed = 0
    chosen = [c for c in CHECKS if not given.names or c.__name__ in given.names]
    print(f"1..{len(chosen)}")
    with lab.Lab(given.quick) as l:
        g = Group(l, given.flyleaf, given.clock)
        for i, one in enumerate(chosen, 1):
            began = time.monotonic()
            try:
                one(g)
                print(f"ok {i} - {one.__name__} # {time.monotonic() - began:.1f} s", flush=True)
            except Exception:
                failed += 1
                print(f"not ok {i} - {one.__name__}")
                print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="", flush=True)
                for node in l.nodes:
                    if node.process is not None:
                        node.tell_log()
            for node in l.nodes:
                node.kill()
    lab.check(not failed, f"{failed} checks")


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("flyleaf")
    p.add_argument("quick")
    p.add_argument("names", nargs="*")
    p.add_argument("--clock", help="the library that makes the clock wrong")
    given = p.parse_args()
    lab.enter()
    lab.main(lambda: body(given))
