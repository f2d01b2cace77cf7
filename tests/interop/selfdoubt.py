"""kofn whose own network is cut: no pool loses a member or is shuffled; and what really died is out soon after the cut.

kofn runs in one network namespace, the backends and a witness in another, with a cable (veth) between them. It is asked on
its own loopback, which no cut reaches. Both namespaces end with their last process, so that nothing is left behind.
"""
import collections
import contextlib
import datetime
import ipaddress
import json
import os
import re
import subprocess
import sys
import threading
import time

import exchange
import libraries
import message as m
import peers
from death import LISTEN
from pools import hand, query
from tally import Tally

APEX = "doubt.test"
PORT = 8080
BACKENDS = [f"10.78.0.{i}" for i in range(11, 17)]
WITNESS = "10.78.0.99"
K = 2
DEALT = 600             # hands that show the rotation of six
USUAL = 0.05            # the share of a hand of that: it has five of about a fifth each, and some that hardly ever come
INTERVAL, TIMEOUT = 1.0, 0.5
CUT = 8 * INTERVAL      # that a cut lasts once it is noticed: enough for each backend to go down several times over
LIMIT = 15.0            # seconds until anything that is waited for must be
HEAD = "$TTL 60\n@ SOA ns1 hostmaster 1 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\n"
SETTINGS = f'[health]\nwitnesses = ["{WITNESS}:{PORT}"]\n'
POLICY = f"""
[check.port]
type = "tcp"
port = {PORT}
interval = {INTERVAL:.0f}
timeout = "{1000 * TIMEOUT:.0f}ms"
fast_interval = "500ms"
rise = 2

[pool.all]
spread = "all"
check = "port"
slow_start = 0

[pool.www]
k = {K}
check = "port"
slow_start = 0
"""


class Far:
    """The other namespace: backends and witness, each a process that can be killed."""

    def __init__(self, stack):
        self.holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep 600"], stdout=subprocess.PIPE)
        stack.callback(self.stop)
        self.processes = {}
        self.holder.stdout.read(1)   # from here on it has its namespace
        libraries.ip("link", "set", "lo", "up")
        libraries.ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1", "netns", str(self.holder.pid))
        libraries.ip("address", "add", "10.78.0.1/24", "dev", "lan0")
        for address in [*BACKENDS, WITNESS]:
            self.run("ip", "address", "add", f"{address}/24", "dev", "lan1")
        self.run("ip", "link", "set", "lan1", "up")
        libraries.ip("link", "set", "lan0", "up")
        for address in [*BACKENDS, WITNESS]:
            self.start(address)

    def inside(self, *command):
        return [peers.program("nsenter"), f"--net=/proc/{self.holder.pid}/ns/net", *command]

    def run(self, *command):
        subprocess.run(self.inside(*command), check=True)

    def start(self, address):
        said = LISTEN.replace("open=[]", "open=[]; print(flush=True)", 1)
        process = subprocess.Popen(self.inside(sys.executable, "-c", said, address, str(PORT)), stdout=subprocess.PIPE)
        self.processes[address] = process
        if not process.stdout.read(1):
            raise peers.NotReady(f"backend {address}")

    def kill(self, address):
        self.processes[address].kill()
        self.processes.pop(address).wait()

    def stop(self):
        for process in [*self.processes.values(), self.holder]:
            process.kill()
            process.wait()


class Clients:
    """Ask all the time, and keep what was dealt: pool → hand → how often. Entering forgets what was before."""

    def __init__(self, server):
        self.address, self.ended = server.address, threading.Event()
        self.seen, self.lost = collections.defaultdict(collections.Counter), 0

    def ask(self):
        wires = [query(f"{pool}.{APEX}").wire for pool in ("all", "www")]
        while not self.ended.wait(0.01):
            for pool, reply in zip(("all", "www"), exchange.ask_udp(self.address, wires), strict=True):
                self.lost += reply is None
                self.seen[pool][frozenset(hand(reply)[0]) if reply else None] += 1

    def __enter__(self):
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def packed(addresses):
    return {ipaddress.ip_address(address).packed for address in addresses}


