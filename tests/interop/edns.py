"""EDNS as configured: NSID, identity, cookies that a server of another make has given out, subnet, keepalive, sizes."""
import contextlib
import socket
import struct
import sys

import exchange
import message as m
import peers
import queries
import zones
from tally import Tally

SECRET = "000102030405060708090a0b0c0d0e0f"
CLIENT_COOKIE = bytes.fromhex("2464c4abcf10c957")
NSID, SUBNET, COOKIE, KEEPALIVE, PADDING = 3, 8, 10, 11, 12
SETTINGS = f"""[identity]
version = "a version"
id = "a.server"
nsid = "an.nsid"

[cookies]
secret = "{SECRET}"
"""
COOKIE_PEERS = {
    "nsd": {"options": f'  answer-cookie: yes\n  cookie-secret: "{SECRET}"\n'},
    "knot": {"options": "    module: mod-cookies/one\n", "modules": f"mod-cookies:\n  - id: one\n    secret: [0x{SECRET}]\n"},
    "bind": {"options": f'  cookie-algorithm siphash24;\n  cookie-secret "{SECRET}";\n'},
}
APEX = m.labels_wire([b"types", b"test"])


def with_options(*options, name=APEX, qtype=6, qclass=1, size=1232, do=False):
    data = b"".join(m.option(code, body) for code, body in options)
    return m.message(0, [m.question(name, qtype, qclass)], additional=[m.opt_record(size, do, options=data)])


def options_of(reply):
    return dict(reply.opt[3]) if reply and reply.opt else {}


def ask(server, wire):
    reply = server.ask(wire)
    return m.read(reply) if reply else None


def by_tcp(server, wire):
    return m.read(exchange.ask(server.address, [queries.Query("edns", "", wire, tcp=True)])[0])


def check_identity(tally, kofn):
    tally.check(options_of(ask(kofn, with_options((NSID, b"")))).get(NSID) == b"an.nsid", "NSID is not what is configured")
    tally.check(NSID not in options_of(ask(kofn, with_options())), "NSID comes unasked")
    for name, text in (("version.bind", b"a version"), ("version.server", b"a version"), ("id.server", b"a.server"), ("hostname.bind", b"a.server")):
        wire = m.message(0, [m.question(m.labels_wire([part.encode() for part in name.split(".")]), 16, 3)])
        answer = [record[4][1:] for record in ask(kofn, wire).answer]
        tally.check(answer == [text], f"{name} CH TXT: {answer}, expected {text}")


def cookie_of(server):
    return options_of(ask(server, with_options((COOKIE, CLIENT_COOKIE)))).get(COOKIE, b"")


def check_cookies(tally, kofn, others):
    """RFC 9018: with one secret, all servers give the same cookie to the same client in the same second."""
    for other in others:
        for _ in range(20):   # until both are asked within one second
            ours, theirs = cookie_of(kofn), cookie_of(other)
            if ours[12:16] == theirs[12:16]:
                break
        tally.check(len(ours) == 24 and ours == theirs, f"cookie of kofn {ours.hex()}, of {other.name} {theirs.hex()}")
        reply = ask(kofn, with_options((COOKIE, theirs)))
        tally.check(reply.rcode == 0 and options_of(reply).get(COOKIE, b"")[:8] == CLIENT_COOKIE, f"the cookie of {other.name} is not taken")
        reply = ask(other, with_options((COOKIE, ours)))
        tally.check(reply.rcode == 0, f"{other.name} answers kofn's cookie with {m.RCODES.get(reply.rcode)}")
    reply = ask(kofn, with_options((COOKIE, CLIENT_COOKIE + bytes(16))))
    tally.check(len(options_of(reply).get(COOKIE, b"")) == 24, "a false server cookie is not replaced by a good one")


def check_subnet(tally, kofn):
    sent = struct.pack("!HBB", 1, 24, 0) + bytes([192, 0, 2])
    answered = options_of(ask(kofn, with_options((SUBNET, sent)))).get(SUBNET)
    tally.check(answered == sent, f"client subnet comes back as {answered!r}, expected scope 0 (RFC 7871 section 7.2.1)")
    tally.check(SUBNET not in options_of(ask(kofn, with_options())), "client subnet comes unasked")


def check_tcp(tally, kofn):
    by_udp = options_of(ask(kofn, with_options((KEEPALIVE, b""))))
    tally.check(KEEPALIVE not in by_udp, "keepalive comes by UDP (RFC 7828 section 3.2.1)")
    kept = options_of(by_tcp(kofn, with_options((KEEPALIVE, b"")))).get(KEEPALIVE, b"")
    tally.check(len(kept) == 2 and int.from_bytes(kept, "big") > 0, f"keepalive by TCP is {kept!r}")
    tally.check(PADDING not in options_of(by_tcp(kofn, with_options((PADDING, bytes(20))))), "padding comes where nothing is encrypted")
    with socket.create_connection(kofn.address, 5) as sock:
        wires = [with_options((NSID, b"")) for _ in range(100)]
        sock.sendall(b"".join(struct.pack("!HH", len(wire), place) + wire[2:] for place, wire in enumerate(wires)))
        with sock.makefile("rb") as stream:
            idents = {stream.read(struct.unpack("!H", stream.read(2))[0])[:2] for _ in wires}
    tally.check(len(idents) == 100, f"{len(idents)} of 100 pipelined queries were answered")


def check_sizes(tally, kofn):
    big = m.labels_wire([b"a400", b"big", b"test"])
    for size, limit in ((0, 512), (512, 512), (1000, 1000), (1232, 1232), (4096, 1232), (65535, 1232)):
        reply = ask(kofn, with_options(name=big, qtype=1, size=size))
        tally.check(reply.flag(m.TC) and reply.size <= limit and reply.opt, f"bufsize {size}: {reply.size} octets, TC {reply.flag(m.TC)}, OPT {reply.opt}")
    reply = ask(kofn, m.message(0, [m.question(big, 1)]))
    tally.check(reply.flag(m.TC) and reply.size <= 512 and not reply.opt, f"without EDNS: {reply.size} octets, OPT {reply.opt}")
    reply = ask(kofn, m.message(0, [m.question(APEX, 6)], additional=[m.opt_record(version=1)]))
    tally.check(reply.rcode == 16 and reply.opt[0] == 0 and not reply.answer, "EDNS version 1 is not answered with BADVERS and version 0")


def main():
    tally = Tally()
    files, _ = zones.made()
    some = {apex: files[apex] for apex in ("types.test", "big.test")}
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(peers.start(name, "edns", some, **extra)) for name, extra in COOKIE_PEERS.items()]
        kofn = stack.enter_context(peers.start("kofn", "edns", some, settings=SETTINGS))
        check_identity(tally, kofn)
        check_cookies(tally, kofn, others)
        check_subnet(tally, kofn)
        check_tcp(tally, kofn)
        check_sizes(tally, kofn)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
