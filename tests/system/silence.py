#!/usr/bin/env python3
"""A device in `answer` mode with nothing to say sends nothing, whatever a stranger sends to it.

    silence.py FLYLEAF [--seed N] [--seconds N] [--full]

Ana, a worker, calls and Ben, a client, answers, and all of it is recorded. Ana leaves. For some time (ten minutes with
--full) Eve, a stranger on the same network, then sends to Ben: Ana's calls again, from Ana's address and from her
own, with Ben's own words among them; calls of Ana that Ben never heard, from another address; old datagrams of
sessions and pairing; garbage of every size; well-formed queries of others; random datagrams to many ports; and scans.

    no UDP datagram, no IGMP or MLD report leaves Ben; whatever else his kernel answers, it answers without the
    program too: a scan gives the same lines with it and without it
    afterwards Ana calls, and Ben, who was there all the time, answers
"""

import argparse
import shutil
import socket
import struct
import time

import lab

PORTS = "137,1900,5350-5360,49152-49250,50100-50200"
CALL_PORT = 5353


# ---- What Eve sends ----------------------------------------------------------

def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def udp4(source_mac, to_mac, src, dst, sport, dport, payload, ttl=255):
    """A frame of any sender's name."""
    ips = socket.inet_aton(src) + socket.inet_aton(dst)
    length = 8 + len(payload)
    udp = struct.pack(">HHHH", sport, dport, length, 0) + payload
    udp = udp[:6] + struct.pack(">H", checksum(ips + struct.pack(">HH", 17, length) + udp) or 0xffff) + udp[8:]
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 0, 0, ttl, 17, 0) + ips
    return to_mac + source_mac + b"\x08\x00" + ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:] + udp


def whole(frame):
    """A recorded UDP frame with its checksum: inside one machine the kernel leaves it out."""
    raw = frame.raw
    at = 34 if ":" not in frame.src else 54
    addresses = raw[26:34] if at == 34 else raw[22:54]
    udp = raw[at:at + 8 + len(frame.payload)]
    udp = udp[:6] + b"\0\0" + udp[8:]
    sum_ = checksum(addresses + struct.pack(">HH" if at == 34 else ">II", 17, len(udp)) + udp) or 0xffff
    return raw[:at] + udp[:6] + struct.pack(">H", sum_) + udp[8:]


def query(random, questions):
    """What a browser asks: names that nobody has."""
    out = struct.pack(">6H", 0, 0, questions, 0, 0, 0)
    for _ in range(questions):
        b = bytearray(random.randbytes(16))
        b[6], b[8] = b[6] & 15 | 64, b[8] & 63 | 128
        h = b.hex()
        name = "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))
        out += b"\x24" + name.encode() + b"\x05local\0\0\1\0\1"
    return out


class Eve:
    def __init__(self, l, random):
        self.random, self.mac, self.sent, self.to_ports = random, l.mac("eve"), 0, 0
        self.ben_mac = l.mac("ben")
        with lab.in_namespace("eve"):
            self.raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self.raw.bind(("lan", 0))

    def frame(self, frame):
        self.raw.send(frame)
        self.sent += 1

    def replay(self, frame, own_address=False):
        """A recorded frame once more: as it was, or from Eve's own address."""
        if not own_address:
            self.frame(whole(frame))
        elif frame.src is not None and ":" not in frame.src:
            to, dst = (frame.to, frame.dst) if frame.to[0] & 1 else (self.ben_mac, "10.7.0.2")
            self.frame(udp4(self.mac, to, "10.7.0.3", dst, frame.sport, frame.dport, frame.payload, frame.ttl))

    def to_group(self, payload, ttl=255):
        group = b"\x01\x00\x5e\x00\x00\xfb"
        self.frame(udp4(self.mac, group, "10.7.0.3", "224.0.0.251", CALL_PORT, CALL_PORT, payload, ttl))

    def to_ben(self, payload, port):
        self.to_ports += 1
        self.frame(udp4(self.mac, self.ben_mac, "10.7.0.3", "10.7.0.2", self.random.choice([port, 5353, 40000]), port, payload))

    def garbage(self):
        r = self.random
        self.to_group(r.randbytes(r.choice([0, 1, 12, 60, 395, 396, 397, 1164, 1165, 1400])))
        self.to_group(query(r, r.choice([1, 8, 24])), r.choice([255, 64, 1]))
        bent = bytearray(query(r, r.choice([8, 24])))
        bent[r.randrange(len(bent))] ^= 1 << r.randrange(8)
        self.to_group(bytes(bent))
        self.to_ben(r.randbytes(r.choice([0, 48, 256, 1232])), r.choice([5353, r.randrange(1, 65536)]))


def scan(ports):
    """What a scanner prints, without what differs each time."""
    lines = []
    for words in (["-sU", "-p", ports], ["-sS", "-p", "1-136,138-1024," + ports]):
        out = lab.run("nsenter", "--net=/run/netns/eve", "nmap", "-n", "-Pn", "-T4", "--reason", "--max-retries", "3", *words, "10.7.0.2")
        lines += [line for line in out.splitlines() if not line.startswith(("Starting", "Nmap done", "Host is up"))]
    return lines


