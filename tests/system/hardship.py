#!/usr/bin/env python3
"""What a system can do to the program and its files while it lives. Each check has a name; prints TAP.

    hardship.py FLYLEAF CHECK_VAULT HURT QUICK_GUESS [--life NAME]       NAME: only this check

Files that are gone, or are something else, or somebody else's; limits that are small; signals; a child.
"""

import os
import pty
import shutil
import signal
import subprocess
import time
import traceback

import lab
import hurt

VAULT, SYSTEM = 5, 8


def begin(world, limits=(), before=()):
    """`run` of Ana's, with limits of setrlimit(2). A process of hurt.py's without a fault."""
    ana = world.ana
    words = [*ana.prefix(), *before]
    if limits:
        words += ["prlimit", *(f"--{name}={value}" for name, value in limits)]
    return hurt.Process(world, ana, words, ["run", "--interfaces", ana.interfaces], [world.quick], passphrase=ana.passphrase)


def ended(process, codes, what):
    """It ends by itself, soon, with one of these codes, having said why. Returns what it said."""
    lab.check(process.wait(60), f"{what}: it does not end")
    out, err = process.texts()
    lab.check(process.process.returncode in codes, f"{what}: ended with {process.process.returncode}: {err}")
    lab.check(process.process.returncode == 0 or "flyleaf: " in err, f"{what}: says nothing")
    return err


def is_whole(world, what):
    """It opens, and all that was kept is there."""
    world.ana.start()
    try:
        world.compare()
    except lab.Failure as failure:
        raise lab.Failure(f"{what}: {failure}") from failure
    lab.check(world.ana.lock() == 0, f"{what}: locking failed")


def opened(world, process):
    """A face of the node that was begun, or None when it ended."""
    while process.running():
        try:
            return lab.Face(world.ana.home, world.ana.user)
        except OSError:
            time.sleep(0.01)
    return None


# ---- Files -----------------------------------------------------------------------

def files_that_are_something_else(world):
    home = os.path.join(world.ana.home, "notebooks")
    aside, bait = os.path.join(world.ram, "aside"), os.path.join(world.ram, "bait")
    kinds = {
        "nothing": lambda path: None,
        "a folder": os.mkdir,
        "a link": lambda path: os.symlink(bait, path),
        "a FIFO": os.mkfifo,
        "a device": lambda path: os.symlink("/dev/zero", path),
        "root's": lambda path: (shutil.copy(aside, path), os.chown(path, 0, 0), os.chmod(path, 0o600)),
    }
    for name in ("slots", "0", "1"):
        for kind, make in kinds.items():
            path = os.path.join(home, name)
            shutil.move(path, aside)
            shutil.copy(aside, bait)
            os.chmod(bait, 0o666)
            before = os.stat(bait)
            make(path)
            process = begin(world)
            face = opened(world, process)
            if face is not None:  # without the other notebook this one opens
                lab.check(name == "1", f"{name} is {kind}: it opens")
                face.close()
                process.process.send_signal(signal.SIGTERM)
                ended(process, hurt.DOCUMENTED, f"{name} is {kind}")
            else:
                ended(process, (VAULT, SYSTEM), f"{name} is {kind}")
            after = os.stat(bait)
            lab.check((before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size), f"{name}: written through a link")
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            elif os.path.lexists(path):
                os.remove(path)
            shutil.move(aside, path)
            is_whole(world, f"{name} was {kind}")


def a_socket_that_is_something_else(world):
    path, bait = os.path.join(world.ana.home, "control"), os.path.join(world.ram, "bait")
    for kind, make in (("a file", lambda: shutil.copy(bait, path)), ("a link", lambda: os.symlink(bait, path)), ("a FIFO", lambda: os.mkfifo(path))):
        with open(bait, "w") as f:
            f.write("bait")
        make()
        ended(begin(world), (hurt.REFUSED, SYSTEM), f"control is {kind}")
        with open(bait) as f:
            lab.check(f.read() == "bait", "written through a link")
        os.remove(path)
    is_whole(world, "control was something else")


