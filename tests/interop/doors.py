"""The encrypted doors asked by kdig, dig, curl, aioquic and unbound; thousands that come in and say nothing; half handshakes."""
import asyncio
import base64
import pathlib
import re
import resource
import socket
import subprocess
import sys
import time

import doq
import peers
from tally import Tally

ZONE = "$TTL 300\n@ SOA ns1 hostmaster 7 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\nwww A 192.0.2.1\nwww A 192.0.2.2\n"
# Every door, and limits that are in nobody's way; more of [tls] may follow.
OPEN = """listen_tls = ["127.0.0.1:0"]
listen_https = ["127.0.0.1:0"]
listen_quic = ["127.0.0.1:0"]
[tls]
certificates = ["certificates"]
connections = 20000
per_prefix = 20000
"""
SETTINGS = OPEN + 'handshakes = 6000\nidle = "60s"\n'
IDLE = 5000
QUERY = b"\0\0\1\0\0\1\0\0\0\0\0\0\x03www\x07example\x04test\0\0\1\0\1"


def run(*command, data=None):
    return subprocess.run(command, input=data, capture_output=True, timeout=20, check=False)


def certificate(folder):
    folder.mkdir()
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(folder / "own.key"),
        "-out", str(folder / "own.pem"))


def ports(kofn):
    log = re.sub(r"\x1b\[[0-9;]*m", "", kofn.log)
    return {door: re.search(rf"by {door} addr=127\.0\.0\.1:(\d+)", log)[1] for door in ("tls", "https", "quic")}


def check_clients(tally, doors, authority):
    for program, door in (("kdig", "tls"), ("kdig", "https"), ("kdig", "quic"), ("dig", "tls"), ("dig", "https")):
        asked = run(program, "@127.0.0.1", "-p", doors[door], f"+{door}", "+short", "www.example.test", "A")
        found = sorted(asked.stdout.decode().split())
        tally.check(found == ["192.0.2.1", "192.0.2.2"], f"{program} +{door}: {asked.stdout} {asked.stderr}")
    asked = run("kdig", "@127.0.0.1", "-p", doors["tls"], f"+tls-ca={authority}", "+tls-hostname=localhost", "+padding",
                "www.example.test", "A").stdout.decode()
    tally.check("Received 468 B" in asked, f"a verified and padded reply: {asked}")
    url = f"https://127.0.0.1:{doors['https']}/dns-query"
    text = base64.urlsafe_b64encode(QUERY).rstrip(b"=").decode()
    for what in (["--data-binary", "@-", "-H", "content-type: application/dns-message", url], [f"{url}?dns={text}"]):
        reply = run("curl", "-sk", "--http2", "-D", "/dev/stderr", *what, data=QUERY)
        tally.check(reply.stdout[7] == 2 and b"max-age=300" in reply.stderr, f"curl: {reply}")


def check_quic(tally, doors):
    """aioquic: many queries on one connection, a resumed session, and what RFC 9250 forbids."""
    tickets = []

    async def talk():
        async with doq.connected(doors["quic"]) as client:
            replies = await asyncio.gather(*(client.ask(QUERY) for _ in range(300)))
            tally.check(all(reply and reply[7] == 2 for reply in replies), "300 queries on one connection")
            # Section 4.2.1: an ID that is not 0 is a protocol error.
            await client.ask(b"\0\1" + QUERY[2:])
            await asyncio.wait_for(client.ended.wait(), 20)
            tally.check(client.error == 2, f"an ID by QUIC ends the connection with {client.error}")
        for _ in range(2):
            ticket = tickets[-1] if tickets else None
            async with doq.connected(doors["quic"], tickets, session_ticket=ticket) as client:
                reply = await client.ask(QUERY)
                tally.check(reply is not None, "a query before and after a session is resumed")
                resumed = client._quic.tls.session_resumed
        tally.check(resumed, "aioquic's session is resumed")
    asyncio.run(talk())


def check_unbound(tally, doors, folder):
    port = peers.free_port()
    folder.mkdir()
    (folder / "unbound.conf").write_text(
        f'server:\n  interface: 127.0.0.1@{port}\n  username: ""\n  chroot: ""\n  directory: "{folder}"\n  pidfile: ""\n'
        f'  do-daemonize: no\n  use-syslog: no\n  do-not-query-localhost: no\n  module-config: "iterator"\n'
        f'  local-zone: "test." nodefault\n  tls-cert-bundle: "{folder.parent}/certificates/own.pem"\n'
        f'stub-zone:\n  name: "example.test"\n  stub-addr: 127.0.0.1@{doors["tls"]}#localhost\n  stub-tls-upstream: yes\n',
        encoding="utf-8")
    unbound = subprocess.Popen(["unbound", "-d", "-c", str(folder / "unbound.conf")], stderr=subprocess.DEVNULL)
    try:
        found = b""
        for _ in range(20):
            found = run("dig", "@127.0.0.1", "-p", str(port), "+short", "+tries=1", "+time=1", "www.example.test").stdout
            if b"192.0.2.1" in found:
                break
            time.sleep(0.2)
        tally.check(b"192.0.2.1" in found, f"unbound by TLS: {found}")
    finally:
        unbound.terminate()
        unbound.wait()


def raise_limit():
    """As many open files as the system lets us have."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def memory(kofn):
    status = pathlib.Path(f"/proc/{kofn.process.pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])


def check_crowd(tally, kofn, doors):
    """Connections that begin a handshake and never end it, on both doors; meanwhile everyone else is answered."""
    raise_limit()
    before, crowd = memory(kofn), []
    for number in range(IDLE):
        crowd.append(socket.create_connection(("127.0.0.1", int(doors["tls" if number % 2 else "https"]))))
        crowd[-1].send(b"\x16\x03\x01\x02\x00\x01")
    tally.check(kofn.ask(QUERY) is not None, "UDP beside the crowd")
    for door in ("tls", "https", "quic"):
        asked = run("kdig", "@127.0.0.1", "-p", doors[door], f"+{door}", "+short", "www.example.test", "A")
        tally.check(b"192.0.2.1" in asked.stdout, f"+{door} beside the crowd: {asked}")
    print(f"{IDLE} half handshakes: {memory(kofn) - before} KiB, each {(memory(kofn) - before) / IDLE:.1f} KiB")
    tally.check(memory(kofn) - before < 40 * IDLE, "memory of half handshakes")
    for stream in crowd:
        stream.close()


def main():
    tally = Tally()
    zone = peers.fresh("doors/zone") / "example.test.zone"
    zone.write_text(ZONE, encoding="utf-8")
    folder = peers.fresh("doors/kofn")
    certificate(folder / "certificates")
    with peers.kofn(folder, {"example.test.": zone}, SETTINGS) as kofn:
        doors = ports(kofn)
        check_clients(tally, doors, folder / "certificates" / "own.pem")
        check_quic(tally, doors)
        check_unbound(tally, doors, folder / "unbound")
        check_crowd(tally, kofn, doors)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