# ---- The test ----------------------------------------------------------------

def responder():
    """What a system's own mDNS responder does: a member of both groups, as on most desktops."""
    with lab.in_namespace("ben"):
        v4, v6 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        number = socket.if_nametoindex("lan")
        v4.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("=4s4si", socket.inet_aton("224.0.0.251"), b"\0" * 4, number))
        v6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, "ff02::fb") + struct.pack("=I", number))
    return v4, v6


def reports(frames):
    """IGMP and MLD that left the namespace."""
    return [f for f in frames if f.left and f.protocol in ("igmp", "mld")]


def record(l, ana, ben):
    """Two sessions, and what Ben hears of them: (frames that he heard, calls that he never heard)."""
    capture = l.capture("ben")
    for n in range(2):
        if n:
            ana.start()
        lab.wait("the two to meet", lambda: ben.contact("Ana")["linked"], 60)
        ana.ask("send", name="Ben", text=f"hello {n}")
        lab.wait("the message to be stored", lambda: ana.contact("Ben")["waiting"] == 0, 30)
        lab.check(ana.lock() == 0, "locking failed")
        lab.wait("Ben to notice", lambda: not ben.contact("Ana")["linked"], 30)
    heard = [f for f in capture.stop() if f.protocol == "udp"]
    unheard = l.capture("ana")
    l.silence("ben", True)
    ana.start()
    time.sleep(14)
    ana.kill()
    l.silence("ben", False)
    calls = [f for f in unheard.stop() if f.protocol == "udp"]
    lab.check(calls and all(f.is_call() for f in calls + [f for f in heard if f.dport == CALL_PORT]), "a call is not well-formed")
    return heard, calls


def trouble(eve, heard, unheard, seconds):
    """All that Eve has to send, again and again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for f in heard:
            eve.replay(f)
            eve.replay(f, own_address=True)
            eve.garbage()
            time.sleep(0.004)
        for f in unheard:
            eve.replay(f, own_address=True)
        for _ in range(50):
            eve.garbage()
        time.sleep(0.5)


def body(given):
    random = lab.seed_of(given.seed)
    seconds = 600 if given.full else given.seconds
    with lab.Lab() as l:
        ana, ben = (l.node(name, given.flyleaf) for name in ("ana", "ben"))
        l.place("eve")
        # Eve uses the addresses of others; the bridge goes on to deliver what is theirs to them.
        lab.run("ip", "link", "set", "p-eve", "type", "bridge_slave", "learning", "off")
        ana.init(), ben.init()
        kept = responder()
        time.sleep(4)  # its own reports
        watch = l.capture("ben")
        ana.start(), ben.start()
        lab.pair(ana, ben, "Ben", "Ana")
        ana.ask("mode", name="Ben", mode="call")
        heard, unheard = record(l, ana, ben)
        joined = reports(watch.stop())
        print(f"recorded {len(heard)} datagrams, {len(unheard)} calls that Ben never heard; {len(joined)} IGMP and MLD reports of Ben")
        lab.check(not joined, "the node joined a group in a way that is seen")

        eve, watch = Eve(l, random), l.capture("ben")
        scanned = None
        trouble(eve, heard, unheard, seconds / 2)
        if shutil.which("nmap"):
            scanned = scan(PORTS)
        trouble(eve, heard, unheard, seconds / 2)
        came = [f for f in watch.stop() if f.left]
        count = {}
        for f in came:
            count[f.protocol] = count.get(f.protocol, 0) + 1
        print(f"Eve sent {eve.sent} frames in {seconds} s, and scanned; Ben's kernel answered: {count}")
        for f in came:
            lab.check(f.protocol != "udp", f"a datagram left Ben: {f.sport} to {f.dst} {f.dport}, {len(f.payload)} bytes")
        lab.check(not reports(came), "a report left Ben")
        lab.check(count.get("icmp", 0) > eve.to_ports * 0.9, f"of {eve.to_ports} datagrams to his ports few came")
        lab.check(ben.ask("status")["linked"] == [], "Ben is linked with somebody")

        ana.start()
        lab.wait("Ben to answer Ana, as before", lambda: ben.contact("Ana")["linked"], 60)
        ben.lock(), ana.lock()
        if scanned is None:
            print("no nmap: nothing was scanned")
        else:
            without = scan(PORTS)
            lab.check(scanned == without, "a scan sees the program:\n" + "\n".join(set(scanned) ^ set(without)))
            print(f"scans of {PORTS} and TCP 1-1024: {len(scanned)} lines, the same with the program and without")
        for s in kept:
            s.close()


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("flyleaf")
    p.add_argument("--seed", type=int)
    p.add_argument("--seconds", type=int, default=60)
    p.add_argument("--full", action="store_true", help="ten minutes")
    given = p.parse_args()
    lab.enter()
    lab.main(lambda: body(given))