def files_that_go_while_it_runs(world):
    home = world.ana.home
    copy = home + ".copy"
    shutil.copytree(home, copy)
    lab.run("chown", "-R", f"{world.ana.user}:{world.ana.user}", copy)
    process = begin(world)
    face = opened(world, process)
    shutil.rmtree(home + "/notebooks")
    os.remove(home + "/control")
    lab.check(face.ask("status")["contacts"] == 1, "it does not live on")
    code, _, err = world.ana.cli("status")
    lab.check(code == hurt.NO_NODE and "no vault" in err, f"status ended with {code}: {err}")
    process.process.send_signal(signal.SIGTERM)
    ended(process, hurt.DOCUMENTED, "all files are gone")
    face.close()
    shutil.rmtree(home)
    shutil.move(copy, home)
    is_whole(world, "a copy was put back")


# ---- Limits ----------------------------------------------------------------------

def few_descriptors(world):
    """With too few it says so, and with enough it works: nothing between."""
    opens = []
    for n in range(4, 40):
        process = begin(world, [("nofile", n)])
        face = opened(world, process)
        if face is None:
            process.wait(60)
            out, err = process.texts()
            lab.check(process.process.returncode in (*hurt.DOCUMENTED, 127), f"{n}: {process.process.returncode} {err}")
            continue
        opens.append(n)
        try:
            face.socket.settimeout(3)
            face.ask("status")
        except (lab.Failure, OSError):
            opens.pop()  # it has no descriptor for us
        face.close()
        process.process.send_signal(signal.SIGTERM)
        ended(process, hurt.DOCUMENTED, f"{n} descriptors")
    lab.check(opens and opens[-1] == 39, f"it works with {opens}")
    print(f"# works from {opens[0]} descriptors on")
    is_whole(world, "few descriptors")


def little_memory(world):
    for limit in [1 << 20 << i for i in range(3, 11)]:
        process = begin(world, [("as", limit)])
        face = opened(world, process)
        if face is None:
            process.wait(60)
            out, err = process.texts()
            lab.check(process.process.returncode in (*hurt.DOCUMENTED, 127), f"{limit >> 20} MiB: {process.process.returncode} {err}")
            continue
        face.close()
        process.process.send_signal(signal.SIGTERM)
        ended(process, hurt.DOCUMENTED, f"{limit >> 20} MiB")
    is_whole(world, "little memory")


def memory_that_is_not_locked(world):
    """Keys are never in memory that could be swapped out without a word."""
    for limit, warns in ((0, True), (65536, True), (8 << 20, False)):
        process = begin(world, [("memlock", limit)])
        face = opened(world, process)
        lab.check(face is not None, f"{limit}: it does not open")
        face.close()
        process.process.send_signal(signal.SIGTERM)
        said = ended(process, (0,), f"{limit} bytes of locked memory")
        lab.check(("could reach the swap" in said) == warns, f"{limit}: says {said!r}")


def files_that_may_not_grow(world):
    """The notebook is full, as it is on a full disk: what was taken is there."""
    process = begin(world, [("fsize", os.path.getsize(world.ana.home + "/notebooks/0"))])
    face = opened(world, process)
    refused = 0
    for i in range(400):
        text = world.next() + "y" * 20000
        world.maybe.add(text)
        face.put("send", name="Ben", text=text)
        reply = face.reply()
        if not reply["ok"]:
            refused += 1
            break
        world.kept.append(text)
    lab.check(refused, "there is room without end")
    face.close()
    process.process.send_signal(signal.SIGTERM)
    ended(process, hurt.DOCUMENTED, "files that may not grow")
    is_whole(world, "files that may not grow")


# ---- Signals ---------------------------------------------------------------------

def stopped_and_continued(world):
    """The process sleeps, as with the machine; what was written meanwhile arrives."""
    world.ben.kill(), world.ben.start()
    world.ana.start()
    lab.wait("the two to meet", lambda: world.ana.contact("Ben")["linked"], 30)
    world.ana.process.send_signal(signal.SIGSTOP)
    world.ben.ask("send", name="Ana", text="while it slept")
    time.sleep(2)
    world.ana.process.send_signal(signal.SIGCONT)
    lab.wait("it to arrive", lambda: any(m["text"] == "while it slept" for m in world.ana.read("Ben")), 60)
    lab.check(world.ana.lock() == 0, "locking failed")


