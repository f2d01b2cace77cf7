"""Zones come to kofn from NSD, Knot, BIND and PowerDNS: whole and as differences, plain and signed, told by NOTIFY; 200 changes
in a row, a death of either side in the middle of a transfer, 100,000 records, signed zones, another secret, a clock that is off.
Each ends with the same zone, compared record by record. And BIND gives a zone by TLS."""
import concurrent.futures
import contextlib
import json
import pathlib
import sys
import time

import dns.name
import dns.query
import dns.tsigkeyring
import dns.zone

import message as m
import peers
import primaries
import secondaries
import zones as made_zones
from relay import ALL, Relay
from tally import Tally

APEX, LARGE, SIGNED = "small.test", "large.test", "nsec3.test"
CHANGES = 200
RECORDS = 100_000
HALF = 1_000_000   # octets of the large zone, which has twice as many, with which its transfer stops
NOTAUTH = "it answered NOTAUTH: it does not take our key"   # PowerDNS says no more
BAD_SECRET, BAD_TIME = ["BADSIG", NOTAUTH], ["BADTIME", NOTAUTH]
BAD_AUTHORITY, BAD_NAME = ["certificate by an authority that is not trusted"], ["certificate not for other.test, but for ns.test"]
ARRIVES = 30.0   # seconds from a change at the primary to its being served here, on a machine that does other things


def small(serial):
    lines = [f"$ORIGIN {APEX}.", "$TTL 300", f"@ SOA ns1 Host.Master {serial} 3600 2 86400 30", "@ NS ns1", "ns1 A 127.0.0.1",
             f'version TXT "{serial}"', "www A 192.0.2.1", "www A 192.0.2.2", "MiXed CNAME WWW", "mx MX 10 mail", "mail A 192.0.2.9",
             "srv SRV 1 2 53 ns1", "*.wild TXT \"w\"", "sub NS ns.sub", "ns.sub A 192.0.2.7", "t TYPE65280 \\# 3 010203"]
    lines += [f"h{number} A 192.0.2.{number % 250}" for number in range(serial % 7, 60 + serial % 7)]
    return "\n".join(lines) + "\n"


def large(serial):
    head = [f"$ORIGIN {LARGE}.", "$TTL 300", f"@ SOA ns1 hostmaster {serial} 3600 2 86400 30", "@ NS ns1", "ns1 A 127.0.0.1"]
    return "\n".join(head + [f"h{number} A {10 + serial}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
                             for number in range(RECORDS)]) + "\n"


def serial_of(server, apex):
    """The serial that a server answers with authority, or None."""
    labels = [label.encode() for label in apex.split(".")]
    reply = server.ask(m.message(0, [m.question(m.labels_wire(labels), 6)]))
    if not reply or reply[3] & 15 or not reply[2] & 4:
        return None
    answer = [record for record in m.read(reply).answer if record[1] == 6]
    return int.from_bytes(answer[0][4][-20:-16], "big") if answer else None


def await_serial(server, apex, serial, patience=ARRIVES):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if serial_of(server, apex) == serial:
            return True
        time.sleep(peers.PAUSE)
    return False


def records(zone):
    """Every record of a zone as text that compares."""
    return {(name.to_text().lower(), ttl, rdata.rdtype, rdata.to_digestable(dns.name.root))
            for name, ttl, rdata in zone.iterate_rdatas()}


def of_primary(primary, apex):
    key = {}
    if primary.key:
        ring = dns.tsigkeyring.from_text({primaries.KEY: primaries.SECRET})
        key = {"keyring": ring, "keyname": primaries.KEY, "keyalgorithm": "hmac-sha256"}
    for _ in range(5):
        messages = dns.query.xfr(primary.address[0], apex, port=primary.address[1], relativize=False, **key)
        with contextlib.suppress(EOFError, ConnectionError):   # a server that reads its files ends its transfers
            return records(dns.zone.from_xfr(messages, relativize=False, check_origin=False))
    return set()


