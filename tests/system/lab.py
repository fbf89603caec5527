"""A laboratory for whole nodes: network namespaces on a bridge, homes, processes to kill, frames to look at.

A test calls enter() first. It starts the test again inside mount, network and process namespaces of its own,
so that whatever the test leaves behind - processes, namespaces, mounts, loop devices - goes when it ends,
whichever way it ends. Where the system allows none of this the test is skipped, with the reason.

    lab.enter()
    with lab.Lab() as l:
        ana = l.node("ana")              its own network namespace, home and ordinary user
        ana.init(), ana.start()
        ana.ask("send", name="Ben", text="hello")
        ana.kill()
"""

import contextlib
import ctypes
import json
import os
import random
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

SKIP = 77
USER = 47100  # the first of the ordinary users that nodes run as; nobody's
LIBC = ctypes.CDLL(None, use_errno=True)


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIP)


def enter():
    """Goes on inside namespaces of the test's own. Returns in the new process only."""
    if os.environ.get("FLYLEAF_LAB") != "inside":
        if os.geteuid() != 0:
            skip("only root can make network namespaces")
        for tool in ("unshare", "nsenter", "setpriv", "ip", "mount"):
            if shutil.which(tool) is None:
                skip(f"needs {tool}")
        apart = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if subprocess.run(apart + ["true"], capture_output=True).returncode != 0:
            skip("the system makes no namespaces here")
        environ = dict(os.environ, FLYLEAF_LAB="inside", PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="1")
        os.execvpe("unshare", apart + [sys.executable] + sys.argv, environ)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    run("mount", "-t", "tmpfs", "none", "/run")
    os.makedirs("/run/netns")


def run(*words, **more):
    """Runs a command of the system; it must succeed. Returns what it printed."""
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, **more).stdout


