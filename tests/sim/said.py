#!/usr/bin/env python3
"""What was not understood is said with what to do, and a run that ends well says so.

usage: said.py SIM
"""
import pathlib
import subprocess
import sys
import tempfile


def main(sim):
    def says(code, *words):
        done = subprocess.run([sim, *words], capture_output=True, text=True, check=False)
        assert done.returncode == code, (words, done)
        return done.stdout if code == 0 else done.stderr

    for words, text in (((), "nothing is to be done"), (("rnu", "x.sim"), "there is no command rnu"), (("run",), "run needs a scenario"),
                        (("check",), "check needs a scenario"), (("soak", "x.sim"), "does not take x.sim"),
                        (("run", "--sed", "7"), "--sed: not understood")):
        error = says(2, *words)
        assert text in error and error.endswith("; see flyleaf-sim --help\n") and error.count("\n") == 1, error
    with tempfile.TemporaryDirectory() as folder:
        scenario = pathlib.Path(folder) / "scenario.sim"
        scenario.write_text("lasts 1h\ndevices light\npeople ann\n")
        assert "Nothing was broken." in says(0, "run", str(scenario))
        for more in (["--report"], ["--hash"], ["--log", "-"], ["--html", folder + "/page.html"]):
            assert "Nothing was broken." not in says(0, "run", str(scenario), *more), more


if __name__ == "__main__":
    main(sys.argv[1])
