"""Runs every topic (each file here with a `main`) in a process of its own and adds up.

Usage: topics.py [NAME…]. Topics that watch the clock run alone, after the others. A topic passes when it ends with
status 0; when its last line reads `N passed, M failed` its numbers count, else it counts as one.
"""
import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
FIRST = ["zones"]             # makes what the others read
ALONE = ["restart", "rate", "pools", "reload", "transfers_out", "selfdoubt", "death"]   # count, and measure, against the clock
BY_NAME = ["systemd"]         # run when they are named: they take of a machine what not every one has
AT_ONCE = 2                   # topics side by side
LIMIT = 1200                  # seconds; a topic that takes longer has failed. `package` compiles cargo-deb the first time


def names():
    found = sorted(path.stem for path in HERE.glob("*.py")
                   if path.stem != "topics" and re.search(r"^def main\(\)", path.read_text(encoding="utf-8"), re.M))
    return FIRST + [name for name in found if name not in FIRST + ALONE] + ALONE


def run(name):
    """(passed, failed) of one topic; its output is printed whole, so that topics do not mix."""
    began = time.monotonic()
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import {name}; sys.exit({name}.main())"
    topic = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             errors="replace", start_new_session=True)
    try:
        output, _ = topic.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(topic.pid, signal.SIGKILL)   # its servers are in its session
        output = topic.communicate()[0] + f"\nlonger than {LIMIT} s"
    status = topic.returncode
    print(f"── {name} ({time.monotonic() - began:.0f} s)\n{output.rstrip()}\n", flush=True)
    counts = re.search(r"(\d+) passed, (\d+) failed\s*$", output)
    passed, failed = (int(counts[1]), int(counts[2])) if counts else (int(not status), 0)
    return passed, max(failed, 1) if status else failed


def main():
    wanted = sys.argv[1:] or [name for name in names() if name not in BY_NAME]
    unknown = set(wanted) - set(names())
    if unknown:
        sys.exit(f"no such topic: {' '.join(sorted(unknown))}; there are: {' '.join(names())}")
    results = [run(name) for name in wanted if name in FIRST]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        results += pool.map(run, [name for name in wanted if name not in FIRST + ALONE])
    results += [run(name) for name in wanted if name in ALONE]
    passed, failed = (sum(column) for column in zip(*results, strict=True))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