def wait(what, condition, seconds=60, pause=0.02):
    """Waits until condition() is true, and returns what it gave; fails after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise Failure(f"waited {seconds} s for: {what}")
        time.sleep(pause)


class Failure(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failure(what)


def seed_of(given):
    """The seed of this run, said aloud, so that it can be given again."""
    seed = given if given is not None else int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")
    return random.Random(seed)


STEM = "Zq" + os.urandom(5).hex()


def marker(kind):
    """A text that is found nowhere by chance. All of one run have the STEM in them."""
    return f"{kind}{STEM}{os.urandom(4).hex()}"


def hits(data, *texts):
    """Where any marker, or one of these texts, stands in data, in the encodings that programs write."""
    found = []
    for text in (STEM, *texts):
        for code in ("utf-8", "utf-16-le", "utf-16-be"):
            at = data.find(text.encode(code))
            if at >= 0:
                found.append(f"{code} at {at}: {bytes(data[max(0, at - 40):at + 80])}")
    return found


# ---- The network -------------------------------------------------------------

class Lab:
    """A bridge, and namespaces whose device `lan` ends in it. The test itself stands where the bridge is. quick:
    quick_guess.c, which the nodes load where a test opens vaults often and is not about their pass-phrases."""

    def __init__(self, quick=None):
        self.dir = tempfile.mkdtemp(prefix="flyleaf-lab-")
        self.quick = shutil.copy(quick, self.dir) if quick else None
        self.nodes, self.places, self.captures = [], {}, []

    def __enter__(self):
        os.chmod(self.dir, 0o755)
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        run("sysctl", "-qw", "net.ipv6.conf.br0.disable_ipv6=1")
        run("ip", "link", "set", "br0", "up")
        return self

    def __exit__(self, kind, error, trace):
        for node in self.nodes:
            if error is not None and not isinstance(error, (SystemExit, KeyboardInterrupt)):
                node.tell_log()
            node.kill()
        for capture in self.captures:
            capture.stop()
        for mount in reversed(self.mounts()):
            subprocess.run(["umount", "-l", mount], capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)

    def mounts(self):
        with open("/proc/self/mounts") as f:
            return [line.split()[1] for line in f if line.split()[1].startswith(self.dir)]

    def place(self, name):
        """A namespace on the bridge: 10.7.0.N, and IPv6 link-local."""
        number = len(self.places) + 1
        port = f"p-{name}"
        run("ip", "netns", "add", name)
        run("ip", "link", "add", port, "type", "veth", "peer", "name", "lan", "netns", name)
        run("sysctl", "-qw", f"net.ipv6.conf.{port}.disable_ipv6=1")
        run("ip", "link", "set", port, "master", "br0")
        # Datagrams are seen as they would be on a cable: the kernel joins none of them.
        run("ip", "-n", name, "link", "set", "lan", "gso_max_segs", "1")
        self.inside(name, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.lan.accept_dad=0",
                    "net.ipv6.conf.lan.router_solicitations=0", "net.ipv4.icmp_ratelimit=0",
                    "net.ipv4.icmp_ratemask=0", "net.ipv6.icmp.ratelimit=0", "net.ipv6.icmp.ratemask=")
        run("ip", "-n", name, "addr", "add", f"10.7.0.{number}/24", "dev", "lan")
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", name, "link", "set", "lan", "up")
        run("ip", "link", "set", port, "up")
        self.places[name] = number
        return number

    def inside(self, name, *words, **more):
        return run("nsenter", f"--net=/run/netns/{name}", *words, **more)

    def carrier(self, name, on):
        """Plugs the cable in or out."""
        run("ip", "link", "set", f"p-{name}", "up" if on else "down")

    def silence(self, name, on):
        """Nothing passes, and nobody is told."""
        run("ip", "link", "set", f"p-{name}", *(["nomaster"] if on else ["master", "br0"]))

    def renumber(self, name, last):
        """Another IPv4 address."""
        run("ip", "-n", name, "-4", "addr", "flush", "dev", "lan")
        run("ip", "-n", name, "addr", "add", f"10.7.0.{last}/24", "dev", "lan")

    def mac(self, name):
        words = run("ip", "-n", name, "-o", "link", "show", "dev", "lan").split()
        return bytes.fromhex(words[words.index("link/ether") + 1].replace(":", ""))

    def node(self, name, flyleaf, home=None, place=True):
        if place and name not in self.places:
            self.place(name)
        node = Node(self, name, flyleaf, home)
        self.nodes.append(node)
        return node

    def capture(self, name):
        """What passes the port of a namespace from now on."""
        capture = Capture(f"p-{name}", os.path.join(self.dir, f"capture-{len(self.captures)}"))
        self.captures.append(capture)
        return capture


@contextlib.contextmanager
def in_namespace(name):
    """Sockets that are made in here belong to this namespace."""
    own, other = os.open("/proc/self/ns/net", os.O_RDONLY), os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        if LIBC.setns(other, 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        LIBC.setns(own, 0x40000000)
        os.close(own)
        os.close(other)


# ---- Frames ------------------------------------------------------------------

class Capture:
    """A process that keeps every frame of a port, in a file: when, whether it came out of the namespace, the bytes."""

    HEAD = struct.Struct("<d?I")
    TO_NAMESPACE = 4  # PACKET_OUTGOING

    def __init__(self, device, path):
        self.path = path
        ready, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.keep(device, tell)
            finally:
                os._exit(0)
        os.close(tell)
        os.read(ready, 1)
        os.close(ready)

    def keep(self, device, tell):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        s.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        s.bind((device, 3))
        ended = []
        signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        s.settimeout(0.1)
        os.write(tell, b"!")
        with open(self.path, "wb") as f:
            while True:
                try:
                    frame, whence = s.recvfrom(65535)
                except TimeoutError:
                    f.flush()
                    if ended:
                        break
                    continue
                except OSError:
                    continue  # the device went down
                f.write(self.HEAD.pack(time.time(), whence[2] != self.TO_NAMESPACE, len(frame)) + frame)
        lost = struct.unpack("II", s.getsockopt(263, 6, 8))[1]  # SOL_PACKET, PACKET_STATISTICS
        with open(self.path + ".lost", "w") as f:
            f.write(str(lost))

    def stop(self):
        """Ends it. Returns the frames."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
            self.pid = None
            with open(self.path + ".lost") as f:
                check(f.read() == "0", "the capture lost frames")
        return self.frames()

    def frames(self):
        """The frames up to a moment ago."""
        with open(self.path, "rb") as f:
            data = f.read()
        at, out = 0, []
        while at + self.HEAD.size <= len(data):
            when, left, n = self.HEAD.unpack_from(data, at)
            at += self.HEAD.size
            if at + n <= len(data):
                out.append(Frame(when, left, data[at:at + n]))
            at += n
        return out


