"""Catalog zones (RFC 9432) between kofn, Knot and BIND: kofn's list is followed by both and by another kofn; kofn follows the
list that Knot makes of its zones, lays pools over them, and one that is written by hand, whose labels change."""
import shutil
import sys
import time

import message as m
import peers
import primaries
import secondaries
from peers import LOOPBACK
from tally import Tally
from transfers_in import serial_of, status

CATALOG = "catalog.test"
SOON = 20.0   # seconds from a change of the list to what follows from it, on a machine that does other things


def zone(apex, serial, www=("192.0.2.1", "192.0.2.2", "192.0.2.3")):
    lines = [f"$ORIGIN {apex}.", "$TTL 300", f"@ SOA ns1 hostmaster {serial} 3600 2 86400 30", "@ NS ns1", "ns1 A 127.0.0.1"]
    return "\n".join(lines + [f"www A {address}" for address in www]) + "\n"


def soon(condition):
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(peers.PAUSE)
    return False


def ask(server, name, rtype):
    labels = [label.encode() for label in name.split(".")]
    reply = server.ask(m.message(0, [m.question(m.labels_wire(labels), m.TYPES[rtype])]))
    return m.read(reply) if reply else None


def is_refused(server, apex):
    """Whether it has no such zone: kofn, Knot and BIND say so by REFUSED."""
    reply = ask(server, apex, "SOA")
    return reply is not None and m.RCODES.get(reply.rcode) == "REFUSED"


# kofn makes the list.

def knot_consumer(folder, primary):
    port = peers.free_port()
    (folder / "knot.conf").write_text(f"""server:
  rundir: "{folder}"
  listen: {LOOPBACK}@{port}
database:
  storage: "{folder}"
log:
  - target: stderr
    any: info
remote:
  - id: kofn
    address: {LOOPBACK}@{primary}
acl:
  - id: notify
    address: {LOOPBACK}
    action: notify
template:
  - id: default
    storage: "{folder}"
    retry-max-interval: 2
    master: kofn
    acl: notify
  - id: member
    storage: "{folder}"
    master: kofn
    acl: notify
zone:
  - domain: {CATALOG}
    catalog-role: interpret
    catalog-template: member
""")
    return peers.Server("knot", [peers.daemon("knotd", folder), "-c", "knot.conf"], port, folder)


def bind_consumer(folder, primary):
    kofn = f"{{ {LOOPBACK} port {primary}; }}"
    return secondaries.named(
        folder, f'zone "{CATALOG}" {{ type secondary; file "catalog"; primaries {kofn}; }};\n',
        f'  catalog-zones {{ zone "{CATALOG}" default-primaries {kofn} in-memory yes min-update-interval 1; }};\n')


def write_member(kofn_zones, apex, serial, notify):
    (kofn_zones / f"{apex}.toml").write_text(f'[transfer]\nto = ["{LOOPBACK}"]\nnotify = {notify}\n')
    (kofn_zones / f"{apex}.zone").write_text(zone(apex, serial))


def check_followers(tally, followers, apexes, serial, what):
    for name, server in followers.items():
        for apex in apexes:
            tally.check(soon(lambda: serial_of(server, apex) == serial),
                        f"{name}, {what}: {apex} is not served with {serial}:\n{server.log[-1500:]}")


def check_producer(tally):
    """kofn's list at Knot, BIND and kofn: the first zones, one that comes, one that goes, and one that comes again."""
    port, other = peers.free_port(), peers.free_port()
    followers = {"knot": knot_consumer(peers.fresh("catalogs/knot-follows"), port),
                 "bind": bind_consumer(peers.fresh("catalogs/bind-follows"), port)}
    folder = peers.fresh("catalogs/kofn-lists")
    zones = folder / "zones"
    zones.mkdir()
    notify = str([f"{LOOPBACK}:{p}" for p in (*(server.address[1] for server in followers.values()), other)]).replace("'", '"')
    for apex in ("one.test", "two.test"):
        write_member(zones, apex, 1, notify)
    (zones / f"{CATALOG}.toml").write_text(f'[catalog]\n[transfer]\nto = ["{LOOPBACK}"]\nnotify = {notify}\n')
    followers["kofn"] = kofn_consumer("kofn-follows", f"{LOOPBACK}:{port}", other)
    kofn = peers.Kofn(folder, port=port)
    try:
        check_followers(tally, followers, ["one.test", "two.test"], 1, "at first")
        write_member(zones, "three.test", 7, notify)
        check_followers(tally, followers, ["three.test"], 7, "added")
        for ending in ("zone", "toml"):
            (zones / f"two.test.{ending}").unlink()
        for name, server in followers.items():
            tally.check(soon(lambda: is_refused(server, "two.test")), f"{name}: what is listed no more is served:\n{server.log[-1500:]}")
        # Back with an older serial: whoever kept what it had would not take it.
        write_member(zones, "two.test", 0, notify)
        check_followers(tally, followers, ["two.test"], 0, "listed again")
        check_followers(tally, followers, ["one.test"], 1, "at the end")
        tally.check("panicked" not in kofn.log, f"kofn panicked:\n{kofn.log[-2000:]}")
    finally:
        for server in (kofn, *followers.values()):
            server.stop()


# kofn follows the list.

def kofn_consumer(name, primary, port, pools=()):
    """kofn that follows the catalog of `primary`, with a pool at `www` of each zone in `pools`."""
    folder = peers.fresh(f"catalogs/{name}")
    (folder / "zones").mkdir()
    (folder / "zones" / f"{CATALOG}.toml").write_text(f'[catalog]\n[transfer]\nfrom = ["{primary}"]\n')
    for apex in pools:
        (folder / "zones" / f"{apex}.toml").write_text("[pool.www]\nk = 1\n")
    return peers.Kofn(folder, port=port)


