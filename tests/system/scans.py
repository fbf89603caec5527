#!/usr/bin/env python3
"""What a port scanner and the system's own mDNS responders notice of a node: nothing.

    scans.py FLYLEAF

Ben's and Eve's systems run avahi-daemon. From a fourth machine Ben is scanned three times: without the program, while a
session is on, and while he waits for a call. Ana and Ben pair, link, write, and part meanwhile.

    the scans have the same lines: the 1,000 TCP ports that scanners try first, UDP 137, 1900 and 5353, a part of the
    range of session ports, and the port of the very session
    no IGMP or MLD report leaves Ben, whose responder has joined the groups already
    neither responder logs a line of what Ana and Ben sent
"""

import argparse
import os
import shutil
import subprocess
import time

import lab
import silence

CONF = """[server]
host-name=%s
use-ipv4=yes
use-ipv6=yes
allow-interfaces=lan
enable-dbus=no
[publish]
publish-workstation=yes
publish-hinfo=yes
"""


class Responder:
    def __init__(self, l, name):
        conf, self.log = (os.path.join(l.dir, f"avahi-{name}.{end}") for end in ("conf", "log"))
        with open(conf, "w") as f:
            f.write(CONF % name)
        begin = ("mount -t tmpfs none /run && mkdir -p /run/avahi-daemon && "
                 f"exec avahi-daemon -f {conf} --no-drop-root --no-chroot --no-rlimits --no-proc-title")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["nsenter", f"--net=/run/netns/{name}", "unshare", "--mount", "sh", "-c", begin],
                                            stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        lab.wait(f"avahi-daemon of {name}", lambda: "startup complete" in self.lines(), 30)

    def lines(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def end(self):
        self.process.kill()
        self.process.wait()


def scan(port):
    lines = []
    for words in (["-sU", "-p", f"137,1900,5353,49152-49172,{port}"], ["-sS"], ["-sS", "-p", f"5353,{port}"]):
        out = lab.run("nsenter", "--net=/run/netns/max", "nmap", "-n", "-Pn", "-T4", "--reason", "--max-retries", "2", *words, "10.7.0.2")
        lines += [line for line in out.splitlines() if not line.startswith(("Starting", "Nmap done", "Host is up"))]
    return lines


def body(given):
    with lab.Lab() as l:
        ana, ben = (l.node(name, given.flyleaf) for name in ("ana", "ben"))
        for name in ("eve", "max"):
            l.place(name)
        for node in (ana, ben):
            node.init()
        responders = [Responder(l, name) for name in ("ben", "eve")]
        time.sleep(5)  # their own reports and announcements
        before = [r.lines() for r in responders]
        watch = l.capture("ben")
        for node in (ana, ben):
            node.start()
        lab.pair(ana, ben, "Ben", "Ana")
        ana.ask("mode", name="Ben", mode="call")
        lab.wait("the two to meet", lambda: ben.contact("Ana")["linked"], 60)
        for node, name in ((ana, "Ben"), (ben, "Ana")):
            node.ask("send", name=name, text="hello")
            lab.wait("the message to be stored", lambda n=node, m=name: n.contact(m)["waiting"] == 0, 30)
        frames = watch.stop()
        port = [f.sport for f in frames if f.protocol == "udp" and f.sport >= 49152 and ":" not in f.src and len(f.payload) == 1232][-1]
        lab.check(not silence.reports(frames), "an IGMP or MLD report left Ben")
        said = ["".join(r.lines()[len(b):]) for r, b in zip(responders, before)]
        lab.check(said == ["", ""], f"the responders logged: {said}")

        linked = scan(port)
        lab.check(ben.contact("Ana")["linked"] and ana.contact("Ben")["linked"], "the scan ended the session")
        ana.lock()
        lab.wait("Ben to notice", lambda: not ben.contact("Ana")["linked"], 30)
        waiting = scan(port)
        ben.lock()
        without = scan(port)
        for name, seen in (("while linked", linked), ("while waiting", waiting)):
            lab.check(seen == without, f"{name} a scan sees the program:\n" + "\n".join(sorted(set(seen) ^ set(without))))
        print(f"scans while linked (port {port}), while waiting and without the program: the same {len(without)} lines; no new report "
              "of IGMP or MLD; nothing in the logs of two avahi-daemons")
        for r in responders:
            r.end()


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("flyleaf")
    given = p.parse_args()
    lab.enter()
    for tool in ("nmap", "avahi-daemon"):
        if shutil.which(tool) is None:
            lab.skip(f"needs {tool}")
    lab.main(lambda: body(given))
