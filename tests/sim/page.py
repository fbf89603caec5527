#!/usr/bin/env python3
"""The page of a run is well-formed, needs nothing from elsewhere, has every figure of the report, stays small, and is
the same for the same seed.

usage: page.py SIM
"""
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

HTML_BYTES_MAX = 2_000_000
SVG = "{http://www.w3.org/2000/svg}"
TWO = """title two <people> & "a place"
lasts 1d
devices light
place home lan
people ann home home opens always
people bob home home opens 4/day for 1h
pair ann with bob first calls
writes * to * 20/day 20..400 bytes
fault kill 2/day
end together at home within 1h
"""
MANY = """title many
lasts 1h
devices light
place net*50 lan at 10 10
place far lan at 90 90
people p*400 home net* opens always
pair p1,p2,p3 with p* each 1 first calls
day 00:10..00:50 p* at net*,far for 5m..20m chance 30%
writes p* to p* 24/day 20..60 bytes
fault sleep 1/day for 1m..5m
end nothing
"""
NOBODY_MEETS = "lasts 1h\ndevices light\npeople ann\n"


def run(sim, folder, text, page):
    scenario = folder / "scenario.sim"
    scenario.write_text(text)
    done = subprocess.run([sim, "run", scenario, "--seed", "5", "--report", "--html", page], check=True,
                          capture_output=True, text=True)
    return done.stdout, page.read_bytes()


def figures(report):
    """What the report says, but for what differs from run to run."""
    lines = [line for line in report.splitlines() if not line.startswith("this run")]
    return [lines[0]] + [line[11:].strip() if line[0] != " " else line.strip() for line in lines[1:] if line != "delay"]


def words(text):
    return " ".join(text.split())


def check(name, report, page):
    assert len(page) < HTML_BYTES_MAX, f"{name}: {len(page)} bytes"
    root = ET.fromstring(page)
    said = {words(" ".join(e.itertext())) for e in root.iter()}
    for figure in figures(report):
        assert words(figure) in said, f"{name}: the page does not say: {figure}"
    for e in root.iter():
        assert not e.tag.endswith("script"), f"{name}: a script"
        for key in e.attrib:
            assert key not in ("src", "href", "xlink:href"), f"{name}: {key}={e.attrib[key]}"
    assert not re.search(rb"url\(|@import", page), f"{name}: something from elsewhere"
    for svg in root.iter(SVG + "svg"):
        if svg.get("aria-hidden") is None:
            assert svg.find(SVG + "title").text and svg.find(SVG + "desc").text, f"{name}: a picture without words"
    assert b"nan" not in page and b"inf\"" not in page, f"{name}: a number that is none"


def main(sim):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, text in (("two", TWO), ("many", MANY), ("nobody meets", NOBODY_MEETS)):
            report, page = run(sim, folder, text, folder / "page.html")
            check(name, report, page)
            if name != "many":
                assert run(sim, folder, text, folder / "again.html")[1] == page, f"{name}: the page differs"
            print(f"{name}: {len(page)} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