def of_kofn(kofn, apex):
    await_file(kofn, apex, serial_of(kofn, apex))   # it is written after the zone is served
    file = kofn.folder / "state" / "zones" / f"{apex}.zone"
    return records(dns.zone.from_file(str(file), apex, relativize=False, check_origin=False))


def check_same(tally, primary, kofn, apex, what):
    theirs, ours = of_primary(primary, apex), of_kofn(kofn, apex)
    missing, extra = sorted(map(str, theirs - ours)), sorted(map(str, ours - theirs))
    tally.check(theirs and not missing and not extra,
                f"{primary.name}, {what}: {apex} differs, {len(missing)} missing {missing[:3]}, {len(extra)} extra {extra[:3]}")


def status(kofn, apex):
    told = kofn.command("transfer", "status", apex, "--json", "--state", "state").stdout
    return json.loads(told)["secondaries"][0] if told else {}


def settle(primary, apex, serial):
    """Waits until the primary itself has what it was told to read; what came while it read may have been missed."""
    for _ in range(15):
        if await_serial(primary.server, apex, serial, 2):
            return True
        primary.reload(apex)
    return False


def start_kofn(folder, address, apexes, port, key=False):
    (folder / "zones").mkdir(exist_ok=True)
    signed = f', key = "{primaries.KEY}"' if key else ""
    for apex in apexes:
        (folder / "zones" / f"{apex}.toml").write_text(
            f'[transfer]\nto = ["{peers.LOOPBACK}"]\nfrom = [{{ addr = "{address[0]}:{address[1]}"{signed} }}]\n')
    return peers.Kofn(folder, settings(primaries.SECRET), port=port)


def settings(secret):
    return f'[key.{primaries.KEY}]\nsecret = "{secret}"\n'


def check_changes(tally, kind, key):
    """The small and the signed zone: whole, one change by NOTIFY, 200 in a row."""
    what = f"{kind.name} {'signed' if key else 'plain'}"
    port = peers.free_port()
    files, _ = made_zones.made()
    topic = f"transfers_in/{'key' if key else 'plain'}"
    texts = {APEX: small(1), SIGNED: pathlib.Path(files[SIGNED]).read_text(encoding="utf-8")}
    primary = kind(topic, texts, port, key)
    kofn = start_kofn(peers.fresh(f"{topic}/of-{kind.name}"), primary.address, texts, port, key)
    try:
        tally.check(await_serial(kofn, APEX, 1), f"{what}: the zone does not come:\n{kofn.log[-2000:]}")
        check_same(tally, primary, kofn, APEX, what)
        serial = serial_of(primary.server, SIGNED)
        tally.check(await_serial(kofn, SIGNED, serial), f"{what}: the signed zone does not come:\n{kofn.log[-2000:]}")
        check_same(tally, primary, kofn, SIGNED, what)
        primary.change(APEX, small(2))
        tally.check(await_serial(kofn, APEX, 2), f"{what}: NOTIFY brings no change:\n{kofn.log[-2000:]}\n{primary.server.log[-1500:]}")
        if kind.has_ixfr:
            tally.check(status(kofn, APEX).get("incremental"), f"{what}: no IXFR:\n{kofn.log[-2000:]}")
        for serial in range(3, 3 + CHANGES):
            primary.change(APEX, small(serial))
            # A server that reads its files slower than they change reads the last one.
            time.sleep(0.02)
        last = 2 + CHANGES
        tally.check(settle(primary, APEX, last), f"{what}: the primary itself stays at {serial_of(primary.server, APEX)}")
        tally.check(await_serial(kofn, APEX, last), f"{what}: {CHANGES} changes end at {serial_of(kofn, APEX)}:\n{kofn.log[-2000:]}\n"
                    f"{primary.server.log[-1500:]}")
        check_same(tally, primary, kofn, APEX, f"{what} after {CHANGES} changes")
        if key:
            check_strangers(tally, primary, kofn, last)
        tally.check("panicked" not in kofn.log, f"{what}: kofn panicked:\n{kofn.log[-2000:]}")
    finally:
        kofn.stop()
        primary.stop()