class Generates(primaries.Knot):
    """Knot that lists its zones in a catalog it makes itself."""

    def configure(self):
        super().configure()
        file = self.folder / "knot.conf"
        head, zones = file.read_text().split("\nzone:\n")
        own = f'  - domain: "{CATALOG}"\n    file: "generated"\n    catalog-role: generate\n'
        member = f"    catalog-role: member\n    catalog-zone: {CATALOG}\n"
        zones = "".join(f"  - domain:{stanza}{member}" for stanza in zones.split("  - domain:")[1:])
        file.write_text(f"{head}\nzone:\n{own}{zones}")

    def list(self, zones):
        """Serves and lists these zones (apex → text), and no others."""
        self.zones = [*zones]
        for apex, text in zones.items():
            self.write(apex, text)
        self.configure()
        self.reload(CATALOG)


def hand(kofn, apex):
    """How many addresses an answer for `www` has."""
    reply = ask(kofn, f"www.{apex}", "A")
    return len(reply.answer) if reply else None


def check_consumer(tally):
    """Knot's list at kofn, with a pool over one of the zones."""
    port = peers.free_port()
    texts = {apex: zone(apex, 5) for apex in ("one.test", "two.test")}
    knot = Generates("catalogs/lists", texts, port, None)
    kofn = kofn_consumer("of-knot", f"{LOOPBACK}:{knot.own_port}", port, ["one.test", "three.test"])
    try:
        check_followers(tally, {"kofn": kofn}, texts, 5, "of Knot")
        tally.check(hand(kofn, "one.test") == 1, f"the policy of a member is not laid over it: {hand(kofn, 'one.test')} addresses")
        tally.check(hand(kofn, "two.test") == 3, f"a member without a policy: {hand(kofn, 'two.test')} addresses")
        tally.check(not hand(kofn, "three.test"), "a policy alone makes no zone")
        texts["three.test"] = zone("three.test", 6)
        knot.list(texts)
        check_followers(tally, {"kofn": kofn}, ["three.test"], 6, "added at Knot")
        tally.check(hand(kofn, "three.test") == 1, f"the policy of a new member is not laid over it: {hand(kofn, 'three.test')} addresses")
        knot.list({apex: text for apex, text in texts.items() if apex != "two.test"})
        tally.check(soon(lambda: is_refused(kofn, "two.test")), f"kofn serves what Knot lists no more:\n{kofn.log[-1500:]}")
        tally.check(not list((kofn.folder / "state").rglob("*two.test*")), "the state folder has what is listed no more")
        knot.list({apex: text for apex, text in texts.items() if apex == "three.test"})
        tally.check(soon(lambda: serial_of(kofn, "one.test") is None), f"a policy alone keeps a zone that is listed no more:\n{kofn.log[-1500:]}")
        check_followers(tally, {"kofn": kofn}, ["three.test"], 6, "at the end")
        tally.check("panicked" not in kofn.log, f"kofn panicked:\n{kofn.log[-2000:]}")
    finally:
        kofn.stop()
        knot.stop()


def catalog(serial, labels):
    lines = [f"$ORIGIN {CATALOG}.", "$TTL 0", f"@ SOA invalid. invalid. {serial} 3600 2 86400 30", "@ NS invalid.", "version TXT 2"]
    return "\n".join(lines + [f"{label}.zones PTR {apex}." for apex, label in labels.items()]) + "\n"


def check_labels(tally):
    """A list that somebody writes. Under another label a zone is another zone, whose serial may be lower (RFC 9432 section 5.4)."""
    port = peers.free_port()
    both = {"one.test": "a", "two.test": "b"}
    texts = {CATALOG: catalog(1, both), "one.test": zone("one.test", 100), "two.test": zone("two.test", 100)}
    knot = primaries.Knot("catalogs/by-hand", texts, port, None)
    kofn = kofn_consumer("of-hand", f"{LOOPBACK}:{knot.own_port}", port)
    try:
        check_followers(tally, {"kofn": kofn}, both, 100, "by hand")
        received = status(kofn, "two.test")["received"]
        knot.stop()
        shutil.rmtree(knot.folder / "journal", ignore_errors=True)
        knot.write("one.test", zone("one.test", 3))
        knot.start()
        told = kofn.command("transfer", "retry", "one.test", "--state", "state")
        tally.check("behind" in told.stdout + told.stderr, f"a serial that goes back is taken: {told.stdout}{told.stderr}")
        knot.change(CATALOG, catalog(2, {"one.test": "fresh", "two.test": "b"}))
        check_followers(tally, {"kofn": kofn}, ["one.test"], 3, "under another label")
        tally.check(status(kofn, "two.test")["received"] == received, "a zone whose label stays is transferred anew")
        # Broken: what the list said before goes on.
        knot.change(CATALOG, catalog(3, {"one.test": "fresh"}).replace("TXT 2", "TXT 3"))
        tally.check(soon(lambda: "catalog not taken" in kofn.log), f"a broken catalog is not told:\n{kofn.log[-1500:]}")
        check_followers(tally, {"kofn": kofn}, ["two.test"], 100, "after a broken list")
        tally.check("panicked" not in kofn.log, f"kofn panicked:\n{kofn.log[-2000:]}")
    finally:
        kofn.stop()
        knot.stop()


def main():
    tally = Tally()
    check_producer(tally)
    check_consumer(tally)
    check_labels(tally)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
