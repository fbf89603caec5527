#!/usr/bin/env python3
"""The command line as a person meets it: on a pseudo-terminal, against a node that is played here.

    faces.py FLYLEAF        FLYLEAF is the program; prints a line for each test, in TAP

The played node speaks node/CONTROL.md and says what each test wants said; what it was asked is checked. So every
turn of a conversation can be had at once, and nothing here waits for a radio or for Argon2id.
"""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

FLYLEAF = os.path.abspath(sys.argv[1])
SAFETY = "12345 67890 11111 22222 33333 44444"
LIMIT = 20  # seconds, for what should come at once


class Node:
    """Plays a node: answers by the table of replies, remembers requests, tells events."""

    def __init__(self, home, replies=None):
        self.requests, self.replies, self.faces = [], replies or {}, []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(os.path.join(home, "control"))
        self.socket.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                face, _ = self.socket.accept()
            except OSError:
                return
            self.faces.append(face)
            threading.Thread(target=self.serve, args=(face,), daemon=True).start()

    def serve(self, face):
        for line in self.lines(face):
            request = json.loads(line)
            self.requests.append(request)
            reply = self.replies.get(request["do"], {})
            reply = dict(reply(request) if callable(reply) else reply)
            events = reply.pop("events", [])
            say = {"v": 1, "id": request["id"], "ok": "error" not in reply, **reply}
            try:
                face.sendall(json.dumps(say).encode() + b"\n")
            except OSError:
                return
            for event in events:
                self.tell(event)

    @staticmethod
    def lines(face):
        try:
            yield from face.makefile("rb")
        except OSError:
            pass  # it went away

    def tell(self, event):
        for face in self.faces:
            try:
                face.sendall(json.dumps({"v": 1, **event}).encode() + b"\n")
            except OSError:
                pass

    def asked(self, word):
        return [r for r in self.requests if r["do"] == word]

    def wait_asked(self, word, count=1):
        end = time.monotonic() + LIMIT
        while len(self.asked(word)) < count:
            assert time.monotonic() < end, f"{word} was not asked"
            time.sleep(0.01)
        return self.asked(word)[-1]

    def go(self):
        """The node ends."""
        self.socket.close()
        for face in self.faces:
            face.shutdown(socket.SHUT_RDWR)
            face.close()


def at(home):
    """Options and environment for a home: a folder named flyleaf is where it is by itself, as with most people."""
    if os.path.basename(home) == "flyleaf":
        return [], dict(os.environ, XDG_DATA_HOME=os.path.dirname(home))
    return ["--home", home], dict(os.environ)


