"""Zones leave kofn: NSD, Knot, BIND and PowerDNS as secondaries, plain and with TSIG, by AXFR and IXFR, told by NOTIFY: 200
changes in a row, a flip of a backend, a primary that ends in the middle of a transfer, 100,000 records, a signed zone. All end
with the same zone, compared record by record. And what strangers get."""
import base64
import concurrent.futures
import contextlib
import re
import socket
import subprocess
import sys
import threading
import time

import dns.message
import dns.query
import dns.tsig

import peers
import secondaries
from tally import Tally

PLAIN, SIGNED_REQUESTS, POOL, LARGE, SIGNED = "plain.test", "keyed.test", "pool.test", "large.test", "signed.test"
KEYED = (SIGNED_REQUESTS, SIGNED)
ZONES = [(apex, secondaries.KEY if apex in KEYED else None) for apex in (PLAIN, SIGNED_REQUESTS, POOL, LARGE, SIGNED)]
CHANGES = 200
HOLD = 2.0
RECORDS = 100_000
SETTLE = 60.0     # seconds until all have what kofn has; generous, machines stall
BACKENDS = ["127.0.0.41", "127.0.0.42", "127.0.0.43"]
FLOOD = 20_000


def head(serial):
    return f"$TTL 300\n@ SOA ns1 hostmaster {serial} 3600 2 1209600 30\n@ NS ns1\nns1 A 127.0.0.1\n"


def small(serial):
    """A zone of which each serial adds, changes and takes away something."""
    hosts = "".join(f"h{number} A 192.0.2.{number % 250 + 1}\n" for number in range(serial, serial + 50))
    return head(serial) + f'version TXT "{serial}"\n@ MX 10 mail.{"a" if serial % 2 else "b"}\n*.wild AAAA 2001:db8::{serial:x}\n' + hosts


def large(serial, ttl=300):
    hosts = "".join(f"host{n} {ttl} A 10.{n >> 16}.{n >> 8 & 255}.{n & 255}\n" for n in range(RECORDS))
    return head(serial) + hosts


def sign(folder, text):
    """The zone, signed by BIND's tools, as a zone file."""
    (folder / "unsigned").write_text(text)
    run = lambda *argv: subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True).stdout
    run(peers.program("dnssec-keygen"), "-a", "ECDSAP256SHA256", "-f", "KSK", SIGNED)
    run(peers.program("dnssec-keygen"), "-a", "ECDSAP256SHA256", SIGNED)
    run(peers.program("dnssec-signzone"), "-S", "-3", "ab", "-O", "full", "-o", SIGNED, "-f", "signed", "unsigned")
    return (folder / "signed").read_text()


class Primary:
    """kofn with the zones, on a port that stays the same over restarts."""

    def __init__(self, folder, targets):
        self.folder, self.zones, self.port = folder, folder / "zones", peers.free_port()
        self.zones.mkdir()
        self.settings = f'[key."{secondaries.KEY}"]\nalgorithm = "{secondaries.ALGORITHM}"\nsecret = "{secondaries.SECRET}"\n'
        self.write(POOL, head(1) + "".join(f"www A {address}\n" for address in BACKENDS))
        for apex in (PLAIN, SIGNED_REQUESTS):
            self.write(apex, small(1))
        self.write(LARGE, large(1))
        self.write(SIGNED, sign(folder, small(1)))
        self.targets = targets
        self.server = None

    def write(self, apex, text):
        beside = self.zones / f".{apex}"
        beside.write_text(text)
        beside.rename(self.zones / f"{apex}.zone")

    def policies(self, check_port):
        for apex, key in ZONES:
            peer = lambda port: f'{{ addr = "127.0.0.1:{port}", key = "{key}" }}' if key else f'"127.0.0.1:{port}"'
            grant = f'{{ net = "127.0.0.1", key = "{key}" }}' if key else '"127.0.0.1"'
            text = f"[transfer]\nto = [{grant}]\nnotify = [{', '.join(peer(port) for port in self.targets)}]\n"
            if apex == POOL:
                text += (f'[check.tcp]\ntype = "tcp"\nport = {check_port}\ninterval = "500ms"\nfast_interval = "200ms"\nrise = 2\n'
                         f'[pool.www]\ncheck = "tcp"\npanic = 0\ntransfer = "healthy"\ntransfer_hold = "{HOLD:.0f}s"\n')
            (self.zones / f"{apex}.toml").write_text(text)

    def start(self):
        self.server = peers.Kofn(self.folder, self.settings, port=self.port)

    def restart(self):
        self.server.stop()
        self.start()


