"""Files change under a running kofn: 200 rewrites lose no query and are served within a second; a fault changes nothing;
zones and policies come, change and go; a backend that dies leaves the answers, and comes back."""
import contextlib
import re
import socket
import subprocess
import sys
import threading
import time

import message as m
import peers
from pools import hand, query
from tally import Tally

APEX = "reload.test"
REWRITES = 200
WITHIN = 1.0          # seconds from the write of a zone file to its being served
STALLS = 2            # rewrites that may be later, because a machine that others share stalls now and then
RATE = 500            # queries a second while files change
LOST_AFTER = 2.0      # seconds without a reply
BACKENDS = ["127.0.0.21", "127.0.0.22", "127.0.0.23", "127.0.0.24"]
FALL, RISE, INTERVAL = 2, 3, 1.0


def zone_text(serial, line_7="www A 127.0.0.21"):
    lines = [f"$ORIGIN {APEX}.", "$TTL 300", f"@ SOA ns1 hostmaster {serial} 3600 600 1209600 30", "@ NS ns1", "ns1 A 127.0.0.1",
             f'version TXT "{serial}"', line_7, *(f"www A {address}" for address in BACKENDS[1:]), "steady A 192.0.2.1", ""]
    return "\n".join(lines)


class Load:
    """A steady stream of queries over one socket until `stop`; counts what was asked, answered and answered wrongly."""

    def __init__(self, address):
        self.asked, self.answered, self.wrong = 0, 0, 0
        self.ended = threading.Event()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(address)
        self.sock.settimeout(LOST_AFTER)
        self.threads = [threading.Thread(target=self.send), threading.Thread(target=self.receive)]
        for thread in self.threads:
            thread.start()

    def send(self):
        wire = query(f"steady.{APEX}").wire
        while not self.ended.wait(1 / RATE):
            self.sock.send(self.asked.to_bytes(4, "big")[2:] + wire[2:])
            self.asked += 1

    def receive(self):
        with contextlib.suppress(TimeoutError):
            while not self.ended.is_set() or self.answered < self.asked:
                reply = self.sock.recv(4096)
                self.answered += 1
                self.wrong += reply[3] & 15 != 0 or reply[6:8] != b"\0\1"

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        self.sock.close()


def by_rename(path, text, _repository):
    """As editors do: a new file takes the name of the old one."""
    beside = path.with_suffix(".swp")
    beside.write_text(text)
    beside.rename(path)


def by_cp(path, text, repository):
    (repository / "copy").write_text(text)
    subprocess.run(["cp", str(repository / "copy"), str(path)], check=True)


def by_rsync(path, text, repository):
    (repository / "copy").write_text(text)
    subprocess.run([peers.program("rsync"), "--checksum", str(repository / "copy"), str(path)], check=True)


def by_git(path, text, repository):
    """A commit in a clone, checked out into the folder that kofn watches."""
    def git(*arguments):
        subprocess.run([peers.program("git"), f"--git-dir={repository}/git", f"--work-tree={path.parent}", "-c", "user.name=x",
                        "-c", "user.email=x@localhost", *arguments], check=True, capture_output=True)
    blob = subprocess.run([peers.program("git"), f"--git-dir={repository}/git", "hash-object", "-w", "--stdin"], input=text, text=True,
                          check=True, capture_output=True).stdout.strip()
    git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path.name}")
    git("checkout-index", "-f", path.name)


WAYS = [by_rename, by_cp, by_rsync, by_git]


def served_version(server):
    reply = server.ask(query(f"version.{APEX}", "TXT").wire)
    answer = [record[4][1:] for record in m.read(reply).answer] if reply else []
    return int(answer[0]) if answer else None


def until(deadline, holds):
    """Seconds until `holds()`, or None when it did not by `deadline` seconds."""
    began = time.monotonic()
    while time.monotonic() - began < deadline:
        if holds():
            return time.monotonic() - began
        time.sleep(0.01)
    return None


def check_rewrites(tally, server, path):
    repository = peers.fresh("reload-git")
    subprocess.run([peers.program("git"), "init", "-q", "--bare", f"{repository}/git"], check=True)
    load, delays = Load(server.address), []
    try:
        for serial in range(2, REWRITES + 2):
            way = WAYS[serial % len(WAYS)]
            way(path, zone_text(serial), repository)
            took = until(10, lambda serial=serial: served_version(server) == serial)
            if took is None:
                tally.check(False, f"{way.__name__}: serial {serial} is not served after 10 s; log: {server.log[-600:]}")
                break
            tally.passed += 1
            delays.append(took)
    finally:
        load.stop()
    lost, late = load.asked - load.answered, [f"{took:.2f} s" for took in delays if took > WITHIN]
    print(f"{REWRITES} rewrites under {load.asked} queries; the slowest was served after {max(delays):.2f} s")
    tally.check(len(late) <= STALLS, f"rewrites served later than after {WITHIN} s: {' '.join(late)}")
    tally.check(not lost and not load.wrong, f"of {load.asked} queries {lost} were lost and {load.wrong} answered wrongly")