def usual(seen):
    return {one for one, times in seen.items() if times > USUAL * sum(seen.values())}


def hands(server):
    """The usual hands of K."""
    replies = exchange.ask_udp(server.address, [query(f"www.{APEX}").wire] * DEALT)
    return usual(collections.Counter(frozenset(hand(reply)[0]) for reply in replies if reply))


def served(server):
    """The addresses that the pool of all names."""
    reply = server.ask(query(f"all.{APEX}").wire)
    return set(hand(reply)[0]) if reply else None


def health(server):
    told = server.command("status", "--state", "state", "--json")
    return json.loads(told.stdout)["health"] if not told.returncode else {"frozen": None}


def log(server):
    return re.sub(r"\x1b\[[0-9;]*m", "", server.log)


def until(holds):
    """Seconds until `holds()`, or None when it did not within LIMIT."""
    began = time.monotonic()
    while time.monotonic() - began < LIMIT:
        if holds():
            return time.monotonic() - began
        time.sleep(0.02)
    return None


def goes(tally, server, address, what):
    """The death of one backend is noticed: the pool names the others."""
    others = packed(BACKENDS) - packed([address])
    took = until(lambda: served(server) == others)
    tally.check(took is not None, f"{what}: {address} is dead and still handed out")
    tally.check(not any(packed([address]) & one for one in hands(server)), f"{what}: hands of {K} still name {address}")
    return took or LIMIT


def returns(tally, server, far, address):
    far.start(address)
    tally.check(until(lambda: served(server) == packed(BACKENDS)) is not None, f"{address} runs again and is not handed out")


def cut(tally, server, far, what, link):
    """Cuts by `link("down")`; a backend dies meanwhile; `link("up")`."""
    before, freezes, thaws = hands(server), health(server)["freezes"], log(server).count("no longer frozen")
    with Clients(server) as clients:
        began = datetime.datetime.now(datetime.timezone.utc)
        link("down")
        noticed = until(lambda: health(server)["frozen"])
        if not tally.check(noticed is not None, f"{what}: not frozen, {health(server)}; log: {log(server)[-1500:]}"):
            noticed = LIMIT
        told, now = health(server), datetime.datetime.now(datetime.timezone.utc)
        since = datetime.datetime.fromisoformat((told["frozen"] or "1970-01-01T00:00:00Z").replace("Z", "+00:00"))
        second = datetime.timedelta(seconds=1)
        tally.check(began - second <= since <= now, f"{what}: frozen since {since}, cut at {began}, now {now}")
        tally.check(told.get("freezes") == freezes + 1, f"{what}: {told}")
        tally.check("all verdicts are frozen" in log(server), f"{what}: the log does not say so: {log(server)[-600:]}")
        human = server.command("status", "--state", "state").stdout
        tally.check("frozen" in human and "no witness answers" in human, f"{what}: kofn status does not say so: {human}")
        far.kill(BACKENDS[0])
        time.sleep(CUT)
        after = health(server)
        tally.check(after["frozen"] and after["freezes"] == told["freezes"], f"{what}: the freeze did not last: {after}")
        tally.check(hands(server) == before, f"{what}: the hands are others than before")
    seen = clients.seen
    tally.check(not clients.lost, f"{what}: {clients.lost} queries were not answered")
    tally.check(set(seen["all"]) == {frozenset(packed(BACKENDS))}, f"{what}: the pool of all shrank: {seen['all']}")
    tally.check(usual(seen["www"]) == before, f"{what}: the hands changed: {seen['www']}, before {before}")
    with Clients(server) as clients:
        link("up")
        thawed = until(lambda: not health(server)["frozen"])
        tally.check(thawed is not None, f"{what}: still frozen: {health(server)}")
        out = (thawed or LIMIT) + goes(tally, server, BACKENDS[0], what)
    well = packed(BACKENDS[1:])
    tally.check(all(one and one >= well for one in clients.seen["all"]), f"{what}: the well left with the dead: {clients.seen['all']}")
    tally.check(log(server).count("no longer frozen") == thaws + 1, f"{what}: the log does not say that it is over")
    print(f"{what}: frozen {noticed:.1f} s after the cut, {sum(seen['all'].values()) * 2} queries answered as before; thawed "
          f"{thawed or LIMIT:.1f} s after it, and what had died was out {out:.1f} s after it")
    returns(tally, server, far, BACKENDS[0])