def key_arguments(apex):
    return ("-y", f"{secondaries.ALGORITHM}:{secondaries.KEY}:{secondaries.SECRET}") if apex in KEYED else ()


def wait(holds, limit=SETTLE):
    """Seconds until `holds()`; None when it did not."""
    began = time.monotonic()
    while time.monotonic() - began < limit:
        if holds():
            return time.monotonic() - began
        time.sleep(peers.PAUSE)
    return None


def check_same(tally, primary, servers, apexes, when):
    """Each server ends with kofn's serial and with the same records."""
    for apex in apexes:
        ours = secondaries.serial(primary.port, apex)
        for name, server in servers.items():
            took = wait(lambda server=server, apex=apex, ours=ours: secondaries.serial(server.address[1], apex) == ours)
            theirs = secondaries.serial(server.address[1], apex)
            tally.check(took is not None, f"{when}: {name} has serial {theirs} of {apex}, not {ours}; its log: {server.log[-1500:]}")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for apex in apexes:
            ours = secondaries.zone(primary.port, apex, *key_arguments(apex))
            tally.check(len(ours) > 3, f"{when}: kofn gives {len(ours)} records of {apex}")
            zones = pool.map(lambda server, apex=apex: secondaries.zone(server.address[1], apex), servers.values())
            for name, theirs in zip(servers, zones, strict=True):
                # PowerDNS gives NSEC3PARAM the SOA minimum for its TTL, whatever it was.
                differ = sorted(record for record in ours ^ theirs if name != "powerdns" or " nsec3param " not in record)
                tally.check(not differ, f"{when}: {name} differs in {len(differ)} records of {apex}: {differ[:4]}")


def check_changes(tally, primary, servers):
    """200 changes in a row, most of them taken as differences."""
    for serial in range(2, CHANGES + 2):
        primary.write(PLAIN, small(serial))
        primary.write(SIGNED_REQUESTS, small(serial))
        # No sooner than it is served: each is a change of its own for whoever keeps up.
        wait(lambda serial=serial: secondaries.serial(primary.port, PLAIN) == serial, 10)
    check_same(tally, primary, servers, (PLAIN, SIGNED_REQUESTS), "after 200 changes")
    # The zone has 57 records.
    sizes = [int(size) for size in re.findall(rf"'{PLAIN}/IN'.*completed: \d+ messages, (\d+) records", servers["bind"].log)]
    tally.check(sum(size < 40 for size in sizes) > 3, f"bind took no differences: {sizes}")
    for name, words in {"knot": f"[{PLAIN}.] IXFR, incoming", "powerdns": f"IXFR-in zone: '{PLAIN}'"}.items():
        tally.check(servers[name].log.count(words) > 3, f"{name} took no differences: {servers[name].log[-600:]}")
    old = secondaries.dig(primary.port, PLAIN, f"IXFR={CHANGES - 20}", "+tcp").splitlines()
    tally.check(20 < len(old) < 120, f"the difference of 20 changes has {len(old)} records")
    for transport in ("+tcp", "+notcp"):
        last = secondaries.dig(primary.port, PLAIN, f"IXFR={CHANGES}", transport).splitlines()
        tally.check(6 < len(last) < 20, f"the difference of one change has {len(last)} records by {transport}")


def addresses(server):
    return set(secondaries.dig(server.address[1], f"www.{POOL}", "A", "+short").split())