def retry(kofn, apex):
    return kofn.command("transfer", "retry", apex, "--state", "state")


def check_refused(tally, kofn, what, words, serial):
    """The zone is not taken, which is told in one of `words`, and what is here stays."""
    told = retry(kofn, APEX)
    tally.check(told.returncode and any(word in told.stderr for word in words), f"{what}: {told}")
    tally.check(serial_of(kofn, APEX) == serial, f"{what}: serial {serial_of(kofn, APEX)} is served, not {serial}")
    tally.check(any("no transfer, what is here is still served" in line and any(word in line for word in words)
                    for line in kofn.log.splitlines()), f"{what}: the log does not tell:\n{kofn.log[-1000:]}")


def check_strangers(tally, primary, kofn, serial):
    """The same key with another secret; a primary with another time."""
    name = f"{primary.name}, another secret"
    (kofn.folder / "kofn.toml").write_text(settings("b3RoZXI" + primaries.SECRET[7:]))
    tally.check(not kofn.command("reload", "--state", "state").returncode, f"{name}: no reload")
    primary.change(APEX, small(serial + 1))
    tally.check(settle(primary, APEX, serial + 1), f"{name}: the primary does not change")
    check_refused(tally, kofn, name, BAD_SECRET, serial)
    (kofn.folder / "kofn.toml").write_text(settings(primaries.SECRET))
    tally.check(not kofn.command("reload", "--state", "state").returncode, f"{name}: no reload back")
    tally.check(await_serial(kofn, APEX, serial + 1) or not retry(kofn, APEX).returncode, f"{name}: and never recovers")
    if primary.has_clock:
        check_clock(tally, primary, kofn, serial + 1)


def check_clock(tally, primary, kofn, serial):
    """A primary whose clock is an hour off."""
    name = f"{primary.name}, another clock"
    primary.stop()
    primary.write(APEX, small(serial + 1))
    primary.start("-1h")
    tally.check(settle(primary, APEX, serial + 1), f"{name}: the primary does not change")
    check_refused(tally, kofn, name, BAD_TIME, serial)
    primary.stop()
    primary.start()
    told = retry(kofn, APEX)
    tally.check(not told.returncode and serial_of(kofn, APEX) == serial + 1, f"{name}: and never recovers: {told}")


def check_large(tally, primary, kofn, what):
    """Each record as the one and as the other serves it."""
    theirs, ours = (secondaries.zone(server.address[1], LARGE) for server in (primary, kofn))
    tally.check(len(theirs) == RECORDS + 3 and theirs == ours,
                f"{primary.name}, {what}: {len(theirs)} records there, {len(ours)} here, {sorted(theirs ^ ours)[:4]}")


def check_deaths(tally, kind):
    """The large zone: the primary dies in the middle of a transfer, then kofn does."""
    port = peers.free_port()
    primary = kind("transfers_in/deaths", {LARGE: large(1)}, port, False)
    folder = peers.fresh(f"transfers_in/deaths/of-{kind.name}")
    relay = Relay(primary.address)
    relay.allow(HALF)
    kofn = start_kofn(folder, relay.address, [LARGE], port)
    try:
        tally.check(relay.stalled.wait(ARRIVES), f"{kind.name}: no transfer begins:\n{kofn.log[-2000:]}")
        primary.stop()
        relay.cut()
        relay.allow(ALL)
        tally.check(serial_of(kofn, LARGE) is None, f"{kind.name}: half a zone is served")
        primary.start()
        tally.check(await_serial(kofn, LARGE, 1, 60), f"{kind.name}: {RECORDS} records do not come after a restart:\n{kofn.log[-2000:]}")
        tally.check("the transfer broke off" in kofn.log, f"{kind.name}: the log does not tell that it broke off:\n{kofn.log[-2000:]}")
        check_large(tally, primary, kofn, "after its death")
        await_file(kofn, LARGE, 1)
        relay.allow(HALF)
        primary.change(LARGE, large(2))
        tally.check(relay.stalled.wait(60), f"{kind.name}: no transfer of a change begins:\n{kofn.log[-2000:]}")
        kofn.process.kill()
        kofn.process.wait()
        kofn = start_kofn(folder, relay.address, [LARGE], port)
        tally.check(serial_of(kofn, LARGE) == 1, f"{kind.name}: after a death the zone is not served at once:\n{kofn.log[-2000:]}")
        relay.allow(ALL)
        relay.cut()
        tally.check(await_serial(kofn, LARGE, 2, 60), f"{kind.name}: the change is not found after a death:\n{kofn.log[-2000:]}")
        check_large(tally, primary, kofn, "after kofn's death")
        tally.check("panicked" not in kofn.log, f"{kind.name}: kofn panicked:\n{kofn.log[-2000:]}")
    finally:
        kofn.stop()
        primary.stop()
        relay.stop()


