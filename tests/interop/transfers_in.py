"""Zones come to kofn from NSD, Knot, BIND and PowerDNS: whole and as differences, plain and signed, told by NOTIFY; 200 changes
in a row, a restart of either side in the middle of a transfer, 100,000 records, signed zones. Each ends with the same zone,
compared record by record."""
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
import zones as made_zones
from tally import Tally

APEX, LARGE, SIGNED = "small.test", "large.test", "nsec3.test"
CHANGES = 200
RECORDS = 100_000
ARRIVES = 30.0   # seconds from a change at the primary to its being served here, on a machine that does other things


def small(serial):
    lines = [f"$ORIGIN {APEX}.", "$TTL 300", f"@ SOA ns1 Host.Master {serial} 3600 2 86400 30", "@ NS ns1", "ns1 A 127.0.0.1",
             f'version TXT "{serial}"', "www A 192.0.2.1", "www A 192.0.2.2", "MiXed CNAME WWW", "@ MX 10 mail", "mail A 192.0.2.9",
             "srv SRV 1 2 53 ns1", "*.wild TXT \"w\"", "sub NS ns.sub", "ns.sub A 192.0.2.7", "t TYPE65280 \\# 3 010203"]
    lines += [f"h{number} A 192.0.2.{number % 250}" for number in range(serial % 7, 60 + serial % 7)]
    return "\n".join(lines) + "\n"


def large(serial):
    head = [f"$ORIGIN {LARGE}.", "$TTL 300", f"@ SOA ns1 hostmaster {serial} 3600 2 86400 30", "@ NS ns1", "ns1 A 127.0.0.1"]
    return "\n".join(head + [f"h{number} A 10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
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


def start_kofn(folder, primary, apexes, port):
    (folder / "zones").mkdir(exist_ok=True)
    key = f', key = "{primaries.KEY}"' if primary.key else ""
    host, own_port = primary.address
    for apex in apexes:
        (folder / "zones" / f"{apex}.toml").write_text(f'[transfer]\nfrom = [{{ addr = "{host}:{own_port}"{key} }}]\n')
    return peers.Kofn(folder, f'[key.{primaries.KEY}]\nsecret = "{primaries.SECRET}"\n', port=port)


def check_changes(tally, kind, key):
    """The small and the signed zone: whole, one change by NOTIFY, 200 in a row."""
    what = f"{kind.name} {'signed' if key else 'plain'}"
    port = peers.free_port()
    files, _ = made_zones.made()
    topic = f"transfers_in/{'key' if key else 'plain'}"
    texts = {APEX: small(1), SIGNED: pathlib.Path(files[SIGNED]).read_text(encoding="utf-8")}
    primary = kind(topic, texts, port, key)
    kofn = start_kofn(peers.fresh(f"{topic}/of-{kind.name}"), primary, texts, port)
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
        await_serial(primary.server, APEX, last)
        tally.check(await_serial(kofn, APEX, last), f"{what}: {CHANGES} changes end at {serial_of(kofn, APEX)}:\n{kofn.log[-2000:]}")
        check_same(tally, primary, kofn, APEX, f"{what} after {CHANGES} changes")
        tally.check("panicked" not in kofn.log, f"{what}: kofn panicked:\n{kofn.log[-2000:]}")
    finally:
        kofn.stop()
        primary.stop()


def check_restarts(tally, kind):
    """The large zone: the primary ends in the middle of a transfer and comes back, then kofn does."""
    port = peers.free_port()
    topic = "transfers_in/restart"
    primary = kind(topic, {LARGE: large(1)}, port, False)
    folder = peers.fresh(f"{topic}/of-{kind.name}")
    kofn = start_kofn(folder, primary, [LARGE], port)
    try:
        primary.stop()
        primary.start()
        tally.check(await_serial(kofn, LARGE, 1, 60), f"{kind.name}: {RECORDS} records do not come after a restart:\n{kofn.log[-2000:]}")
        await_file(kofn, LARGE, 1)
        check_same(tally, primary, kofn, LARGE, "large")
        primary.change(LARGE, large(2))
        kofn.process.kill()
        kofn.process.wait()
        kofn = start_kofn(folder, primary, [LARGE], port)
        tally.check(serial_of(kofn, LARGE) in (1, 2), f"{kind.name}: after a restart the zone is not served at once:\n{kofn.log[-2000:]}")
        await_serial(primary.server, LARGE, 2, 60)
        tally.check(await_serial(kofn, LARGE, 2, 60), f"{kind.name}: the change is not found after a restart:\n{kofn.log[-2000:]}")
        await_file(kofn, LARGE, 2)
        check_same(tally, primary, kofn, LARGE, "large, after a restart of kofn")
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


def main():
    tally = Tally()
    for kind in primaries.ALL:
        for key in (False, True):
            check_changes(tally, kind, key)
        check_restarts(tally, kind)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