def check_flip(tally, primary, servers, backends):
    """What secondaries name follows the health of backends; when all are down, all stay."""
    everyone = set(BACKENDS)
    for gone, left, when in ((BACKENDS[:1], everyone - set(BACKENDS[:1]), "one backend died"),
                             ((), everyone, "it came back"), (BACKENDS, everyone, "all died"), ((), everyone, "all came back")):
        for address in BACKENDS:
            backends[address].set(address not in gone)
        if when == "all died":
            time.sleep(HOLD + 5)   # there is no event: nothing is to change
        for name, server in servers.items():
            took = wait(lambda server=server, left=left: addresses(server) == left, HOLD + 5)
            tally.check(took is not None, f"{when}: {name} names {addresses(server)} after {HOLD + 5:.0f} s, not {left}")
    check_same(tally, primary, servers, (POOL,), "after flips")


class Backend:
    """A TCP listener that can be killed and started again."""

    def __init__(self, address, port):
        self.place, self.sock = (address, port), None
        self.set(True)

    def set(self, alive):
        if alive and not self.sock:
            self.sock = socket.create_server(self.place)
            threading.Thread(target=self.accept, args=(self.sock,), daemon=True).start()
        elif not alive and self.sock:
            self.sock.shutdown(socket.SHUT_RDWR)
            self.sock.close()
            self.sock = None

    def accept(self, sock):
        with contextlib.suppress(OSError):
            while True:
                sock.accept()[0].close()


def check_restart(tally, primary, servers):
    """kofn ends while 100,000 records are on their way, and comes back."""
    primary.write(LARGE, large(2, ttl=600))
    wait(lambda: secondaries.serial(primary.port, LARGE) == 2)
    primary.restart()
    check_same(tally, primary, servers, (LARGE, PLAIN, POOL), "after a restart in the middle of a transfer")
    last = secondaries.dig(primary.port, PLAIN, f"IXFR={CHANGES}", "+tcp").splitlines()
    tally.check(6 < len(last) < 20, f"after a restart the difference of one change has {len(last)} records")


def refusal(primary, apex, name=secondaries.KEY, secret=secondaries.SECRET, shift=0):
    """The rcode of a signed request and the error of its TSIG."""
    query = dns.message.make_query(apex, "AXFR")
    key = dns.tsig.Key(name, base64.b64decode(secret), secondaries.ALGORITHM)
    query.use_tsig(key, fudge=300)
    real = time.time
    time.time = lambda: real() + shift
    try:
        wire = query.to_wire()
    finally:
        time.time = real
    with socket.create_connection(("127.0.0.1", primary.port), timeout=10) as sock:
        sock.sendall(len(wire).to_bytes(2, "big") + wire)
        with sock.makefile("rb") as stream:
            reply = stream.read(int.from_bytes(stream.read(2), "big"))
    return reply[3] & 15, reply


SECRET_ZONE = "secret.test"


def check_tls(tally):
    """A zone that goes by TLS alone (RFC 9103): BIND, which verifies the certificate, gets it; nobody gets it plainly."""
    folder = peers.fresh("transfers_out/tls")
    (folder / "zones").mkdir()
    (folder / "certificates").mkdir()
    subprocess.run([peers.program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=ns.test", "-addext", "subjectAltName=DNS:ns.test", "-keyout", "certificates/key.pem",
                    "-out", "certificates/certificate.pem"], cwd=folder, check=True, capture_output=True)
    (folder / "zones" / f"{SECRET_ZONE}.zone").write_text(small(1))
    (folder / "zones" / f"{SECRET_ZONE}.toml").write_text('[transfer]\nto = [{ net = "127.0.0.1", tls = true }]\n')
    port = peers.free_port()
    with peers.Kofn(folder, f'listen_tls = ["127.0.0.1:{port}"]\n[tls]\ncertificates = ["certificates"]\n') as server:
        tally.check(not secondaries.zone(server.address[1], SECRET_ZONE), "a zone that goes by TLS alone is given plainly")
        with secondaries.bind_by_tls(peers.fresh("transfers_out/bind-tls"), port, SECRET_ZONE, folder / "certificates/certificate.pem",
                                     "ns.test") as bind:
            took = wait(lambda: secondaries.serial(bind.address[1], SECRET_ZONE) == 1)
            tally.check(took is not None, f"BIND gets nothing by TLS: {bind.log[-1000:]}")
            # 50 hosts, and six records more.
            tally.check(len(secondaries.zone(bind.address[1], SECRET_ZONE)) == 56, "BIND has another zone")