def check_tls(tally):
    """By TLS alone (RFC 9103): not from a primary whose certificate another authority has made, or for another name."""
    port = peers.free_port()
    primary = primaries.BindByTls("transfers_in/tls", {APEX: small(1)}, port, False)
    folder = peers.fresh("transfers_in/tls/of-bind")
    (folder / "zones").mkdir()
    primaries.certify(folder, "other")

    def policy(authority, name):
        text = f'addr = "{peers.LOOPBACK}:{primary.tls_port}", tls = true, ca = "{authority}", name = "{name}"'
        (folder / "zones" / f"{APEX}.toml").write_text(f"[transfer]\nfrom = [{{ {text} }}]\n")

    policy(primary.authority, "ns.test")
    kofn = peers.Kofn(folder, port=port)
    try:
        tally.check(await_serial(kofn, APEX, 1), f"by TLS: the zone does not come:\n{kofn.log[-2000:]}\n{primary.server.log[-1000:]}")
        tally.check(not secondaries.zone(primary.own_port, APEX), "by TLS: BIND gives the zone plainly, too")
        primary.change(APEX, small(2))
        tally.check(await_serial(kofn, APEX, 2), f"by TLS: the change does not come:\n{kofn.log[-2000:]}")
        tally.check(status(kofn, APEX).get("incremental"), f"by TLS: no IXFR:\n{kofn.log[-2000:]}")
        for what, arguments, words in (("another authority", (folder / "other.pem", "ns.test"), BAD_AUTHORITY),
                                       ("another name", (primary.authority, "other.test"), BAD_NAME)):
            policy(*arguments)
            tally.check(not kofn.command("reload", "--state", "state").returncode, f"by TLS, {what}: no reload")
            primary.change(APEX, small(3))
            tally.check(settle(primary, APEX, 3), f"by TLS, {what}: the primary does not change")
            check_refused(tally, kofn, f"by TLS, {what}", words, 2)
        policy(primary.authority, "ns.test")
        tally.check(not kofn.command("reload", "--state", "state").returncode, "by TLS: no reload back")
        tally.check(await_serial(kofn, APEX, 3), f"by TLS: no way back:\n{kofn.log[-2000:]}")
    finally:
        kofn.stop()
        primary.stop()


def await_file(kofn, apex, serial):
    note = kofn.folder / "state" / "zones" / f"{apex}.toml"
    deadline = time.monotonic() + ARRIVES
    while time.monotonic() < deadline:
        if note.exists() and f"serial = {serial}\n" in note.read_text():
            return
        time.sleep(peers.PAUSE)


def of_kind(kind):
    tally, began = Tally(), time.monotonic()
    try:
        for key in (False, True):
            check_changes(tally, kind, key)
        check_deaths(tally, kind)
    except Exception as error:   # the others are worth knowing nevertheless
        tally.check(False, f"{kind.name}: {error!r}")
    print(f"{kind.name}: {tally.passed} passed, {tally.failed} failed, {time.monotonic() - began:.0f} s", flush=True)
    return tally


def main():
    tally = Tally()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for part in pool.map(of_kind, primaries.ALL):
            tally.add(part)
    check_tls(tally)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