class Frame:
    """An Ethernet frame, as far as the tests look into it. protocol: arp, igmp, mld, udp, tcp, icmp, icmp6 or other;
    left: it came out of the namespace, whoever its sender says it is."""

    def __init__(self, when, left, raw):
        self.when, self.left, self.raw = when, left, raw
        self.to, self.source = raw[0:6], raw[6:12]
        self.protocol, self.payload, self.ttl = "other", b"", None
        self.sport = self.dport = None
        self.src = self.dst = None
        kind = raw[12:14]
        if kind == b"\x08\x06":
            self.protocol = "arp"
        elif kind == b"\x08\x00":
            n = (raw[14] & 15) * 4
            self.src, self.dst, self.ttl = socket.inet_ntoa(raw[26:30]), socket.inet_ntoa(raw[30:34]), raw[22]
            self.inner(raw[23], raw[14 + n:14 + int.from_bytes(raw[16:18], "big")])
        elif kind == b"\x86\xdd":
            self.src, self.dst = (socket.inet_ntop(socket.AF_INET6, raw[i:i + 16]) for i in (22, 38))
            self.ttl = raw[21]
            self.inner(raw[20], raw[54:54 + int.from_bytes(raw[18:20], "big")])

    def inner(self, number, body):
        self.protocol = {1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 58: "icmp6", 0: "mld"}.get(number, "other")
        if number == 17:
            self.sport, self.dport = struct.unpack(">HH", body[:4])
            self.payload = body[8:int.from_bytes(body[4:6], "big")]
        else:
            self.payload = body

    def is_call(self):
        """A well-formed mDNS query of a call's size (PROTOCOL section 4)."""
        p = self.payload
        if self.protocol != "udp" or (self.sport, self.dport) != (5353, 5353) or len(p) not in (396, 1164):
            return False
        n = (len(p) - 12) // 48
        if self.ttl != 255 or self.dst not in ("224.0.0.251", "ff02::fb") or p[:12] != struct.pack(">6H", 0, 0, n, 0, 0, 0):
            return False
        return all(is_question(p[12 + 48 * i:60 + 48 * i]) for i in range(n))


def is_question(q):
    text = q[1:37]
    dashes = all((c == 45) == (i in (8, 13, 18, 23)) for i, c in enumerate(text))
    digits = all(c in b"0123456789abcdef-" for c in text)
    version = text[14:15] == b"4" and text[19:20] in (b"8", b"9", b"a", b"b")
    return q[0] == 36 and dashes and digits and version and q[37:] == b"\x05local\x00\x00\x01\x00\x01"


# ---- Nodes -------------------------------------------------------------------

class Refused(Exception):
    def __init__(self, error, text):
        super().__init__(f"{error}: {text}")
        self.error = error


