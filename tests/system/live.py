#!/usr/bin/env python3
"""Somebody's own flyleaf plays with simulated people: pairs by the code that is printed, and chats.

    live.py FLYLEAF FLYLEAF_SIM

The simulated people stand in one network namespace, the tester in another. Messages go both ways, are answered, and
arrive once and in order, also when the simulated person crashes between them; another tester pairs with the next code;
Ctrl-C ends it all.
"""
import os
import re
import select
import signal
import subprocess
import sys
import time

import lab

MESSAGES = 20
SCENARIO = """title a worker and a client
place cafe lan
people worker home cafe opens always
people client home cafe opens always
pair worker with client first calls
writes client to worker 48/day 20..200 bytes
end nothing
"""


class World:
    """flyleaf-sim live, and what it says."""

    def __init__(self, l, sim, name):
        number = l.place(name)
        lab.run("ip", "-n", name, "addr", "add", f"10.7.0.{number + 100}/24", "dev", "lan")
        scenario = os.path.join(l.dir, "scenario.sim")
        with open(scenario, "w") as f:
            f.write(SCENARIO)
        # A day in a minute: the client writes every second or so.
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{name}", sim, "live", scenario, "--people", "2", "--day", "1m",
             "--interfaces", f"lan=10.7.0.{number},lan=10.7.0.{number + 100}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.said = ""

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def expect(self, pattern, seconds=60):
        """Waits for it, and returns the match. What was said up to it is not looked at again."""
        end = time.monotonic() + seconds
        while True:
            match = re.search(pattern, self.said)
            if match:
                self.said = self.said[match.end():]
                return match
            left = end - time.monotonic()
            lab.check(left > 0, f"not said in {seconds} s: {pattern}; but: {self.said}")
            if select.select([self.process.stdout], [], [], left)[0]:
                more = os.read(self.process.stdout.fileno(), 65536)
                lab.check(more, f"the simulated people are gone; they said: {self.said}")
                self.said += more.decode()

    def end(self):
        """As Ctrl-C does. Returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(60)
        self.process.stdout.close()
        return code


def join(world, tester, name):
    code = world.expect(f'flyleaf join {name} "([^"]+)"')[1]
    number = lab.number_in(tester.must("join", name, code))
    lab.check(number is not None, "no safety number is shown")
    their = world.expect(f"{name} is paired; the safety number is ([0-9 ]+)")[1].split()
    lab.check(number == their, f"the safety numbers differ: {number} and {their}")
    tester.must("confirm", name, "--number", "-".join(number[:2]))


def texts(tester, name, own):
    return [m["text"] for m in tester.read(name) if m["own"] == own]


def chat(world, tester):
    """Each message is answered, in order, also those that were written while the other had crashed."""
    for n in range(MESSAGES):
        if n == MESSAGES // 2:
            lab.wait("the first half to be stored", lambda: tester.contact("worker")["waiting"] == 0)
            world.say("crash worker")
            world.expect("worker has crashed")
        tester.ask("send", name="worker", text=f"message {n}")
    answers = lab.wait("all to be answered", lambda: (a := texts(tester, "worker", False)) and len(a) >= MESSAGES and a, 90)
    lab.check([re.match(r'You wrote "message (\d+)"\. \w', a)[1] for a in answers] == [str(n) for n in range(MESSAGES)],
              f"the answers are {answers}")
    lab.wait("all to be known as stored", lambda: tester.contact("worker")["waiting"] == 0)


def body(flyleaf, sim):
    with lab.Lab() as l:
        world = World(l, sim, "street")
        tess, tom = l.node("tess", flyleaf), l.node("tom", flyleaf)
        for tester in (tess, tom):
            tester.init()
            tester.start()
        began = time.monotonic()
        join(world, tess, "worker")
        chat(world, tess)
        world.say("say worker hello from there")
        lab.wait("what was to be said", lambda: texts(tess, "worker", False)[-1] == "hello from there")
        print(f"paired, and {MESSAGES} messages each way, in {time.monotonic() - began:.1f} s")

        world.say("code client")
        join(world, tom, "client")
        lab.wait("the client to write by itself", lambda: len(texts(tom, "client", False)) >= 3, 90)
        world.say("offline client")
        lab.wait("the client to go", lambda: not tom.contact("client")["linked"])
        world.say("list")
        world.expect(r"worker +online +lan=\S+, 1 paired, 1 connected, code")
        world.expect(r"client +offline +lan=\S+, 1 paired, 0 connected")
        world.say("code nobody")
        world.expect('nobody here is called "nobody"')
        code = world.end()
        lab.check(code == 0, f"the simulated people ended with {code}")


if __name__ == "__main__":
    lab.enter()
    lab.main(lambda: body(*sys.argv[1:3]))
