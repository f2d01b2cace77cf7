"""kofn goes on answering whatever is sent to it: 30,000 broken packets, and TCP clients that lie, dawdle or only listen."""
import contextlib
import random
import socket
import struct
import sys
import time

import exchange
import message as m
import peers
import queries
import zones
from tally import Tally

PACKETS = 30_000
IDLE = 300                 # TCP connections that say nothing, from other prefixes than the client that wants an answer
ASKED = m.message(0, [m.question(m.labels_wire([b"a", b"types", b"test"]), 1)], additional=[m.opt_record()])
FRAME = struct.pack("!H", len(ASKED)) + ASKED
UNREAD = 4_000             # large replies asked for by a client that reads none


def broken_packets(rng, asked):
    """Random octets, and real queries with octets changed, cut out, doubled."""
    for number in range(PACKETS):
        octets = bytearray(rng.choice(asked).wire if number % 4 else rng.randbytes(rng.randrange(600)))
        for _ in range(rng.randrange(1, 8)):
            at = rng.randrange(len(octets) + 1)
            change = rng.randrange(4)
            if change == 0:
                octets[at:at + 1] = bytes([rng.randrange(256)])
            elif change == 1:
                octets[at:at + rng.randrange(8)] = b""
            elif change == 2:
                octets[at:at] = octets[at:at + 16]
            else:
                octets[at:at + 2] = bytes([0xC0, rng.randrange(64)])
        yield bytes(octets)


def check_packets(tally, kofn, asked):
    """Each is answered with something that reads, or not at all, and never when it is a response itself."""
    rng = random.Random(queries.SEED)
    packets = [packet for packet in broken_packets(rng, asked) if len(packet) >= 2]
    unread, echoed = 0, 0
    # One try: silence is lawful here, and there is too much of it to ask again.
    for packet, reply in zip(packets, exchange.ask_udp(kofn.address, packets, tries=1, timeout=0.1), strict=True):
        if reply is None:
            continue
        echoed += len(packet) > 2 and packet[2] >= 0x80
        try:
            unread += bool(m.read(reply).faults)
        except m.Malformed:
            unread += 1
    tally.check(not unread, f"{unread} replies to broken packets cannot be read")
    tally.check(not echoed, f"{echoed} responses were answered")
    tally.check(answered(kofn), "after broken packets a query is not answered")


def answered(kofn):
    """A query by UDP and one by TCP get their answers."""
    by_tcp = exchange.tcp_batch(kofn.address, [ASKED])
    return all(reply and m.read(reply).answer for reply in (kofn.ask(ASKED), by_tcp.get(0)))


def connect(kofn, source="127.0.0.1"):
    return socket.create_connection(kofn.address, 5, source_address=(source, 0))


def receive(sock):
    """One reply, or None when the server has closed."""
    sock.settimeout(10)
    with contextlib.suppress(OSError), sock.makefile("rb") as stream:
        head = stream.read(2)
        return stream.read(struct.unpack("!H", head)[0]) if len(head) == 2 else None
    return None


def check_frames(tally, kofn):
    """Frames that are empty, that lie about their length, or that come octet by octet."""
    for what, sent in {"empty frame": b"\0\0", "frame of one octet": b"\0\1x", "frame that ends early": b"\xff\xff" + ASKED,
                       "random octets": random.Random(1).randbytes(5000), "half a length": b"\0"}.items():
        with connect(kofn) as sock:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
            receive(sock)
        tally.check(answered(kofn), f"after an {what} by TCP a query is not answered")
    with connect(kofn) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in FRAME:
            sock.sendall(bytes([octet]))
            time.sleep(0.002)   # so that each travels alone
        reply = receive(sock)
        tally.check(reply and m.read(reply).answer, "a query that comes octet by octet is not answered")
    with connect(kofn) as sock:
        sock.sendall(FRAME * 3)
        sock.shutdown(socket.SHUT_WR)
        tally.check(all([receive_one(sock) for _ in range(3)]), "queries before the client's end of stream are not answered")


def receive_one(sock):
    head = sock.recv(2, socket.MSG_WAITALL)
    return sock.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL) if len(head) == 2 else None


def check_idle(tally, kofn):
    """Connections that say nothing, from many prefixes and from one, keep no one else from being served."""
    with contextlib.ExitStack() as stack:
        for number in range(IDLE):
            source = f"127.{1 + number % 100}.0.1" if number % 2 else "127.200.0.1"
            with contextlib.suppress(OSError):
                stack.enter_context(connect(kofn, source))
        tally.check(answered(kofn), f"with {IDLE} idle TCP connections a query is not answered")


def check_unread(tally, kofn):
    """A client that asks for much and reads nothing holds back itself alone."""
    large = m.message(0, [m.question(m.labels_wire([b"txt200", b"big", b"test"]), 16)])
    with connect(kofn, "127.201.0.1") as sock:
        sock.settimeout(1)
        with contextlib.suppress(OSError):
            sock.sendall((struct.pack("!H", len(large)) + large) * UNREAD)
        tally.check(answered(kofn), "beside a client that reads nothing a query is not answered")


def main():
    tally = Tally()
    files, _ = zones.made()
    some = {apex: files[apex] for apex in ("types.test", "big.test", "nsec3.test")}
    asked = queries.generate(queries.load(some), 3000)
    with peers.start("kofn", "survival", some) as kofn:
        check_packets(tally, kofn, asked)
        check_frames(tally, kofn)
        check_idle(tally, kofn)
        check_unread(tally, kofn)
        tally.check(kofn.process.poll() is None, f"kofn ended:\n{kofn.log[-3000:]}")
        tally.check("panicked" not in kofn.log, f"kofn panicked:\n{kofn.log[-3000:]}")
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
