#!/usr/bin/env python3
"""Nothing of what people write, are called, or open their vault with rests on the disk in clear.

    traces.py FLYLEAF

Two homes on an ext4 image of its own. Markers are planted in names, messages and pass-phrases; the raw image is searched
for each, as UTF-8 and UTF-16, while the nodes run, after SIGKILL, and after they were locked; so are the command
lines, the environments and the output of every process of ours. A canary proves that the search finds.
"""

import argparse
import mmap
import os
import shutil
import subprocess
import time

import lab

IMAGE_MIB = 96
OPTIONS = "loop,noatime"
MESSAGES = 60


class Image:
    """An ext4 file system in a file, mounted."""

    def __init__(self, l, name, mib):
        self.path, self.mount = os.path.join(l.dir, f"{name}.img"), os.path.join(l.dir, f"{name}.mnt")
        with open(self.path, "wb") as f:
            f.truncate(mib << 20)
        lab.run("mkfs.ext4", "-q", "-F", self.path)
        os.makedirs(self.mount)
        lab.run("mount", "-o", OPTIONS, self.path, self.mount)

    def search(self):
        os.sync()
        with open(self.path, "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as data:
            return lab.hits(data)


def home_on(image, l, name, flyleaf):
    node = l.node(name, flyleaf, home=os.path.join(image.mount, name))
    return node


def look_at_processes(nodes):
    """What any user of the machine could see, and what root could."""
    ours = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            parts = [open(f"/proc/{pid}/{part}", "rb").read() for part in ("cmdline", "environ", "comm")]
        except OSError:
            continue  # it has ended
        ours += b"flyleaf" in parts[2]
        lab.check(not lab.hits(b"\0".join(parts)), f"in clear in the process {parts[0]}")
    lab.check(ours == sum(n.process is not None for n in nodes), f"{ours} processes are there to be looked at")
    for node in nodes:
        with open(node.log, "rb") as f:
            lab.check(not lab.hits(f.read()), f"{node.name} printed it")


def body():
    with lab.Lab() as l:
        if shutil.which("mkfs.ext4") is None:
            lab.skip("needs mkfs.ext4")
        try:
            image = Image(l, "disk", IMAGE_MIB)
        except subprocess.CalledProcessError:
            lab.skip("the system mounts no loop device here")
        plant_and_find(image)
        nodes = [l.node(name, given.flyleaf, home=os.path.join(image.mount, name)) for name in ("ana", "ben")]
        names = [lab.marker("Name") + " Ä", lab.marker("Name")]
        for node in nodes:
            node.init()
            node.start()
        lab.pair(*nodes, *names)
        nodes[0].ask("mode", name=names[0], mode="call")
        write(nodes, names)
        look(image, nodes, "while they run")
        for node in nodes:
            node.kill()
        look(image, nodes, "after SIGKILL")
        for node in nodes:
            node.start()
        nodes[0].ask("rename", name=names[0], to=lab.marker("Name"))
        nodes[1].ask("forget", name=names[1])
        look(image, nodes, "after another name and a farewell")
        for node in nodes:
            lab.check(node.lock() == 0, "locking failed")
        look(image, nodes, "after locking")


def plant_and_find(image):
    """Proves that the search finds, in each encoding, also what was deleted; then makes the place clean."""
    path = os.path.join(image.mount, "canary")
    for code in ("utf-8", "utf-16-le", "utf-16-be"):
        text = lab.marker("Canary").encode(code)
        with open(path, "wb") as f:
            f.write(text)
        os.sync()
        os.remove(path)
        found = image.search()
        lab.check(any(f.startswith(code) for f in found), f"the search does not see {code}: {found}")
        with open(image.path, "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as data:
            at = data.find(text)
        lab.run("umount", image.mount)
        with open(image.path, "r+b") as f:
            f.seek(at)
            f.write(bytes(len(text)))
        lab.run("mount", "-o", OPTIONS, image.path, image.mount)
        lab.check(not image.search(), "the place is not clean")


def write(nodes, names):
    """Messages of all sizes, in both directions."""
    for i in range(MESSAGES):
        text = lab.marker("Text")
        nodes[i % 2].ask("send", name=names[i % 2], text=f"{text} {'and more ' * (i * 37 % 900)}{text}")
    for node, name in zip(nodes, names):
        lab.wait("the messages to be stored", lambda n=node, m=name: n.contact(m)["waiting"] == 0, 60)
        lab.check(len(node.read(name)) == MESSAGES, "messages are missing")


def look(image, nodes, when):
    began = time.monotonic()
    found = image.search()
    lab.check(not found, f"{when}, in clear on the disk: {found}")
    look_at_processes(nodes)
    print(f"{when}: 0 hits of any marker in 3 encodings in {IMAGE_MIB} MiB ({time.monotonic() - began:.1f} s)")


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("flyleaf")
    given = p.parse_args()
    lab.enter()
    lab.main(body)