def check_fault(tally, server, path):
    """A fault at line 7 changes nothing and is named in the log, by `status` and by `check`."""
    good = served_version(server)
    place = re.compile(rf"{re.escape(path.name)}:7\b")
    by_rename(path, zone_text(good + 1, "www A 127.0.0.999"), None)
    tally.check(until(5, lambda: place.search(server.log)) is not None, "the log does not name the line of a fault")
    tally.check(served_version(server) == good, "a file with a fault is served")
    for arguments in (["status", "--state", "state"], ["status", "--state", "state", "--json"]):
        told = server.command(*arguments)
        named = place.search(told.stdout) or re.search(r'"line":\s*7\b', told.stdout)
        tally.check(not told.returncode and named, f"kofn {' '.join(arguments)} does not name line 7: {told.stdout}{told.stderr}")
    told = server.command("check", f"zones/{path.name}")
    tally.check(told.returncode == 1 and place.search(told.stdout + told.stderr), f"kofn check: status {told.returncode}: {told.stdout}{told.stderr}")
    by_rename(path, zone_text(good + 2), None)
    tally.check(until(5, lambda: served_version(server) == good + 2) is not None, "the repaired file is not served")
    told = server.command("status", "--state", "state")
    tally.check(not place.search(told.stdout), "status still names a fault that is repaired")


def check_files(tally, server, path):
    """Zone files that come and go, and a policy that changes, are followed; a policy with a fault changes nothing."""
    new = path.with_name("new.test.zone")
    new.write_text(zone_text(1).replace(APEX, "new.test"))
    asked = query("steady.new.test").wire
    took = until(5, lambda: m.read(server.ask(asked)).answer)
    tally.check(took is not None and took <= WITHIN, f"a new zone file was served after {took} s")
    new.unlink()
    took = until(5, lambda: m.read(server.ask(asked)).rcode == 5)
    tally.check(took is not None and took <= WITHIN, f"a zone whose file is gone was refused after {took} s")
    policy = path.with_suffix(".toml")
    good = policy.read_text()
    by_rename(policy, good.replace("k = 2", "k = 3"), None)
    took = until(5, lambda: len(one_hand(server)) == 3)
    tally.check(took is not None and took <= WITHIN, f"a changed policy was followed after {took} s")
    by_rename(policy, good.replace("k = 2", "k = 99999999"), None)
    line = good[:good.index("k = 2")].count("\n") + 1
    tally.check(until(5, lambda: f"{policy.name}:{line}:" in server.log) is not None, f"the log does not name line {line} of a policy with a fault")
    tally.check(len(one_hand(server)) == 3, "a policy with a fault is followed")
    by_rename(policy, good, None)
    tally.check(until(5, lambda: len(one_hand(server)) == 2) is not None, "the repaired policy is not followed")


class Backend:
    """A TCP listener that can be killed and started again."""

    def __init__(self, address, port):
        self.place, self.sock = (address, port), None
        self.start()

    def start(self):
        self.sock = socket.create_server(self.place)

    def kill(self):
        self.sock.close()


def one_hand(server):
    return hand(server.ask(query(f"www.{APEX}").wire))[0]


def hands(server, count=60):
    """The addresses in some hands of the pool."""
    return {socket.inet_ntoa(one) for _ in range(count) for one in one_hand(server)}


def check_backend(tally, server, backends):
    tally.check(hands(server) == set(BACKENDS), f"not every healthy backend is dealt: {hands(server)}")
    gone = BACKENDS[0]
    backends[0].kill()
    took = until(10, lambda: gone not in hands(server))
    tally.check(took is not None and took <= (FALL + 1) * INTERVAL, f"a killed backend left after {took} s, expected {(FALL + 1) * INTERVAL} s")
    backends[0].start()
    back = until(15, lambda: gone in hands(server))
    tally.check(back is not None and back <= (RISE + 2) * INTERVAL, f"it returned after {back} s, expected {(RISE + 2) * INTERVAL} s")
    print(f"a killed backend left after {took} s and returned after {back} s")


def backend_port():
    """A port that is free on every backend's address."""
    while True:
        port = peers.free_port()
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for address in BACKENDS:
                stack.enter_context(socket.create_server((address, port)))
            return port


def main():
    tally = Tally()
    folder, port = peers.fresh("reload"), backend_port()
    path = folder / "zones" / f"{APEX}.zone"
    path.parent.mkdir()
    path.write_text(zone_text(1))
    path.with_suffix(".toml").write_text(f"""[check.port]
type = "tcp"
port = {port}
interval = "1s"
timeout = "500ms"
fall = {FALL}
rise = {RISE}

[pool.www]
k = 2
check = "port"
""")
    backends = [Backend(address, port) for address in BACKENDS]
    with peers.Kofn(folder, apexes=[APEX]) as server:
        check_rewrites(tally, server, path)
        check_fault(tally, server, path)
        check_files(tally, server, path)
        check_backend(tally, server, backends)
        tally.check(server.stop() == 0, f"SIGTERM ended kofn with {server.process.returncode}")
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