def check_strangers(tally, primary):
    """Wrong key, wrong secret, wrong time, no key: refused, with the error that RFC 8945 asks for."""
    cases = {"BADKEY": ({"name": "other"}, 17), "BADSIG": ({"secret": base64.b64encode(b"x" * 32).decode()}, 16),
             "BADTIME": ({"shift": 3600}, 18)}
    for what, (arguments, error) in cases.items():
        rcode, reply = refusal(primary, SIGNED_REQUESTS, **arguments)
        at = -10 if what == "BADTIME" else -4
        found = int.from_bytes(reply[at:at + 2], "big")
        tally.check((rcode, found) == (9, error), f"{what}: rcode {rcode}, TSIG error {found}")
    tally.check(not secondaries.zone(primary.port, SIGNED_REQUESTS), "a transfer without its key is given")
    told = [line for line in primary.server.log.splitlines() if "not accepted" in line]
    tally.check(told, "nothing is told of a wrong key")


def check_flood(tally, primary):
    """NOTIFYs from strangers, signed and not, as fast as Python sends them: queries go on being answered."""
    plain = dns.message.make_query(PLAIN, "SOA")
    plain.set_opcode(4)
    forged = dns.message.make_query(PLAIN, "SOA")
    forged.set_opcode(4)
    forged.use_tsig(dns.tsig.Key(secondaries.KEY, b"x" * 32, secondaries.ALGORITHM))
    wires, ended = [plain.to_wire(), forged.to_wire()], threading.Event()
    sent = [0, 0]

    def flood(which):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.99", 0))
            began = time.monotonic()
            while sent[which] < FLOOD and not ended.is_set():
                with contextlib.suppress(OSError):
                    sock.sendto(wires[which], ("127.0.0.1", primary.port))
                sent[which] += 1
                ahead = sent[which] / 10_000 - (time.monotonic() - began)
                if ahead > 0.01:
                    time.sleep(ahead)

    threads = [threading.Thread(target=flood, args=(which,)) for which in (0, 1)]
    began, lines = time.monotonic(), len(primary.server.log)
    for thread in threads:
        thread.start()
    asked = answered = 0
    while any(thread.is_alive() for thread in threads):
        asked += 1
        answered += secondaries.serial(primary.port, PLAIN) is not None
    for thread in threads:
        thread.join()
    took, logged = time.monotonic() - began, len(primary.server.log) - lines
    print(f"{sum(sent)} NOTIFYs in {took:.1f} s; {answered} of {asked} queries answered meanwhile; {logged} octets of log")
    tally.check(asked > 5 and asked - answered <= 1, f"{asked - answered} of {asked} queries were not answered")
    tally.check(logged < 4000, f"{logged} octets of log")


def main():
    tally = Tally()
    names = list(secondaries.ALL)
    primary = Primary(peers.fresh("transfers_out/kofn"), [])
    check_port = peers.free_port()
    backends = {address: Backend(address, check_port) for address in BACKENDS}
    servers = {}
    try:
        for name in names:
            servers[name] = secondaries.start(name, "transfers_out", primary.port, ZONES)
        primary.targets = [server.address[1] for server in servers.values()]
        primary.policies(check_port)
        primary.start()
        steps = [("first transfers", lambda: check_same(tally, primary, servers, [apex for apex, _ in ZONES], "at first")),
                 ("changes", lambda: check_changes(tally, primary, servers)),
                 ("flips", lambda: check_flip(tally, primary, servers, backends)),
                 ("restart", lambda: check_restart(tally, primary, servers)),
                 ("by TLS", lambda: check_tls(tally)),
                 ("strangers", lambda: check_strangers(tally, primary)),
                 ("flood", lambda: check_flood(tally, primary))]
        for what, step in steps:
            began = time.monotonic()
            step()
            print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)
    finally:
        if primary.server:
            primary.server.stop()
        for server in servers.values():
            server.stop()
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