class Person:
    """Somebody at a terminal who runs a command and reads what it shows."""

    def __init__(self, home, *words, env=None, columns=None):
        self.shown, self.seen = "", 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                where, environment = at(home)
                if columns:
                    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
                os.execve(FLYLEAF, [FLYLEAF, *where, *words], dict(environment, TERM="xterm", TZ="UTC", **(env or {})))
            finally:
                os._exit(127)  # a second one of us would run every test, and start a third

    def read(self):
        try:
            self.shown += os.read(self.fd, 65536).decode(errors="surrogateescape")
            return True
        except OSError:
            return False

    def sees(self, text):
        """Waits for text behind what was seen before."""
        end = time.monotonic() + LIMIT
        while text not in self.shown[self.seen:]:
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready and self.read(), f"{text!r} was not shown, but {self.shown!r}"
        self.seen = self.shown.index(text, self.seen) + len(text)

    def types(self, keys):
        os.write(self.fd, keys.encode())

    def echo(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def ends(self):
        while self.read():
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def script(home, *words, text="", **more):
    """A command without a terminal: (exit code, stdout, stderr)."""
    where, environment = at(home)
    done = subprocess.run([FLYLEAF, *where, *words], input=text.encode(), capture_output=True, timeout=120,
                          start_new_session=True, env=environment, **more)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def contact(**more):
    return {"name": "Ana", "mode": "answer", "state": "met", "blocked": False, "linked": True, "asks_again": False, "held": False,
            "by_code": True, "paired": 1700000000, "waiting": 0, "stored_before": 0, "next": 0, **more}


def conversation(*messages):
    """Replies for a node that knows Ana and these messages, and takes more."""
    kept = [{"position": i, "claimed": 0, "own": False, "arrived": 0, **m} for i, m in enumerate(messages)]

    def read(request):
        start = request.get("from", max(0, len(kept) - request.get("last", 50)))
        return {"messages": kept[start:], "next": len(kept)}

    def send(request):
        kept.append({"position": len(kept), "own": True, "text": request["text"], "claimed": int(time.time()),
                     "state": "waiting"})
        return {"position": len(kept) - 1}

    return {"show": lambda r: {"contact": contact(safety=SAFETY)} if r["name"].lower() == "ana" else
            {"error": "unknown-contact", "text": "there is no contact of this name"},
            "contacts": lambda r: {"contacts": [contact()]}, "read": read, "send": send}, kept


PAIRED = {"events": [{"event": "pair", "state": "talking"},
                     {"event": "pair", "state": "compare", "name": "Ana", "safety": SAFETY}]}


# ---- Usage and help ----------------------------------------------------------

def what_is_not_understood_is_said(home):
    for words, text in ((["nonsense"], "there is no word nonsense"), (["show"], "show needs NAME"),
                        (["show", "--qr", "A"], "show does not take --qr"), (["--nonsense"], "no option"),
                        (["init", "--places", "99"], "from 1 to 16"), (["mode", "A", "loud"], "no such mode"),
                        (["contacts", "A"], "does not take so much"), (["\033[31m"], "␛[31m")):
        code, out, err = script(home, *words)
        assert (code, out) == (2, ""), (words, code, out, err)
        assert text in err, (words, err)


def help_is_everywhere(home):
    code, out, _ = script(home, "help")
    assert code == 0
    for word in re.findall(r"^  ([a-z]+) ", out, re.M):
        code, text, _ = script(home, word, "--help")
        assert code == 0 and text, word
    assert "history" in script(home, "help", "send")[1]
    assert re.fullmatch(r"flyleaf \d+\.\d+\.\d+\n", script(home, "--version")[1])


def without_a_node_it_says_what_to_do(home):
    for words in (["contacts"], ["send", "A", "b"], ["status"], ["lock"], ["pair", "A"], ["chat", "A"], ["look"]):
        code, _, err = script(home, *words)
        assert code == 3 and "no vault" in err and "flyleaf init" in err, (words, err)
    os.mkdir(os.path.join(home, "notebooks"))
    for words in (["contacts"], ["lock"]):
        code, _, err = script(home, *words)
        assert code == 3 and "no node" in err and "flyleaf run" in err, (words, err)


def a_node_of_another_user_is_told_nothing(home):
    """In a folder that others may write to, anybody can listen at the socket's name."""
    if os.geteuid() != 0:
        return  # nobody else to be
    replies, kept = conversation()
    os.chmod(home, 0o777)
    os.seteuid(65534)
    try:
        node = Node(home, replies)
    finally:
        os.seteuid(0)
    os.chmod(os.path.join(home, "control"), 0o777)
    for words in (["send", "Ana", "hello"], ["contacts"], ["chat", "Ana"]):
        code, _, err = script(home, *words)
        assert code == 3 and "somebody else" in err, (words, code, err)
    assert not kept and not node.requests


def a_narrow_terminal_breaks_between_words(home):
    status = {"carriers": [{"interface": "lo", "family": "ipv6", "works": False, "why": "it has no IPv6 address at all"}], "room": "low"}
    Node(home, {"status": status, "contacts": {"contacts": [contact(linked=False)]}, "pair_show": {"code": "47 a b c"},
                "send": {"error": "too-long", "text": "the text is longer than a message may be, by far"}})
    for words in (["help"], ["help", "send"], ["status"], ["doctor"], ["send", "Ana", "x"], ["nonsense", "--home", "x"]):
        person = Person(home, *words, columns=40, env={"NO_COLOR": "1"})
        person.ends()
        assert max(map(len, person.shown.splitlines())) <= 40, (words, person.shown)
    assert script(home, "send", "Ana", "x")[2].count("\n") == 2  # a program reads it by lines
    assert max(map(len, script(home, "help", "send")[1].splitlines())) <= 80


def what_is_to_be_pasted_names_the_folder(home):
    other = os.path.join(home, "of Ana")
    os.mkdir(other)
    assert f"flyleaf init --home '{other}';" in script(other, "contacts")[2]
    Node(other, {"pair_show": {"code": "47 a b c", **PAIRED}})
    person = Person(other, "pair", "Ana B")
    person.sees("flyleaf join NAME\r\n")  # the other person's
    person.sees("[y/n]")
    person.types("y\n")
    assert person.ends() == 0
    assert f"flyleaf mode --home '{other}' 'Ana B' call" in " ".join(person.shown.split()), person.shown


def nothing_is_coloured_off_a_terminal(home):
    replies, _ = conversation({"text": "hello"})
    Node(home, replies)
    for words in (["contacts"], ["read"], ["doctor"], ["show", "Ana"]):
        assert "\033" not in script(home, *words)[1], words
    person = Person(home, "contacts", env={"NO_COLOR": "1"})
    assert person.ends() == 0 and "\033" not in person.shown


def an_answer_that_is_lost_is_no_success(home):
    replies, kept = conversation({"text": "x" * 5000}, {"text": "y" * 9000})
    node = Node(home, replies)
    for words in (["help"], ["help", "send"], ["--version"], ["contacts"], ["read"], ["read", "Ana", "--json"], ["read", "--follow"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([FLYLEAF, *at(home)[0], *words], stdout=full, stderr=subprocess.PIPE, timeout=LIMIT, env=at(home)[1])
        assert done.returncode == 8 and b"writing the answer" in done.stderr, (words, done)
    follow = subprocess.Popen([FLYLEAF, "read", "--follow"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=at(home)[1])
    follow.stdout.readline()
    follow.stdout.close()  # as head does: the next message finds nobody
    kept.append({"position": 2, "own": False, "text": "new one", "claimed": 0, "arrived": 0})
    node.tell({"event": "message", "name": "Ana", "from": 2})
    assert follow.wait(LIMIT) == 130 and follow.stderr.read() == b""


# ---- Pairing -----------------------------------------------------------------

def pairing_asks_for_the_number(home):
    node = Node(home, {"pair_show": {"code": "47 yellow lemon window", **PAIRED}})
    person = Person(home, "pair", "Ana")
    person.sees("47 yellow lemon window")
    person.sees(SAFETY)
    person.sees("same number? [y/n]")
    person.types("y\n")
    assert person.ends() == 0
    assert node.asked("pair_confirm")[0]["same"] is True
    assert "flyleaf mode Ana call" in person.shown


def numbers_that_differ_end_it(home):
    node = Node(home, {"pair_enter": PAIRED})
    person = Person(home, "join", "Ana", "47", "yellow", "lemon", "window")
    for slip in ("", "yn", "y y", "ja"):  # decides nothing
        person.sees("[y/n]")
        person.types(slip + "\n")
    person.sees("[y/n]")
    assert not node.asked("pair_confirm")
    person.types(" No \n")
    assert person.ends() == 7
    assert node.asked("pair_confirm")[0]["same"] is False
    assert node.asked("pair_enter")[0]["code"] == "47 yellow lemon window"


def a_name_of_two_words_is_quoted(home):
    node = Node(home, {"pair_show": {"code": "47 yellow lemon window", **PAIRED}})
    person = Person(home, "pair", "Ana d'Or")
    person.sees("same number? [y/n]")
    person.types("Y \n")
    assert person.ends() == 0
    assert node.asked("pair_confirm")[0]["same"] is True
    assert "flyleaf mode 'Ana d'\\''Or' call" in person.shown, person.shown


def a_wrong_text_does_not_end_two_codes(home):
    answers = [{"qr": "$AA*S5HX50OU932J"}, {"error": "bad-code", "text": "this is not it"}, PAIRED]
    node = Node(home, {"pair_both": lambda r: answers.pop(0)})
    person = Person(home, "pair", "Ana", "--both")
    for text in ("", "rubbish", "nothing.png", "$AA*OTHER"):
        person.sees("name of a picture of it:")
        person.types(text + "\n")
    person.sees(SAFETY)
    person.types("y\n")
    assert person.ends() == 0
    assert [r.get("text") for r in node.asked("pair_both")] == [None, "rubbish", "$AA*OTHER"]


def nobody_is_not_looked_for(home):
    node = Node(home, {"contacts": {"contacts": []}})
    code, _, err = script(home, "look")
    assert code == 1 and "flyleaf pair" in err and not node.asked("look")


def who_is_here_is_not_looked_for(home):
    people = [contact(name="Ana")]
    node = Node(home, {"contacts": lambda r: {"contacts": people}, "look": {"events": [{"event": "look_ended"}]}})
    assert script(home, "look") == (0, "Ana is here.\n", "") and not node.asked("look")
    people.append(contact(name="Ben", linked=False))
    code, out, _ = script(home, "look")
    assert code == 0 and out.startswith("Ana is here.\nLooking for the others"), out
    assert len(node.asked("look")) == 1
    people[:] = [contact(blocked=True, linked=False)]
    code, _, err = script(home, "look")
    assert code == 1 and "blocked" in err and len(node.asked("look")) == 1, err
    people[:] = [contact(linked=False)]
    code, _, err = script(home, "look")
    assert code == 1 and "nobody was found" in err, err


def status_says_what_can_be_done(home):
    status = {"carriers": [], "room": "enough"}
    people = [contact(name="Ana B", held=True), contact(name="Ben", asks_again=True, linked=False)]
    node = Node(home, {"status": lambda r: status, "contacts": lambda r: {"contacts": people}})
    out = script(home, "status")[1]
    assert "sends too much  Ana B: the rest is taken within a day; to take no more at all: flyleaf block 'Ana B'\n" in out, out
    assert "asks again      Ben: see that it is the person, then: flyleaf again Ben\n" in out and "disk" not in out, out
    assert "sends too much" in script(home, "contacts")[1]
    for room, text in (("low", "is nearly full: nothing more is taken from others"), ("none", "is full: nothing is sent or taken")):
        status["room"] = room
        assert "disk            " + text in script(home, "status")[1], room
    assert len(node.asked("status")) == 3


def status_says_that_nobody_calls(home):
    status, people = {"carriers": [], "room": "enough"}, []
    Node(home, {"status": lambda r: status, "contacts": lambda r: {"contacts": people}})
    out = script(home, "status")[1]
    assert "no contacts yet" in out and "flyleaf pair NAME" in out and "calling" not in out, out
    people.append(contact(linked=False))
    out = script(home, "status")[1]
    assert "here now        nobody of 1\n" in out and "flyleaf mode NAME call" in out and "flyleaf look" in out, out
    for change in ({"mode": "call"}, {"linked": True}):
        people[:] = [contact(**{"linked": False, **change})]
        assert "calling" not in script(home, "status")[1], change
    status["looking"], people[:] = True, [contact(linked=False)]
    assert "calling" not in script(home, "status")[1]


def a_code_that_is_not_given_is_asked_for(home):
    node = Node(home, {"pair_enter": PAIRED})
    person = Person(home, "join", "Ana")
    person.sees("The code that the other person says:")
    person.types("47 yellow lemon window\n")
    person.sees("[y/n]")
    person.types("y\n")
    assert person.ends() == 0
    assert node.asked("pair_enter")[0]["code"] == "47 yellow lemon window"


def a_code_that_is_none_is_asked_for_again(home):
    bad = {"error": "bad-code", "text": "word 2 of three is missing"}
    answers = [bad, bad, PAIRED, bad, {"error": "name-taken", "text": "there is one"}]
    node = Node(home, {"pair_enter": lambda r: answers.pop(0)})
    person = Person(home, "join", "Ana")
    for code in ("47 yellow", "nothing.png", "", "47 yellow lemon window"):
        person.sees("The code that the other person says:")
        person.types(code + "\n")
    person.sees("[y/n]")
    person.types("y\n")
    assert person.ends() == 0
    assert "no such picture" in person.shown and person.shown.count("is missing") == 2
    assert [r["code"] for r in node.asked("pair_enter")] == ["47 yellow", "", "47 yellow lemon window"]
    assert script(home, "join", "Ana", "47 yellow")[0] == 1  # given with the word: a script, perhaps
    person = Person(home, "join", "Ana")
    person.sees("The code that the other person says:")
    person.types("47 yellow lemon window\n")
    assert person.ends() == 1  # another code does not mend the name


def ctrl_c_cancels_a_pairing(home):
    node = Node(home, {"pair_show": {"code": "47 yellow lemon window"}})
    person = Person(home, "pair", "Ana")
    person.sees("Waiting")
    person.types("\003")
    assert person.ends() == 130
    assert len(node.asked("pair_cancel")) == 1


def a_code_that_fails_is_said(home):
    node = Node(home, {"pair_show": {"code": "47 a b c"}})
    person = Person(home, "pair", "Ana")
    person.sees("Waiting")
    node.tell({"event": "pair", "state": "failed", "reason": 1, "text": "the code was wrong\033[2J"})
    assert person.ends() == 7
    assert "the code was wrong␛[2J" in person.shown


def without_a_terminal_confirm_compares(home):
    node = Node(home, {"pair_enter": PAIRED, "show": {"contact": contact(safety=SAFETY)}})
    code, out, _ = script(home, "join", "Ana", "-", text="47 yellow lemon window\n")
    assert code == 0 and "flyleaf confirm Ana --number" in out and not node.asked("pair_confirm")
    for number in ("12345", "1234567", "x", "", "12345-6789a", "123456789012345678901234567890123"):
        assert script(home, "confirm", "Ana", "--number", number)[0] == 2, number
    assert not node.asked("pair_confirm")
    assert script(home, "confirm", "Ana", "--number", "12345-67890")[0] == 0
    assert node.asked("pair_confirm")[-1]["same"] is True
    assert script(home, "confirm", "Ana", "--number", "12345-67891")[0] == 7
    assert node.asked("pair_confirm")[-1]["same"] is False


def a_qr_is_drawn_and_read(home):
    Node(home, {"pair_show": {"qr": "$AA*S5HX50OU932J", **PAIRED}})
    person = Person(home, "pair", "Ana", "--qr")
    person.sees("[y/n]")
    person.types("\003")
    assert person.ends() in (130, -signal.SIGINT)
    assert "▀" in person.shown and "$AA*S5HX50OU932J" in person.shown
    code, _, err = script(home, "join", "Ana", "nothing.png")
    assert code == 1 and "no such picture" in err


# ---- Messages ----------------------------------------------------------------

def what_others_write_is_harmless(home):
    replies, _ = conversation({"text": "\033]0;owned\a\u202eevil\nme: no\u0000"})
    Node(home, replies)
    code, out, _ = script(home, "read", "ana")
    assert code == 0
    assert "␛]0;owned␇<U+202E>evil\n    me: no␀" in out and "\033" not in out


def read_gives_programs_everything(home):
    replies, _ = conversation({"text": "one"}, {"kind": 7}, {"own": True, "text": "ü\u202e", "state": "stored"})
    Node(home, replies)
    code, out, _ = script(home, "read", "Ana", "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and out.isascii()
    assert [line.get("text", line.get("kind")) for line in lines] == ["one", 7, "ü\u202e"]
    assert {line["name"] for line in lines} == {"Ana"}


def it_is_said_to_whom_one_wrote(home):
    replies, _ = conversation({"text": "hello"}, {"own": True, "text": "see you", "state": "stored"},
                              {"own": True, "text": "tomorrow", "state": "waiting"})
    Node(home, replies)
    everybody, ana = script(home, "read")[1], script(home, "read", "Ana")[1]
    assert "  Ana: hello\n" in everybody and "  me to Ana: see you\n" in everybody and "to Ana: tomorrow  (waiting)\n" in everybody, everybody
    assert "  me: see you\n" in ana and "to Ana" not in ana, ana


def a_message_is_sent_from_all_ways(home):
    replies, kept = conversation()
    Node(home, replies)
    assert script(home, "send", "Ana", "as an argument")[0] == 0
    assert script(home, "send", "Ana", "-", text="two\nlines\n")[0] == 0
    assert script(home, "send", "Ana", text="without an end")[0] == 0
    assert script(home, "send", "Ana", "--", "-x")[0] == 0
    assert [m["text"] for m in kept] == ["as an argument", "two\nlines", "without an end", "-x"]


def what_cannot_be_sent_is_said(home):
    replies, kept = conversation()
    replies["send"] = lambda r: {"error": "pending", "text": "the safety number is not confirmed yet"}
    Node(home, replies)
    assert script(home, "send", "Ana", text="")[0] == 1
    code, _, err = script(home, "send", "Ana", text="x" * 32001)
    assert code == 1 and "32,000" in err
    code, _, err = script(home, "send", "Ana", "\udcff")
    assert code == 1 and "UTF-8" in err
    code, _, err = script(home, "send", "Ana", "hello")
    assert code == 1 and "not confirmed" in err and "flyleaf confirm" in err
    replies["send"] = lambda r: {"error": "blocked", "text": "this contact is blocked"}
    assert "with: flyleaf block 'Ana B' --off\n" in script(home, "send", "Ana B", "hello")[2]
    assert not kept


def follow_shows_what_comes(home):
    replies, kept = conversation({"text": "old"})
    node = Node(home, replies)
    person = Person(home, "read", "ana", "--follow")
    person.sees("old")
    kept.append({"position": 1, "own": False, "text": "new one", "claimed": 0, "arrived": 0})
    node.tell({"event": "message", "name": "Ana", "from": 1})
    person.sees("new one")
    person.types("\003")
    assert person.ends() == 0, person.shown


# ---- chat --------------------------------------------------------------------

def chat_shows_and_sends(home):
    replies, kept = conversation({"text": "hello there"})
    node = Node(home, replies)
    person = Person(home, "chat", "ana")
    person.sees("hello there")
    person.types("hi Anö\x7fa")
    kept.append({"position": 1, "own": False, "text": "and \033[2J more", "claimed": 0, "arrived": 0})
    node.tell({"event": "message", "name": "Ana", "from": 1})
    person.sees("and ␛[2J more")
    person.types("\r")
    node.wait_asked("send")
    person.types("\033[200~two\nlines\033[201~\r")
    node.wait_asked("send", 2)
    person.types("\004")
    assert person.ends() == 0
    assert [m["text"] for m in kept if m["own"]] == ["hi Ana", "two\nlines"]
    assert person.shown.index("\033[?1049h") < person.shown.index("hello there") < person.shown.index("\033[?1049l")


def ctrl_c_keeps_a_typed_line(home):
    replies, kept = conversation()
    node = Node(home, replies)
    person = Person(home, "chat", "Ana")
    person.sees("Enter sends")
    person.types("half a thought\003")
    person.sees("not sent")
    person.types(" and the rest\r")
    node.wait_asked("send")
    assert kept[0]["text"] == "half a thought and the rest"
    person.types("dropped\003\003")
    assert person.ends() == 0
    assert len(kept) == 1


def a_typed_line_outlives_the_node(home):
    replies, _ = conversation()
    node = Node(home, replies)
    person = Person(home, "chat", "Ana")
    person.sees("Enter sends")
    person.types("precious words")
    person.sees("precious words")
    node.go()
    assert person.ends() == 3
    left = person.shown[person.shown.index("\033[?1049l"):]
    assert "precious words" in left and "the node ended" in left


def chat_takes_a_script(home):
    replies, kept = conversation()
    Node(home, replies)
    assert script(home, "chat", "Ana", text="one\ntwo")[0] == 0
    assert [m["text"] for m in kept] == ["one", "two"]
    assert script(home, "chat", "Nobody", text="one\n")[0] == 1


# ---- init and run ------------------------------------------------------------

def fed(home, word, phrase, *more):
    """init or run with the pass-phrase on a descriptor."""
    ends = os.pipe()
    os.write(ends[1], phrase.encode(errors="surrogateescape") + b"\n")
    os.close(ends[1])
    try:
        return script(home, word, "--passphrase-fd", str(ends[0]), *more, pass_fds=[ends[0]])
    finally:
        os.close(ends[0])


def a_vault_is_made_on_a_terminal(home):
    person = Person(home, "init")
    person.sees("New pass-phrase")
    assert re.search(r"\n +([a-z]+ ){5}[a-z]+\r\n", person.shown), "no words are suggested"
    assert not person.echo()
    person.types("short\n")
    person.sees("too short")
    person.sees("New pass-phrase")
    person.types("correct horse\n")
    person.sees("The same again")
    person.types("correct hose\n")
    person.sees("two different")
    person.sees("New pass-phrase")
    person.types("correct horse\n")
    person.sees("The same again")
    person.types("correct horse\n")
    assert person.ends() == 0, person.shown
    assert "correct" not in person.shown and "flyleaf run" in person.shown
    assert os.stat(home).st_mode & 0o77 == 0
    assert fed(home, "init", "correct horse")[0] == 1


def what_went_with_the_screen_is_said_again(home):
    left = "\033[?1049l"
    person = Person(home, "init")
    for phrase in ("short", "", "tiny"):
        person.sees("New pass-phrase")
        person.types(phrase + "\n")
    person.sees(left)
    person.sees("too short")
    person.sees("no vault was made")
    assert person.ends() == 1
    person = Person(home, "init")
    person.sees("New pass-phrase")
    person.types("\003")
    person.sees(left)
    person.sees("stopped")
    assert person.ends() == 130 and not os.path.exists(os.path.join(home, "notebooks"))
    code, _, err = script(home, "init")
    assert err.count("no terminal") == 1, err


def a_folder_that_cannot_be_is_no_vault(home):
    code, _, err = fed("/proc/none", "init", "correct horse")
    assert code == 1 and "cannot be made" in err, err
    if os.geteuid() != 0:
        os.chmod(home, 0)
        code, _, err = fed(home, "init", "correct horse")
        assert code == 8 and "already" not in err, err


def what_is_no_vault_does_not_open(home):
    code, _, err = fed(home, "run", "correct horse")
    assert code == 5 and "flyleaf init" in err, err
    assert fed(home, "init", "")[0] == 1
    assert fed(home, "init", "\udcff" * 9)[0] == 1
    assert fed(home, "init", "x" * 2000)[0] == 1
    assert not os.path.exists(os.path.join(home, "notebooks"))
    code, _, err = script(home, "init")
    assert code == 1 and "no terminal" in err, err


def damage_and_a_wrong_phrase_are_told_apart(home):
    assert fed(home, "init", "correct horse")[0] == 0
    code, _, err = fed(home, "run", "wrong horse")
    assert code == 4 and "opens nothing" in err, err
    slots = os.path.join(home, "notebooks", "slots")
    size = os.path.getsize(slots)
    os.truncate(slots, size - 4096)
    assert fed(home, "run", "correct horse")[0] == 5
    with open(slots, "wb") as f:
        f.write(b"something else")
    assert fed(home, "run", "correct horse")[0] == 5


def a_node_is_alone_and_can_be_locked(home):
    assert fed(home, "init", "correct horse")[0] == 0
    person = Person(home, "run", "--interfaces", "lo")
    person.sees("Pass-phrase")
    assert not person.echo()
    person.types("\n")  # ends nothing: what comes next is the pass-phrase
    person.sees("empty")
    person.sees("Pass-phrase")
    person.types("wrong horse\n")
    person.sees("opens nothing")
    person.sees("Pass-phrase")
    person.types("correct horse\n")
    person.sees("Open.")
    person.sees("second one: flyleaf pair NAME")
    end = time.monotonic() + LIMIT
    while script(home, "status")[0] != 0:
        assert time.monotonic() < end
    code, _, err = fed(home, "run", "correct horse")
    assert code == 6 and "another process" in err, err
    assert script(home, "contacts")[:2] == (0, "Nobody yet. Meet somebody and show them a code: flyleaf pair NAME\n")
    assert script(home, "show", "Ana")[0] == 1
    assert script(home, "lock")[0] == 0
    assert person.ends() == 0 and "Locked." in person.shown
    assert script(home, "status")[0] == 3


def ctrl_c_at_the_phrase_mends_the_terminal(home):
    assert fed(home, "init", "correct horse")[0] == 0
    person = Person(home, "run")
    person.sees("Pass-phrase")
    person.types("half\003")
    person.sees("stopped")
    assert person.ends() == 130


TESTS = [what_is_not_understood_is_said, help_is_everywhere, without_a_node_it_says_what_to_do,
         a_node_of_another_user_is_told_nothing,
         a_narrow_terminal_breaks_between_words, what_is_to_be_pasted_names_the_folder, nothing_is_coloured_off_a_terminal, an_answer_that_is_lost_is_no_success, pairing_asks_for_the_number, numbers_that_differ_end_it,
         a_name_of_two_words_is_quoted, a_wrong_text_does_not_end_two_codes, nobody_is_not_looked_for,
         who_is_here_is_not_looked_for, status_says_what_can_be_done,
         status_says_that_nobody_calls, a_code_that_is_not_given_is_asked_for, a_code_that_is_none_is_asked_for_again, ctrl_c_cancels_a_pairing, a_code_that_fails_is_said, without_a_terminal_confirm_compares,
         a_qr_is_drawn_and_read,
         what_others_write_is_harmless, read_gives_programs_everything,
         it_is_said_to_whom_one_wrote, a_message_is_sent_from_all_ways,
         what_cannot_be_sent_is_said, follow_shows_what_comes, chat_shows_and_sends, ctrl_c_keeps_a_typed_line,
         a_typed_line_outlives_the_node, chat_takes_a_script, a_vault_is_made_on_a_terminal,
         what_went_with_the_screen_is_said_again, a_folder_that_cannot_be_is_no_vault,
         what_is_no_vault_does_not_open, damage_and_a_wrong_phrase_are_told_apart, a_node_is_alone_and_can_be_locked,
         ctrl_c_at_the_phrase_mends_the_terminal]


def main():
    print(f"1..{len(TESTS)}")
    failed = 0
    for i, test in enumerate(TESTS, 1):
        folder = tempfile.mkdtemp(prefix="flyleaf-faces-")
        home = os.path.join(folder, "flyleaf")
        os.mkdir(home, 0o700)
        os.chmod(folder, 0o711)  # another user comes in one of them
        try:
            test(home)
            print(f"ok {i} - {test.__name__}", flush=True)
        except Exception as e:  # noqa: BLE001 - whatever it is, the other tests run
            failed += 1
            text = f"{type(e).__name__}: {e}".replace("\n", "\n# ")
            print(f"not ok {i} - {test.__name__}\n# {text}", flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return failed > 0


sys.exit(main())
