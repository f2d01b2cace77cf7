"""Thousands of idle connections past the handshake, clients that send an octet now and then, and a certificate that is exchanged
under load: nobody else notices, and nobody stays for ever.

INTEROP_CROWD=5000 holds so many connections on each door.
"""
import asyncio
import contextlib
import os
import socket
import ssl
import struct
import sys
import threading
import time

import doors
import doq
import metrics
import peers
from tally import Tally

ASKED_FOR = os.environ.get("INTEROP_CROWD")
CROWD = int(ASKED_FOR or 1000)
CROWD_BY_QUIC = CROWD if ASKED_FOR else 150   # aioquic takes a tenth of a second and more for each
SLOW = 'idle = "2s"\nhandshake_time = "1s"\n'
STEP = 0.2       # seconds between two octets of a client that dawdles
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
EMPTY_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
# POST /dns-query of application/dns-message, each field a literal of HPACK; its body is still to come.
FIELDS = b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in (
    (b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/dns-query"),
    (b"content-type", b"application/dns-message")))
REQUEST = struct.pack("!I", len(FIELDS))[1:] + b"\1\4\0\0\0\1" + FIELDS


def context(protocol):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    tls.set_alpn_protocols([protocol])
    return tls


def shaken(port, tls):
    """A connection past its handshake."""
    return tls.wrap_socket(socket.create_connection(("127.0.0.1", int(port)), 20), server_hostname="localhost")


def answers(tally, kofn, ports, when):
    """Everybody else is answered, by every door."""
    tally.check(kofn.ask(doors.QUERY, 5) is not None, f"UDP {when}")
    for door in ("tls", "https", "quic"):
        asked = doors.run("kdig", "@127.0.0.1", "-p", ports[door], f"+{door}", "+short", "www.example.test", "A")
        tally.check(b"192.0.2.1" in asked.stdout, f"+{door} {when}: {asked}")


def counted(kofn):
    """What happened to connections, by transport and event."""
    _, samples = metrics.scrape(kofn)
    return {(labels["transport"], labels["event"]): value for labels, value in samples["kofn_connections_total"]}


def check_idle(tally, kofn, ports):
    """Connections that have been greeted and say nothing."""
    doors.raise_limit()
    for door, protocol in (("tls", "dot"), ("https", "h2")):
        before, tls = doors.memory(kofn), context(protocol)
        crowd = [shaken(ports[door], tls) for _ in range(CROWD)]
        settle(tally, kofn, ports, door, before, CROWD)
        for stream in crowd:
            stream.close()
    before = doors.memory(kofn)

    async def by_quic():
        held, clients = await doq.many(ports["quic"], CROWD_BY_QUIC)
        await asyncio.to_thread(settle, tally, kofn, ports, "quic", before, CROWD_BY_QUIC)
        tally.check(not any(client.ended.is_set() for client in clients), "a connection by QUIC has ended")
        reply = await clients[0].ask(doors.QUERY)
        tally.check(reply and reply[7] == 2, "an idle connection by QUIC asks after all")
        await held.aclose()
    asyncio.run(by_quic())


def settle(tally, kofn, ports, door, before, crowd):
    answers(tally, kofn, ports, f"beside {crowd} idle connections by {door}")
    each = (doors.memory(kofn) - before) / crowd
    print(f"{crowd} idle connections by {door}: {each:.1f} KiB each")
    tally.check(each < 100, f"memory of an idle connection by {door}: {each:.1f} KiB")
    done = counted(kofn)[door, "handshake_done"]
    tally.check(done >= crowd, f"handshakes by {door}: {done}")