def a_storm_of_signals(world):
    for pause in (0, 0.0005, 0.003):
        process = begin(world)
        face = opened(world, process)
        text = world.next()
        face.ask("send", name="Ben", text=text)
        world.kept.append(text)
        face.close()
        for i in range(200):
            if not process.running():
                break
            process.process.send_signal((signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE)[i % 4])
            time.sleep(pause)
        ended(process, (0,), "a storm of signals")
        is_whole(world, "a storm of signals")


def the_terminal_goes(world):
    """Its window is closed: it locks."""
    ana, (master, slave) = world.ana, pty.openpty()
    fd = lab.passphrase_fd(ana.passphrase)
    process = subprocess.Popen(["setsid", "--ctty", *ana.prefix(), ana.flyleaf, "--home", ana.home, "--passphrase-fd", str(fd), "run",
                                "--interfaces", ana.interfaces], env=ana.environ(), stdin=slave, stdout=slave, stderr=slave, pass_fds=[fd])
    os.close(slave), os.close(fd)
    while process.poll() is None:
        try:
            lab.Face(ana.home, ana.user).close()
            break
        except OSError:
            time.sleep(0.01)
    os.close(master)
    lab.check(process.wait(60) in hurt.DOCUMENTED, f"ended with {process.returncode}")
    lab.check(not os.path.exists(ana.home + "/control"), "its socket is still there")
    is_whole(world, "the terminal went")


# ---- Children --------------------------------------------------------------------

def a_child_holds_nothing(world):
    """Who reads a picture has a pipe and nothing else, and no program of another's is started."""
    path = os.path.join(world.ram, "large.pgm")
    with open(path, "wb") as f:
        f.write(b"P5\n5000 5000\n255\n" + os.urandom(5000 * 5000))
    world.ana.start()
    process = hurt.Process(world, world.ana, world.ana.prefix(), ["join", "Cleo", path], [world.quick])
    seen = None
    while process.running() and seen is None:
        try:
            with open(f"/proc/{process.process.pid}/task/{process.process.pid}/children") as f:
                child = f.read().split()[0]
            with open(f"/proc/{child}/status") as f:
                if "Seccomp:\t2" not in f.read():
                    continue  # it is not confined yet
            seen = [(fd, os.readlink(f"/proc/{child}/fd/{fd}")) for fd in os.listdir(f"/proc/{child}/fd")]
            exe, shielded = os.readlink(f"/proc/{child}/exe"), os.stat(f"/proc/{child}/mem").st_uid == 0
        except (OSError, IndexError):
            continue
    process.wait(30)
    process.texts()
    world.ana.kill()
    lab.check(seen is not None, "no child was seen")
    lab.check(len(seen) == 1 and seen[0][0] == "0" and seen[0][1].startswith("pipe:"), f"it holds {seen}")
    lab.check(exe == world.flyleaf and shielded, f"it is {exe}, shielded: {shielded}")


CHECKS = [files_that_are_something_else, a_socket_that_is_something_else, files_that_go_while_it_runs, few_descriptors, little_memory,
          memory_that_is_not_locked, files_that_may_not_grow, stopped_and_continued, a_storm_of_signals, the_terminal_goes, a_child_holds_nothing]


def body():
    failed = 0
    chosen = [c for c in CHECKS if given.life in (None, c.__name__)]
    print(f"1..{len(chosen)}")
    with lab.Lab(given.quick) as l:
        world = hurt.World(l, given)
        lab.check(world.ana.lock() == 0, "locking failed")
        for i, check in enumerate(chosen, 1):
            began = time.monotonic()
            try:
                check(world)
                print(f"ok {i} - {check.__name__} # {time.monotonic() - began:.1f} s", flush=True)
            except Exception:
                failed += 1
                print(f"not ok {i} - {check.__name__}")
                print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="", flush=True)
            world.ana.kill()
    lab.check(not failed, f"{failed} checks")


if __name__ == "__main__":
    given = hurt.arguments(__doc__.splitlines()[0]).parse_args()
    lab.enter()
    lab.main(body)
