"""dnstap: fstrm_capture collects what kofn tells, dnstap-read and dnstap-ldns read it, beside what BIND and Knot tell of the same queries."""
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import doors
import exchange
import message as m
import peers
from tally import Tally

ZONE = "$TTL 300\n@ SOA ns1 hostmaster 7 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\nwww A 192.0.2.1\n*.wild A 192.0.2.2\n"
NAMES = ["www.example.test", "nothing.example.test", "a.wild.example.test", "ns1.example.test"]
DOORS = """listen_tls = ["127.0.0.1:0"]
listen_https = ["127.0.0.1:0"]
listen_quic = ["127.0.0.1:0"]
[tls]
certificates = ["certificates"]
[identity]
id = "tapped"
[dnstap]
socket = "{socket}"
file = "tap.fstrm"
[query_log]
sample = 1
file = "queries.log"
format = "json"
client = "network"
"""
PATIENCE = 30.0


def wait(what, condition):
    """Looks until it holds, and gives what it found."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(peers.PAUSE)
    raise AssertionError(f"never: {what}")


class Collector:
    """fstrm_capture on a socket, into a file."""

    def __init__(self, socket, output):
        self.socket, self.output = socket, output
        self.process = subprocess.Popen([peers.program("fstrm_capture"), "-t", "protobuf:dnstap.Dnstap", "-u", str(socket),
                                         "-w", str(output)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait("a collector that listens", socket.exists)

    def end(self):
        """Ends it, whereupon it writes what it has; gives what dnstap-read makes of that."""
        # What is on its way to it is not lost.
        time.sleep(0.5)
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE)
        self.socket.unlink(missing_ok=True)
        return read(self.output)


def read(path):
    """The frames of a file, decoded here; dnstap-read must find as many."""
    shown = subprocess.run(["dnstap-read", str(path)], capture_output=True, text=True, timeout=60, check=False)
    frames, octets, at = [], pathlib.Path(path).read_bytes(), 0
    while at < len(octets):
        length = int.from_bytes(octets[at:at + 4], "big")
        if length:
            frames.append(told(octets[at + 4:at + 4 + length]))
        else:
            length = 4 + int.from_bytes(octets[at + 4:at + 8], "big")
        at += 4 + length
    assert len(shown.stdout.splitlines()) == len(frames), f"dnstap-read {path}: {shown.stdout[-300:]} {shown.stderr}"
    return frames


def fields(octets):
    """The fields of a protobuf message by their numbers."""
    found, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            octet = octets[at]
            at += 1
            value |= (octet & 127) << shift
            shift += 7
            if octet < 128:
                return value
    while at < len(octets):
        key = varint()
        if key & 7 == 0:
            found[key >> 3] = varint()
        else:
            size = varint() if key & 7 == 2 else {1: 8, 5: 4}[key & 7]
            found[key >> 3] = octets[at:at + size] if key & 7 == 2 else int.from_bytes(octets[at:at + size], "little")
            at += size
    return found


def told(frame):
    """One frame by the names of dnstap.proto."""
    outer = fields(frame)
    inner = fields(outer[14])
    kinds, families = {1: "AUTH_QUERY", 2: "AUTH_RESPONSE"}, {1: "INET", 2: "INET6"}
    protocols = {1: "UDP", 2: "TCP", 3: "DOT", 4: "DOH", 7: "DOQ"}
    time_of = lambda seconds, nanos: inner[seconds] + inner.get(nanos, 0) / 1e9 if seconds in inner else None
    return {"identity": outer.get(1, b"").decode(), "version": outer.get(2, b"").decode(), "type": kinds.get(inner[1]),
            "socket_family": families.get(inner.get(2)), "socket_protocol": protocols.get(inner.get(3)),
            "query_address": inner.get(4), "response_address": inner.get(5), "query_port": inner.get(6),
            "response_port": inner.get(7), "query_time": time_of(8, 9), "query": inner.get(10), "zone": inner.get(11),
            "response_time": time_of(12, 13), "response": inner.get(14)}


def wires():
    # Without RD: BIND takes a reply to a query with it for one to a client of a resolver.
    return [m.message(0, [m.question(m.labels_wire([label.encode() for label in name.split(".")]), 1)]) for name in NAMES]


def known(frames, kind):
    """What a server tells that does not depend on which it is."""
    keys = ("socket_family", "socket_protocol", "query_address", "query")
    # Of a reply the ID, the flags and the rcode: what stands behind them is each server's own taste.
    head = lambda frame: frame["response"] and frame["response"][:4]
    return {(*(frame[key] for key in keys), head(frame)) for frame in frames if frame["type"] == kind}


def check_peers(tally, folder, zone, own):
    """The same queries told of by BIND and by Knot: what they and kofn say alike."""
    zones = {"example.test.": zone}
    for name in ("bind", "knot"):
        socket, output = folder / f"{name}.sock", folder / f"{name}.fstrm"
        collector = Collector(socket, output)
        if name == "bind":
            options = f'  dnstap {{ auth; }};\n  dnstap-output unix "{socket}";\n  dnstap-identity "peer";\n'
            server = peers.bind(peers.fresh("dnstap/bind"), zones, options)
        else:
            module = f"mod-dnstap:\n  - id: tap\n    sink: unix:{socket}\n    log-queries: on\n    log-responses: on\n"
            server = peers.knot(peers.fresh("dnstap/knot"), zones, "    module: mod-dnstap/tap\n", module)
        with server:
            # What is told before the collector has accepted is lost.
            time.sleep(1)
            exchange.ask_udp(server.address, wires())
            time.sleep(1)
        frames = collector.end()
        for kind in ("AUTH_QUERY", "AUTH_RESPONSE"):
            theirs, ours = known(frames, kind), known(own, kind)
            tally.check(theirs and theirs <= ours, f"{name} tells of {kind} {theirs}, kofn {ours}")


def check_kofn(tally, folder, zone):
    """Every transport is told of, to a socket and into a file; collectors come and go; files are moved away."""
    socket = folder / "tap.sock"
    doors.certificate(folder / "certificates")
    first = Collector(socket, folder / "first.fstrm")
    with peers.kofn(folder, {"example.test.": zone}, DOORS.format(socket=socket)) as kofn:
        wait("kofn's word that it has a collector", lambda: "dnstap goes to" in kofn.log and str(socket) in kofn.log)
        exchange.ask_udp(kofn.address, wires())
        exchange.ask_tcp(kofn.address, wires())
        ports = doors.ports(kofn)
        for door in ("tls", "https", "quic"):
            doors.run("kdig", "@127.0.0.1", "-p", ports[door], f"+{door}", "+short", "www.example.test", "A")
        wait("lines of queries", lambda: len((folder / "queries.log").read_text().splitlines()) >= 11)
        own = first.end()
        numbers = {name: int(ports[door]) for name, door in (("DOT", "tls"), ("DOH", "https"), ("DOQ", "quic"))}
        check_frames(tally, own, {"UDP": kofn.address[1], "TCP": kofn.address[1], **numbers})
        check_lines(tally, folder / "queries.log")
        # Nobody listens; nothing waits, and what is lost is counted.
        replies = exchange.ask_udp(kofn.address, wires() * 500)
        tally.check(all(replies), "queries were not answered while nobody collected")
        second = Collector(socket, folder / "second.fstrm")
        wait("kofn's word that it has another collector", lambda: kofn.log.count(f"dnstap goes to {socket}") >= 2)
        exchange.ask_udp(kofn.address, wires())
        # Files that are moved away are begun anew, with SIGHUP as with anything else.
        for name in ("tap.fstrm", "queries.log"):
            shutil.move(folder / name, folder / f"moved.{name}")
        kofn.process.send_signal(signal.SIGHUP)
        wait("new files", lambda: (folder / "tap.fstrm").exists() and (folder / "queries.log").exists())
        exchange.ask_udp(kofn.address, wires()[:1])
        wait("a new line", lambda: (folder / "queries.log").read_text())
        time.sleep(0.5)
        log = kofn.log
    frames = second.end()
    tally.check(len([frame for frame in frames if frame["type"] == "AUTH_QUERY"]) >= 5, f"the second collector has {len(frames)}")
    tally.check("dnstap is lost until" in log, "the log does not say that nobody collected")
    moved, anew = read(folder / "moved.tap.fstrm"), read(folder / "tap.fstrm")
    tally.check(len(moved) > 4000 and len(anew) == 2, f"{len(moved)} frames in the moved file, {len(anew)} in the new one")
    ldns = subprocess.run(["dnstap-ldns", "-r", str(folder / "moved.tap.fstrm"), "-q"], capture_output=True, text=True,
                          timeout=60, check=False).stdout
    tally.check(len(ldns.splitlines()) == len(moved), f"dnstap-ldns reads {len(ldns.splitlines())} of {len(moved)}")
    return own


def check_frames(tally, frames, ports):
    queries = [frame for frame in frames if frame["type"] == "AUTH_QUERY"]
    replies = [frame for frame in frames if frame["type"] == "AUTH_RESPONSE"]
    # The start asks for the SOA of the zone, too.
    tally.check(len(queries) == len(replies) >= 11, f"{len(queries)} queries, {len(replies)} replies")
    local = m.labels_wire([b"example", b"test"])
    for frame in frames:
        right = frame["identity"] == "tapped" and frame["version"].startswith("kofn ") and frame["zone"] == local
        right = right and frame["query_address"] == frame["response_address"] == b"\x7f\0\0\1"
        right = right and frame["response_port"] == ports[frame["socket_protocol"]] and abs(frame["query_time"] - time.time()) < 60
        tally.check(right and frame["query_port"] > 1023, f"{frame} {ports}")
    tally.check({frame["socket_protocol"] for frame in frames} == set(ports), "a transport is not told of")
    tally.check(all(0 <= reply["response_time"] - reply["query_time"] < 5 for reply in replies), "a reply before its query")
    tally.check({reply["response"][3] & 15 for reply in replies} == {0, 3}, "rcodes")
    tally.check(all(query["query"][2] & 128 == 0 and query["response"] is None for query in queries), "a query that is none")


def check_lines(tally, path):
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    asked = {(line["transport"], line["name"], line["rcode"]) for line in lines}
    for transport in ("udp", "tcp"):
        tally.check((transport, "nothing.example.test.", "NXDOMAIN") in asked, f"{asked}")
    for door in ("tls", "https", "quic"):
        tally.check((door, "www.example.test.", "NOERROR") in asked, f"{asked}")
    tally.check(all(line["client"] == "127.0.0.0/24" for line in lines), "a client is told whole")


def main():
    tally = Tally()
    zone = peers.fresh("dnstap/zone") / "example.test.zone"
    zone.write_text(ZONE, encoding="utf-8")
    folder = peers.fresh("dnstap/kofn")
    own = check_kofn(tally, folder, zone)
    check_peers(tally, folder, zone, own)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
