"""Sends queries and gathers replies: many in flight by UDP, pipelined by TCP."""
import contextlib
import socket
import struct
import time

IN_FLIGHT = 48     # a socket's default receive buffer holds so many replies of 1,232 octets
TIMEOUT = 0.7      # seconds; then the query is sent again
TRIES = 3


def ask(address, queries):
    """The reply to each query, or None where the server stays silent."""
    replies = [None] * len(queries)
    by_udp = [i for i, query in enumerate(queries) if not query.tcp]
    for i, reply in zip(by_udp, ask_udp(address, [queries[i].wire for i in by_udp]), strict=True):
        replies[i] = reply
    by_tcp = [i for i, query in enumerate(queries) if query.tcp]
    for i, reply in zip(by_tcp, ask_tcp(address, [queries[i].wire for i in by_tcp]), strict=True):
        replies[i] = reply
    return replies


def ask_udp(address, wires, tries=TRIES, timeout=TIMEOUT):
    """By UDP. A query without a reply after `timeout` seconds is sent again, `tries` times in all, then counts as unanswered."""
    replies, waiting = [None] * len(wires), {}   # ID → (index, deadline, tries left)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(address)
        todo, ident = [(i, tries) for i in range(len(wires) - 1, -1, -1)], 0
        while todo or waiting:
            while todo and len(waiting) < IN_FLIGHT:
                index, left = todo.pop()
                ident = next_free(ident, waiting)
                send(sock, struct.pack("!H", ident) + wires[index][2:])
                waiting[ident] = (index, time.monotonic() + timeout, left - 1)
            receive(sock, replies, waiting)
            for ident_late in [i for i, (_, deadline, _) in waiting.items() if deadline < time.monotonic()]:
                index, _, left = waiting.pop(ident_late)
                if left:
                    todo.insert(0, (index, left))
    return replies


def send(sock, wire):
    # Refusal is the report of an earlier packet; this one's reply, or its absence, tells.
    with contextlib.suppress(ConnectionRefusedError):
        sock.send(wire)


def next_free(ident, waiting):
    while True:
        ident = (ident + 1) & 0xFFFF
        if ident not in waiting:
            return ident


def receive(sock, replies, waiting):
    """Takes what has come; waits a little when nothing has."""
    wait = 0.05
    while True:
        sock.settimeout(wait)
        try:
            reply = sock.recv(65535)
        except (BlockingIOError, TimeoutError, ConnectionRefusedError):
            return
        if len(reply) >= 2:
            entry = waiting.pop(struct.unpack_from("!H", reply)[0], None)
            if entry:
                replies[entry[0]] = reply
        wait = 0


def ask_tcp(address, wires):
    """By TCP, sixteen to a connection; queries behind one that made the server close or keep silent get a new one."""
    replies, todo = [None] * len(wires), list(range(len(wires)))
    while todo:
        batch = todo[:16]
        done = tcp_batch(address, [wires[i] for i in batch])
        for place, reply in done.items():
            replies[batch[place]] = reply
        unanswered = [place for place in range(len(batch)) if place not in done]
        if unanswered and len(batch) > 1 and done:
            alone = batch[unanswered[0]]
            replies[alone] = tcp_batch(address, [wires[alone]]).get(0)
            todo = [batch[place] for place in unanswered[1:]] + todo[16:]
        elif unanswered and len(batch) > 1:
            for place in unanswered:
                replies[batch[place]] = tcp_batch(address, [wires[batch[place]]]).get(0)
            todo = todo[16:]
        else:
            todo = todo[16:]
    return replies


def tcp_batch(address, wires):
    """One connection: place → reply for those answered before the server closed or paused for TIMEOUT."""
    done = {}
    with socket.create_connection(address, 5) as sock:
        sock.settimeout(2 * TIMEOUT)
        try:
            sock.sendall(b"".join(struct.pack("!HH", len(w), place) + w[2:] for place, w in enumerate(wires)))
            with sock.makefile("rb") as stream:
                while len(done) < len(wires):
                    head = stream.read(2)
                    reply = stream.read(struct.unpack("!H", head)[0]) if len(head) == 2 else b""
                    if len(reply) < 2:
                        break
                    done[struct.unpack_from("!H", reply)[0]] = reply
        except (TimeoutError, ConnectionError):
            pass
    return done