def client_hello():
    """The first octets of a client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context("dot").wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def dawdle(stream, octets, ended, name):
    """Sends an octet now and then until the server has had enough; then says so."""
    stream.settimeout(STEP)
    begun, octets = time.monotonic(), iter(octets)
    while time.monotonic() - begun < peers.PATIENCE:
        try:
            octet = next(octets, None)
            if octet is not None:
                stream.send(bytes([octet]))
            if not stream.recv(4096):
                break
            time.sleep(STEP)
        except (TimeoutError, ssl.SSLWantReadError):
            continue
        except OSError:
            break
    else:
        return
    ended.append(name)


def check_dawdlers(tally, kofn, ports):
    """One for each place at which a door waits for octets."""
    tls, h2, ended = context("dot"), context("h2"), []
    long = bytes(1000)
    begun = shaken(ports["https"], h2)
    begun.sendall(PREFACE + EMPTY_SETTINGS + REQUEST)
    data = b"\0\3\xe8\0\0\0\0\0\1" + long
    dawdlers = {
        "a TLS handshake": (socket.create_connection(("127.0.0.1", int(ports["tls"]))), client_hello()),
        "a handshake before HTTP/2": (socket.create_connection(("127.0.0.1", int(ports["https"]))), client_hello()),
        "a frame": (shaken(ports["tls"], tls), b"\3\xe8" + long),
        "the preface of HTTP/2": (shaken(ports["https"], h2), PREFACE),
        "a body": (begun, data),
        "nothing at all by TLS": (shaken(ports["tls"], tls), b""),
    }
    threads = [threading.Thread(target=dawdle, args=(stream, octets, ended, name))
               for name, (stream, octets) in dawdlers.items()]
    for thread in threads:
        thread.start()

    async def by_quic():
        async with doq.connected(ports["quic"]) as client:
            stream, whole = client.open()
            client.send(stream, b"\3\xe8")
            for _ in range(int(peers.PATIENCE / STEP)):
                await asyncio.wait([whole], timeout=STEP)
                if whole.done() or client.ended.is_set():
                    ended.append("a stream of QUIC")
                    break
                client.send(stream, b"\0")
    quic = threading.Thread(target=lambda: asyncio.run(by_quic()))
    quic.start()
    answers(tally, kofn, ports, "beside clients that dawdle")
    for thread in [*threads, quic]:
        thread.join()
    for name in [*dawdlers, "a stream of QUIC"]:
        tally.check(name in ended, f"who dawdles with {name} stays")
    # Half a handshake by QUIC: the first packet of a client that never answers.
    half = asyncio.run(first_packet())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(half, ("127.0.0.1", int(ports["quic"])))
        await_that(tally, lambda: counted(kofn)["quic", "handshake_failed"] >= 1, "half a handshake by QUIC is given up")
    counts = counted(kofn)
    tally.check(counts["tls", "handshake_failed"] >= 1 and counts["https", "handshake_failed"] >= 1, f"given up: {counts}")
    tally.check(counts["tls", "idle"] >= 2 and counts["https", "idle"] >= 1, f"closed: {counts}")
    tally.check(counts["tcp", "accepted"] == 0, f"what came by TLS was counted as TCP: {counts}")


async def first_packet():
    from aioquic.quic.connection import QuicConnection
    connection = QuicConnection(configuration=doq.configuration())
    connection.connect(("127.0.0.1", 1), 0.0)
    return connection.datagrams_to_send(0.0)[0][0]


def await_that(tally, holds, what):
    end = time.monotonic() + peers.PATIENCE
    while not holds() and time.monotonic() < end:
        time.sleep(peers.PAUSE)
    tally.check(holds(), what)


def check_exchange(tally, kofn, ports, folder):
    """Clients come all the time while the certificate becomes another, and broken, and another again."""
    stop, failed, seen, tls = threading.Event(), [], set(), context("dot")

    def client():
        while not stop.is_set():
            try:
                with shaken(ports["tls"], tls) as stream:
                    seen.add(stream.getpeercert(True))
                    stream.sendall(struct.pack("!H", len(doors.QUERY)) + doors.QUERY)
                    if len(stream.recv(4096)) < 2:
                        failed.append("no reply")
            except OSError as error:
                failed.append(error)
    clients = [threading.Thread(target=client) for _ in range(2)]
    for thread in clients:
        thread.start()
    rounds = 5
    for number in range(rounds):
        made = folder / f"made{number}"
        doors.certificate(made)
        for file in ("own.pem", "own.key"):
            (folder / "certificates" / file).write_bytes((made / file).read_bytes())
        shown, der = set(seen), ssl.PEM_cert_to_DER_cert((made / "own.pem").read_text(encoding="utf-8"))
        await_that(tally, lambda der=der: der in seen, f"the new certificate is shown, of {len(shown)} before")
        whole = (made / "own.pem").read_bytes()
        (folder / "certificates" / "own.pem").write_bytes(whole[:len(whole) // 2])
        await_that(tally, lambda number=number: kofn.log.count("cut off") > number, "half a certificate is told")
    stop.set()
    for thread in clients:
        thread.join()
    tally.check(not failed, f"handshakes that failed while certificates were exchanged: {failed[:3]}")
    tally.check(len(seen) >= rounds, f"{len(seen)} certificates were seen")
    answers(tally, kofn, ports, "after the exchanges")


def main():
    tally = Tally()
    zone = peers.fresh("crowds/zone") / "example.test.zone"
    zone.write_text(doors.ZONE, encoding="utf-8")
    for name, more in (("idle", 'idle = "10m"\nhandshakes = 6000\n'), ("slow", SLOW)):
        folder = peers.fresh(f"crowds/{name}")
        doors.certificate(folder / "certificates")
        with peers.kofn(folder, {"example.test.": zone}, doors.OPEN + more) as kofn:
            ports = doors.ports(kofn)
            if name == "idle":
                check_idle(tally, kofn, ports)
            else:
                check_dawdlers(tally, kofn, ports)
                check_exchange(tally, kofn, ports, folder)
            tally.check(kofn.process.poll() is None, "kofn has ended")
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