def witness_well(tally, server, far):
    far.kill(BACKENDS[2])
    took = goes(tally, server, BACKENDS[2], "witness well")
    tally.check(not health(server)["freezes"] and not health(server)["frozen"], f"frozen by one death: {health(server)}")
    returns(tally, server, far, BACKENDS[2])
    print(f"one of {len(BACKENDS)} dead, the witness well: out after {took:.1f} s")


def witness_dead(tally, server, far):
    """Few that fail are believed without a witness, too, but later."""
    freezes = health(server)["freezes"]
    far.kill(WITNESS)
    far.kill(BACKENDS[3])
    took = goes(tally, server, BACKENDS[3], "witness dead")
    tally.check(health(server)["freezes"] == freezes, f"frozen by one death and that of the witness: {health(server)}")
    returns(tally, server, far, BACKENDS[3])
    far.start(WITNESS)
    print(f"one of {len(BACKENDS)} dead, and the witness: out after {took:.1f} s")


def start_without(tally, folder, far, own):
    """A start without a network names all, and with the network it takes up its work."""
    own("down")
    with peers.Kofn(folder, SETTINGS, apexes=[APEX]) as server:
        tally.check(served(server) == packed(BACKENDS), f"a start without a network names {served(server)}")
        tally.check(until(lambda: health(server)["frozen"]) is not None, f"a start without a network does not freeze: {health(server)}")
        tally.check(served(server) == packed(BACKENDS), f"after a start without a network {served(server)} are named")
        far.kill(BACKENDS[4])
        own("up")
        goes(tally, server, BACKENDS[4], "started without a network")
        returns(tally, server, far, BACKENDS[4])


def inside():
    tally, folder = Tally(), peers.WORK / "selfdoubt"
    with contextlib.ExitStack() as stack:
        far = Far(stack)

        def own(state):
            libraries.ip("link", "set", "lan0", state)

        def distant(state):
            far.run("ip", "link", "set", "lan1", state)

        with peers.Kofn(folder, SETTINGS, apexes=[APEX]) as server:
            tally.check(served(server) == packed(BACKENDS), f"not all are named at the start: {served(server)}")
            witness_well(tally, server, far)
            cut(tally, server, far, "own link down", own)
            cut(tally, server, far, "nothing comes back", distant)
            witness_dead(tally, server, far)
        (folder / "log").rename(folder / "log-cut")
        start_without(tally, folder, far, own)
    return tally.end()


def main():
    command = libraries.namespace()
    if command is None:
        print("NOT MEASURED: a cut needs network namespaces, which only root, or users of a kernel that lets them, may make")
        return Tally().end()
    folder = peers.fresh("selfdoubt")
    (folder / "zones").mkdir()
    members = "".join(f"{pool} A {address}\n" for pool in ("all", "www") for address in BACKENDS)
    (folder / f"zones/{APEX}.zone").write_text(HEAD + members)
    (folder / f"zones/{APEX}.toml").write_text(POLICY)
    code = f"import sys; sys.path.insert(0, {str(peers.HERE)!r}); import selfdoubt; sys.exit(selfdoubt.inside())"
    return subprocess.run([*command, sys.executable, "-c", code], env=os.environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
