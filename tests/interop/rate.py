"""Response rate limiting at one rate beside NSD's and Knot's, by floods from addresses of many networks; and what it leaves alone."""
import select
import shutil
import socket
import sys
import time

import message as m
import peers
from tally import Tally

RATE = 50          # replies a second
BURST = 4          # seconds' worth that Knot lets a network save up
FLOOD = 400        # queries a second
SECONDS = 5
LARGE = " ".join('"' + letter * 200 + '"' for letter in "abcde")
ZONE = f"""$TTL 300
@ SOA ns1 hostmaster 7 3600 600 86400 30
@ NS ns1
ns1 A 127.0.0.1
www A 192.0.2.1
www A 192.0.2.2
www A 192.0.2.3
large TXT {LARGE}
"""
KOFN = f"""workers = 1
[rate_limit]
responses = {RATE}
burst = {BURST}
slip = 2
exempt = ["127.7.9.0/24"]
[query]
allow = ["127.0.0.0/8"]
"""
NSD = f"  rrl-ratelimit: {RATE}\n  rrl-slip: 2\n  rrl-whitelist-ratelimit: 0\n"
KNOT = f"mod-rrl:\n  - id: limit\n    rate-limit: {RATE}\n    slip: 2\n"


def query(name, qtype, options=b""):
    labels = [label.encode() for label in name.split(".")]
    return m.message(0, [m.question(m.labels_wire(labels), qtype)], additional=[m.opt_record(1232, options=options)])


HAND, TEXT = query("www.example.test", 1), query("large.example.test", 16)


class Client:
    """One address that asks faster than it may."""

    def __init__(self, server, address):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((address, 0))
        self.sock.connect(server.address)
        self.sock.setblocking(False)
        self.sent = self.full = self.slipped = 0

    def send(self, wire):
        self.sock.send(wire)
        self.sent += 1

    def take(self):
        while select.select([self.sock], [], [], 0)[0]:
            flags = int.from_bytes(self.sock.recv(4096)[2:4], "big")
            if flags & m.TC:
                self.slipped += 1
            else:
                self.full += 1

    def __str__(self):
        return f"{self.full} of {self.sent} in full, {self.slipped} as TC"


def flood(server, wires):
    """Each address asks its question FLOOD times a second; all of them together, for SECONDS."""
    clients = {address: Client(server, address) for address in wires}
    step, began = 0, time.monotonic()
    while step < SECONDS * 20:
        for address, client in clients.items():
            for _ in range(FLOOD // 20):
                client.send(wires[address])
        step += 1
        while time.monotonic() < began + step / 20:
            for client in clients.values():
                client.take()
            time.sleep(0.002)
    elapsed = time.monotonic() - began
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        for client in clients.values():
            client.take()
        time.sleep(0.01)
    return clients, elapsed


def servers(zone):
    zones = {"example.test.": zone}
    yield peers.nsd(peers.fresh("rate/nsd"), zones, limits=NSD)
    yield peers.knot(peers.fresh("rate/knot"), zones, "    module: mod-rrl/limit\n", KNOT)
    folder = peers.fresh("rate/kofn")
    (folder / "zones").mkdir()
    shutil.copy(zone, folder / "zones" / "example.test.zone")
    (folder / "zones" / "example.test.toml").write_text("[pool.www]\n", encoding="utf-8")
    yield peers.Kofn(folder, KOFN, zones)


def check_floods(tally, server):
    """Two networks that ask for what is large are limited each for itself; by all three servers alike."""
    clients, elapsed = flood(server, {"127.7.1.1": TEXT, "127.7.2.2": TEXT})
    for address, client in clients.items():
        print(f"{server.name}: {address}: {client}, {elapsed:.1f} s")
        over = client.sent - client.full
        # NSD sends nothing more in full to whoever goes on; the others go on sending the rate.
        least = 0 if server.name == "nsd" else RATE * (elapsed + BURST - 1.5)
        tally.check(least <= client.full <= RATE * (elapsed + BURST + 1.5), f"{server.name}: {client}")
        tally.check(0.4 < client.slipped / over < 0.6, f"{server.name} slips {client.slipped} of {over}")


def check_neighbour(tally, server):
    """Who is in the flooded network and asks once is limited with it; who is in another is not."""
    clients, _ = flood(server, {"127.7.3.1": TEXT})
    tally.check(clients["127.7.3.1"].slipped > 0, f"{server.name} does not limit")
    for address, limited in (("127.7.3.200", True), ("127.7.4.1", False)):
        client = Client(server, address)
        for _ in range(20):
            client.send(TEXT)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline and client.full + client.slipped < (1 if limited else 20):
            client.take()
            time.sleep(0.01)
        if not limited:
            tally.check(client.full == 20, f"{server.name}: {address}: {client}")


def cookie_of(reply):
    """The cookie option of a reply."""
    options = m.read(reply).opt[3]
    return next(data for code, data in options if code == 10)


def check_kofn(tally, kofn):
    """A crowd that asks for the pool is answered whole, from a flooded network too; so are the exempt, and who shows a cookie."""
    clients, _ = flood(kofn, {"127.7.5.1": TEXT, "127.7.5.2": HAND, "127.7.9.1": TEXT})
    tally.check(clients["127.7.5.1"].slipped > 100, f"not limited: {clients['127.7.5.1']}")
    for address in ("127.7.5.2", "127.7.9.1"):
        client = clients[address]
        tally.check(client.full == client.sent, f"{address}: {client}")
    first = kofn.ask(query("www.example.test", 1, m.option(10, b"abcdefgh")))
    proven = query("large.example.test", 16, m.option(10, cookie_of(first)))
    clients, _ = flood(kofn, {"127.0.0.1": proven})
    tally.check(clients["127.0.0.1"].full == clients["127.0.0.1"].sent, f"with a cookie: {clients['127.0.0.1']}")
    truncated = kofn.command("status", "--json").stdout
    tally.check('"slip"' in truncated and '"drop_rate"' in truncated, f"outcomes: {truncated}")


def main():
    tally = Tally()
    zone = peers.fresh("rate/zone") / "example.test.zone"
    zone.write_text(ZONE, encoding="utf-8")
    for server in servers(zone):
        with server:
            check_floods(tally, server)
            check_neighbour(tally, server)
            if server.name == "kofn":
                check_kofn(tally, server)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