class Face:
    """A face of the control socket (node/CONTROL.md). Lines can be asked ahead and their replies read later."""

    def __init__(self, home, user):
        self.socket = socket.socket(socket.AF_UNIX)
        at = os.open(home, os.O_PATH)
        try:
            os.seteuid(user)  # the node hears its own user only
            self.socket.connect(f"/proc/self/fd/{at}/control")
        finally:
            os.seteuid(0)
            os.close(at)
        self.buffer, self.lines, self.events, self.next = b"", [], [], 0

    def put(self, word, **fields):
        self.next += 1
        line = json.dumps({"v": 1, "id": self.next, "do": word, **fields}) + "\n"
        self.socket.settimeout(60)
        self.socket.sendall(line.encode())
        return self.next

    def fill(self, seconds):
        """Reads what is there. False when the node went away, None when nothing came in time."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return None
        try:
            data = self.socket.recv(1 << 20)
        except OSError:
            return False
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            say = json.loads(line)
            (self.events if "event" in say else self.lines).append(say)
        return data != b""

    def reply(self, seconds=60):
        """The next reply. ConnectionError when the node went away before it."""
        end = time.monotonic() + seconds
        while not self.lines:
            if self.fill(max(0, end - time.monotonic())) is False and not self.lines:
                raise ConnectionError("the node went away")
            check(self.lines or time.monotonic() < end, "the node did not reply")
        return self.lines.pop(0)

    def ask(self, word, **fields):
        self.put(word, **fields)
        reply = self.reply()
        if not reply["ok"]:
            raise Refused(reply["error"], reply["text"])
        return reply

    def event(self, seconds, *words, **fields):
        """The next event of one of these words (any, where there are none) and with these fields."""
        end = time.monotonic() + seconds
        while True:
            for i, e in enumerate(self.events):
                if (not words or e["event"] in words) and all(e.get(k) == v for k, v in fields.items()):
                    del self.events[:i + 1]
                    return e
            left = end - time.monotonic()
            check(left > 0, f"no event {' or '.join(words)} {fields} in {seconds} s, but {self.events}")
            if self.fill(left) is False:
                raise ConnectionError("the node went away")

    def close(self):
        self.socket.close()


class Node:
    """A person's device: a namespace, a home, an ordinary user, and at times a process."""

    def __init__(self, lab, name, flyleaf, home=None):
        self.lab, self.name, self.flyleaf = lab, name, flyleaf
        self.user = USER + len(lab.nodes)
        self.home = home or os.path.join(lab.dir, name)
        self.passphrase = f"{marker('phrase')} of {name}"
        self.log = os.path.join(lab.dir, f"{name}.log")
        self.process, self.face, self.unlock_s = None, None, []
        self.more = {}  # of the environment
        if not os.path.isdir(self.home):
            os.makedirs(self.home)
            os.chown(self.home, self.user, self.user)
            os.chmod(self.home, 0o700)

    def words(self, *words, extra=()):
        return [*self.prefix(), self.flyleaf, "--home", self.home, *extra, *words]

    def prefix(self):
        return ["nsenter", f"--net=/run/netns/{self.name}", "setpriv", f"--reuid={self.user}",
                f"--regid={self.user}", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]

    def environ(self):
        return {"PATH": os.environ["PATH"], "HOME": self.home, "LANG": "C.UTF-8", "TERM": "dumb",
                **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")},
                **(preloaded(self.lab.quick) if self.lab.quick else {}), **self.more}

    def cli(self, *words, text=b"", passphrase=None, timeout=120):
        """A word of the command line, with no terminal: (exit code, stdout, stderr)."""
        with contextlib.ExitStack() as stack:
            extra, fds = [], []
            if passphrase is not None:
                fd = passphrase_fd(passphrase)
                stack.callback(os.close, fd)
                extra, fds = ["--passphrase-fd", str(fd)], [fd]
            done = subprocess.run(self.words(*words, extra=extra), input=text, capture_output=True, pass_fds=fds,
                                  env=self.environ(), timeout=timeout, start_new_session=True)
        return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")

    def must(self, *words, **more):
        code, out, err = self.cli(*words, **more)
        check(code == 0, f"{self.name}: flyleaf {words[0]} ended with {code}: {err}")
        return out

    def init(self, *words):
        """Makes the vault, of the profile for small machines (PROTOCOL section 8): it opens faster."""
        fake = os.path.join(self.lab.dir, "meminfo")
        with open(fake, "w") as f:
            f.write("MemTotal: 999999 kB\nMemAvailable: 999999 kB\n")
        run("mount", "--bind", fake, "/proc/meminfo")
        try:
            self.must("init", *words, passphrase=self.passphrase)
        finally:
            run("umount", "/proc/meminfo")

    def begin(self, *words, passphrase=None):
        """Starts the node, and does not wait until it is open."""
        fd = passphrase_fd(self.passphrase if passphrase is None else passphrase)
        log = open(self.log, "ab")
        self.process = subprocess.Popen(self.words("run", *words, extra=["--passphrase-fd", str(fd)]), env=self.environ(),
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[fd],
                                        start_new_session=True)
        log.close()
        os.close(fd)
        self.began = time.monotonic()

    def is_open(self):
        """Tries to connect. Fails when the process has ended."""
        code = self.process.poll()
        check(code is None, f"{self.name}: the node ended with {code}")
        try:
            self.face = Face(self.home, self.user)
        except OSError:
            return False
        self.unlock_s.append(time.monotonic() - self.began)
        return True

    def start(self, *words):
        self.begin(*words)
        wait(f"{self.name} to open", self.is_open, 60, 0.01)

    def ask(self, word, **fields):
        return self.face.ask(word, **fields)

    def kill(self, how=signal.SIGKILL):
        """Ends the process. Returns its exit code."""
        if self.face is not None:
            self.face.close()
            self.face = None
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(how)
        code = self.process.wait(60)
        self.process = None
        return code

    def lock(self):
        """Ends it as a person does. Returns its exit code."""
        self.ask("lock")
        code = self.process.wait(60)
        self.kill()
        return code

    def contact(self, name):
        return self.ask("show", name=name)["contact"]

    def read(self, name, start=0):
        """All messages with a contact from this position on."""
        out = []
        while True:
            reply = self.ask("read", name=name, **{"from": start})
            out += reply["messages"]
            if not reply["messages"]:
                return out
            start = reply["next"]

    def tell_log(self):
        if os.path.exists(self.log):
            with open(self.log, errors="replace") as f:
                text = f.read()[-2000:]
            print(f"--- what {self.name} printed\n{text}---")


