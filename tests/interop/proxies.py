"""HAProxy and dnsdist in front of kofn, by UDP, TCP, TLS and HTTPS: it deals with the real client, and with nobody who only says so.

Clients have addresses of their own in 127.0.0.0/8; the proxies speak from 127.0.0.2, which kofn trusts. HAProxy sends its header
before the handshake, whether it passes the client's TLS on or encrypts what came in the clear; dnsdist sends it inside.
"""
import contextlib
import socket
import subprocess
import sys
import time

import doors
import peers
from tally import Tally

MEMBERS = 20
ZONE = ("$TTL 300\n@ SOA ns1 hostmaster 7 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\n"
        + "".join(f"www A 192.0.2.{number}\n" for number in range(1, MEMBERS + 1)))
# The hand depends on the client's network, and so does who may have the zone.
POLICY = '[pool.www]\nk = 2\nspread = "affinity"\n[transfer]\nto = ["127.0.7.0/24"]\n'
SETTINGS = """listen_tls = ["127.0.0.1:0"]
listen_https = ["127.0.0.1:0"]
listen_quic = ["127.0.0.1:0"]
proxy_protocol = ["127.0.0.2"]
door = "{door}"
[limits]
tcp_per_prefix = 3
[rate_limit]
responses = 20
burst = 1
ratio = 0
[tls]
certificates = ["certificates"]
"""
CLIENTS = [f"127.0.{network}.1" for network in range(20, 32)]
# The ways by which a transfer may go. dnsdist asks by HTTPS for single messages only.
TRANSFERS = ("v1", "v2", "tls", "own tls", "dnsdist TCP", "dnsdist TLS TCP")
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def haproxy(folder, plain, ports):
    """A listener for each way to kofn: version 1 and 2 to TCP, version 2 before the client's own handshake of TLS and HTTPS, and
    before that of HAProxy."""
    ways = {"v1": (plain, "send-proxy"), "v2": (plain, "send-proxy-v2"), "tls": (ports["tls"], "send-proxy-v2"),
            "https": (ports["https"], "send-proxy-v2"),
            "own tls": (ports["tls"], "send-proxy-v2 ssl verify none alpn dot check-ssl")}
    listeners = {way: peers.free_port() for way in ways}
    text = "global\n  maxconn 500\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n"
    for way, (port, how) in ways.items():
        text += (f"listen {way.replace(' ', '-')}\n  bind 127.0.0.1:{listeners[way]}\n"
                 f"  server kofn 127.0.0.1:{port} source 127.0.0.2 {how} check check-send-proxy inter 500ms\n")
    (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
    return [peers.program("haproxy"), "-db", "-f", "haproxy.cfg"], listeners


# How dnsdist speaks to kofn, and what it asks it by.
BACKENDS = {"dnsdist": "", "dnsdist TLS": ', tls="openssl", validateCertificates=false',
            "dnsdist HTTPS": ', tls="openssl", validateCertificates=false, subjectName="localhost", dohPath="/dns-query"'}


def dnsdist(folder, name, backend):
    """Takes UDP and TCP, and asks kofn at the port `backend`."""
    port, settings = peers.free_port(), f"{name.replace(' ', '-')}.conf"
    (folder / settings).write_text(
        f'setLocal("127.0.0.1:{port}")\nsetACL("127.0.0.0/8")\nsetSecurityPollSuffix("")\n'
        f'newServer({{address="127.0.0.1:{backend}", source="127.0.0.2", useProxyProtocol=true, checkName="example.test."'
        f'{BACKENDS[name]}}})\n', encoding="utf-8")
    return [peers.program("dnsdist"), "--supervised", "--disable-syslog", "-C", settings], port


@contextlib.contextmanager
def running(name, argv, folder, ready):
    """A proxy, from when `ready` says so to the end of the block."""
    with peers.Server(name, argv, 0, folder) as server:
        end = time.monotonic() + peers.PATIENCE
        while not ready():
            if server.process.poll() is not None or time.monotonic() > end:
                raise peers.NotReady(f"{name}:\n{server.log}")
            time.sleep(peers.PAUSE)
        yield server


def ask(port, client, *flags):
    """What a client is told, as lines of records."""
    asked = subprocess.run(["kdig", "@127.0.0.1", "-p", str(port), "-b", client, "+short", "+retry=1", "+time=3", *flags],
                           capture_output=True, text=True, timeout=30, check=False)
    return sorted(asked.stdout.split("\n")[:-1])


def check_hands(tally, plain, ways):
    """Each client gets by each way the hand that it gets without a proxy, and they are not all the same."""
    own = {client: ask(plain, client, "www.example.test") for client in CLIENTS}
    tally.check(len({tuple(hand) for hand in own.values()}) > 3, f"hands by client: {own}")
    for way, (port, flags) in ways.items():
        for client, hand in own.items():
            found = ask(port, client, "www.example.test", *flags)
            tally.check(len(hand) == 2 and found == hand, f"{way} for {client}: {found}, without a proxy {hand}")


def check_transfers(tally, ways):
    for way, (port, flags) in ways.items():
        if way not in TRANSFERS:
            continue
        for client, granted in (("127.0.7.1", True), ("127.0.8.1", False)):
            found = ask(port, client, "example.test", "AXFR", *flags)
            tally.check((len(found) > MEMBERS) == granted, f"AXFR by {way} for {client}: {found}")


def is_open(stream):
    """Whether a query by TCP is answered."""
    try:
        stream.sendall(len(doors.QUERY).to_bytes(2, "big") + doors.QUERY)
        return bool(stream.recv(2))
    except OSError:
        return False


def check_limits(tally, port):
    """One network has three connections, whoever connects for it."""
    with contextlib.ExitStack() as all_of_them:
        def connected(client):
            return all_of_them.enter_context(socket.create_connection(("127.0.0.1", port), 5, (client, 0)))
        taken = [is_open(connected(client)) for client in ("127.0.9.1", "127.0.9.2", "127.0.9.3", "127.0.9.4")]
        tally.check(taken == [True, True, True, False], f"connections of one network: {taken}")
        tally.check(is_open(connected("127.0.10.1")), "a connection of another network")


def check_rates(tally, port):
    """A client that asks too much by a proxy is told to use TCP, and the others by the same proxy are not."""
    def told(client, count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((client, 0))
            sock.settimeout(0.05)
            answers = 0
            for number in range(count):
                sock.sendto(number.to_bytes(2, "big") + doors.QUERY[2:], ("127.0.0.1", port))
                with contextlib.suppress(TimeoutError):
                    reply = sock.recv(4096)
                    answers += not reply[2] & 2 and reply[7] > 0
            return answers
    tally.check(told("127.0.14.1", 10) == 10, "a client that asks little")
    greedy = told("127.0.13.1", 120)
    tally.check(0 < greedy < 100, f"of 120 queries of one client {greedy} were answered")
    tally.check(told("127.0.15.1", 10) == 10, "a client beside one that asks too much")


def check_strangers(tally, plain):
    """A header of somebody who is not trusted is a broken query; one that is trusted must send one."""
    header = SIGNATURE + bytes([0x21, 0x12, 0, 12, 127, 0, 7, 1, 127, 0, 0, 1, 9, 9, 0, 53])
    for source, prefix, answered in (("127.0.0.3", b"", True), ("127.0.0.3", header, False),
                                     ("127.0.0.2", b"", False), ("127.0.0.2", header, True)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((source, 0))
            sock.settimeout(5 if answered else 0.3)
            sock.sendto(prefix + doors.QUERY, ("127.0.0.1", plain))
            try:
                reply = sock.recv(4096)
            except TimeoutError:
                reply = b""
            tally.check((len(reply) > 40) == answered, f"from {source} with {prefix}: {reply}")


def check_door(tally, door, zone, policy):
    folder = peers.fresh(f"proxies/{door}")
    doors.certificate(folder / "certificates")
    (folder / "zones").mkdir()
    (folder / "zones" / "example.test.toml").write_text(policy, encoding="utf-8")
    (folder / "zones" / "example.test.zone").write_text(zone, encoding="utf-8")
    with peers.Kofn(folder, SETTINGS.format(door=door), ["example.test."]) as kofn:
        plain, ports = kofn.address[1], doors.ports(kofn)
        front, listeners = haproxy(folder, plain, ports)
        ways = {"v1": (listeners["v1"], ["+tcp"]), "v2": (listeners["v2"], ["+tcp"]), "tls": (listeners["tls"], ["+tls"]),
                "https": (listeners["https"], ["+https"]), "own tls": (listeners["own tls"], ["+tcp"])}
        with contextlib.ExitStack() as started:
            started.enter_context(running(
                "haproxy", front, folder, lambda: ask(listeners["v2"], "127.0.16.1", "example.test", "SOA", "+tcp")))
            for name, backend in zip(BACKENDS, (plain, ports["tls"], ports["https"]), strict=True):
                balancer, port = dnsdist(folder, name, backend)
                ways |= {f"{name} UDP": (port, []), f"{name} TCP": (port, ["+tcp"])}
                started.enter_context(running(
                    name, balancer, folder, lambda port=port: ask(port, "127.0.16.1", "example.test", "SOA")))
            check_hands(tally, plain, ways)
            check_transfers(tally, ways)
            check_limits(tally, listeners["v2"])
            check_rates(tally, ways["dnsdist UDP"][0])
        check_strangers(tally, plain)


def main():
    tally = Tally()
    for door in ("batch", "portable"):
        check_door(tally, door, ZONE, POLICY)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