def preloaded(*libraries):
    """What the environment needs for these to be loaded into a program. A sanitizer in it would rather be the first."""
    return {"LD_PRELOAD": " ".join(libraries), "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


def passphrase_fd(passphrase):
    """A descriptor to read it from: a file without a name, in memory."""
    fd = os.memfd_create("p")
    os.write(fd, passphrase.encode() if isinstance(passphrase, str) else passphrase)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def pair(one, other, their_name, own_name):
    """Pairs two running nodes by code, over the control socket. one calls other their_name."""
    one.ask("follow"), other.ask("follow")
    code = one.ask("pair_show", name=their_name, qr=False)["code"]
    other.ask("pair_enter", name=own_name, code=code)
    a = one.face.event(90, "pair", state="compare")
    b = other.face.event(90, "pair", state="compare")
    check(a["safety"] == b["safety"], "the safety numbers differ")
    one.ask("pair_confirm", name=their_name, same=True)
    other.ask("pair_confirm", name=own_name, same=True)


def pair_by_command(one, other, their_name, own_name):
    """The same with `pair`, `join` and `confirm`, as two people without terminals would. Returns the safety number."""
    shows = subprocess.Popen(one.words("pair", their_name), env=one.environ(), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, text=True)
    code, seen = None, []
    try:
        for line in shows.stdout:
            seen.append(line)
            words = line.split()
            if code is None and len(words) == 4 and words[0].isdigit():
                code = words
                break
        check(code, f"`pair` shows no code: {seen}")
        joined = other.must("join", own_name, *code)
        rest = shows.communicate(timeout=120)[0]
        check(shows.returncode == 0, f"`pair` ended with {shows.returncode}: {rest}")
    finally:
        shows.kill()
        shows.wait()
    numbers = [number_in(text) for text in (rest, joined)]
    check(numbers[0] is not None and numbers[0] == numbers[1], f"the safety numbers differ: {numbers}")
    first = "-".join(numbers[0][:2])
    one.must("confirm", their_name, "--number", first)
    other.must("confirm", own_name, "--number", first)
    return numbers[0]


def number_in(text):
    for line in text.splitlines():
        words = line.split()
        if len(words) == 6 and all(len(w) == 5 and w.isdigit() for w in words):
            return words
    return None


def main(body):
    """Runs body() and ends with its result, failures told in one line."""
    try:
        body()
    except Failure as failure:
        print(f"FAILED: {failure}")
        sys.exit(1)
