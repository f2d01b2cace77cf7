"""NSD, Knot, BIND and PowerDNS as secondaries of one primary, each on a free loopback port and in a folder of its own.

A zone is (apex, key): the name of the key that its transfers are signed with, or None.
"""
import os
import pathlib
import subprocess

import peers

KEY = "xfr-key"
SECRET = "c2VjcmV0LXNoYXJlZC1ieS1hbGwtc2VydmVycy1oZXJl"
ALGORITHM = "hmac-sha256"
LOOPBACK = peers.LOOPBACK


def nsd(folder, primary, zones):
    port = peers.free_port()
    stanzas = "".join(f"""zone:
  name: "{apex}"
  zonefile: "{apex}.zone"
  request-xfr: {LOOPBACK}@{primary} {key or "NOKEY"}
  allow-notify: {LOOPBACK} {key or "NOKEY"}
  provide-xfr: {LOOPBACK} NOKEY
  max-retry-time: 5
""" for apex, key in zones)
    (folder / "nsd.conf").write_text(f"""server:
  ip-address: {LOOPBACK}@{port}
  server-count: 1
  username: ""
  chroot: ""
  database: ""
  zonesdir: "{folder}"
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  zonelistfile: "{folder}/zone.list"
  xfrdir: "{folder}"
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
  xfrd-reload-timeout: 0
remote-control:
  control-enable: no
key:
  name: "{KEY}"
  algorithm: {ALGORITHM}
  secret: "{SECRET}"
{stanzas}""")
    return peers.Server("nsd", [peers.daemon("nsd", folder), "-d", "-c", "nsd.conf"], port, folder)


def knot(folder, primary, zones):
    port = peers.free_port()
    stanzas = "".join(f"""  - domain: "{apex}"
    master: {"signed" if key else "plain"}
    acl: [{"notify-signed" if key else "notify"}, out]
""" for apex, key in zones)
    (folder / "knot.conf").write_text(f"""server:
  rundir: "{folder}"
  listen: {LOOPBACK}@{port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 2
database:
  storage: "{folder}"
log:
  - target: stderr
    any: info
key:
  - id: {KEY}
    algorithm: {ALGORITHM}
    secret: {SECRET}
remote:
  - id: plain
    address: {LOOPBACK}@{primary}
  - id: signed
    address: {LOOPBACK}@{primary}
    key: {KEY}
acl:
  - id: notify
    address: {LOOPBACK}
    action: notify
  - id: notify-signed
    address: {LOOPBACK}
    key: {KEY}
    action: notify
  - id: out
    address: {LOOPBACK}
    action: transfer
template:
  - id: default
    storage: "{folder}"
    semantic-checks: off
    retry-max-interval: 5
zone:
{stanzas}""")
    return peers.Server("knot", [peers.daemon("knotd", folder), "-c", "knot.conf"], port, folder)


def bind(folder, primary, zones):
    stanzas = "".join(f"""zone "{apex}" {{
  type secondary; file "{apex}.zone";
  primaries {{ {LOOPBACK} port {primary}{f" key {key}" if key else ""}; }};
  allow-notify {{ {f"key {key}" if key else LOOPBACK}; }};
}};
""" for apex, key in zones)
    return named(folder, stanzas)


def bind_by_tls(folder, primary, apex, authority, hostname):
    """BIND as secondary of the TLS port `primary`, whose certificate it verifies."""
    return named(folder, f"""tls primary {{ ca-file "{authority}"; remote-hostname "{hostname}"; }};
zone "{apex}" {{ type secondary; file "{apex}.zone"; primaries {{ {LOOPBACK} port {primary} tls primary; }}; }};
""")


def named(folder, stanzas, options=""):
    """BIND with these zones; `options` are further lines of its options."""
    port = peers.free_port()
    (folder / "named.conf").write_text(f"""key "{KEY}" {{ algorithm {ALGORITHM}; secret "{SECRET}"; }};
options {{
  directory "{folder}";
  listen-on port {port} {{ {LOOPBACK}; }};
  listen-on-v6 {{ none; }};
  pid-file "{folder}/named.pid";
  session-keyfile none;
  recursion no;
  allow-transfer {{ any; }};
  dnssec-validation no;
  empty-zones-enable no;
  notify no;
  max-retry-time 5;
  min-retry-time 1;
  serial-query-rate 1000;
{options}}};
controls {{ }};
{stanzas}""")
    return peers.Server("bind", [peers.daemon("named", folder), "-g", "-n", "1", "-c", "named.conf"], port, folder)


def powerdns(folder, primary, zones):
    port = peers.free_port()
    # One transfer after another: of two that write at once, one finds the database locked, and waits for the refresh time.
    (folder / "pdns.conf").write_text(f"""launch=gsqlite3
gsqlite3-database={folder}/pdns.sqlite
gsqlite3-dnssec=yes
gsqlite3-pragma-synchronous=0
retrieval-threads=1
local-address={LOOPBACK}
local-port={port}
socket-dir={folder}
secondary=yes
allow-notify-from=127.0.0.0/8
allow-axfr-ips=127.0.0.0/8
xfr-cycle-interval=1
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
loglevel=5
""")
    schema = pathlib.Path("/usr/share/doc/pdns-backend-sqlite3/schema.sqlite3.sql").read_text(encoding="utf-8")
    import sqlite3  # only this one needs it
    with sqlite3.connect(folder / "pdns.sqlite") as database:
        database.executescript(schema)
        database.execute("insert into tsigkeys (name, algorithm, secret) values (?, ?, ?)", (KEY, ALGORITHM, SECRET))
        for number, (apex, key) in enumerate(zones, 1):
            database.execute("insert into domains (id, name, master, type) values (?, ?, ?, 'SLAVE')",
                             (number, apex, f"{LOOPBACK}:{primary}"))
            # Without this PowerDNS asks for the whole zone. With it, it gives addresses that came as a difference to those who
            # transfer from it, but not to those who ask: 4.7 marks such records as not authoritative.
            meta = [("IXFR", None if apex.startswith("pool") else "1"), ("PRESIGNED", "1" if apex.startswith("signed") else None), ("AXFR-MASTER-TSIG", key)]
            database.executemany("insert into domainmetadata (domain_id, kind, content) values (?, ?, ?)",
                                 [(number, kind, content) for kind, content in meta if content])
    database.close()
    argv = [peers.program("pdns_server"), f"--config-dir={folder}", "--guardian=no", "--daemon=no", "--disable-syslog"]
    return peers.Server("powerdns", argv, port, folder)


ALL = {"nsd": nsd, "knot": knot, "bind": bind, "powerdns": powerdns}


def start(name, topic, primary, zones):
    """Starts one of ALL as a secondary of the server at port `primary` for `zones`."""
    return ALL[name](peers.fresh(f"{topic}/{name}"), primary, zones)


def dig(port, *arguments):
    """What dig prints of the answer."""
    argv = [peers.program("dig"), f"@{LOOPBACK}", "-p", str(port), "+noall", "+answer", "+tries=1", "+time=20", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=peers.PATIENCE, check=False,
                          env={**os.environ, "HOME": "/nonexistent"}).stdout


def zone(port, apex, *arguments):
    """The records of a zone as a server gives them by AXFR, in any order."""
    lines = dig(port, apex, "AXFR", "+onesoa", *arguments).splitlines()
    return {" ".join(line.lower().split()) for line in lines if line and not line.startswith(";") and "\ttsig\t" not in line.lower()}


def serial(port, apex):
    words = dig(port, apex, "SOA", "+short", "+time=1").split()
    words = words or dig(port, apex, "SOA", "+time=1").split()[4:]
    return int(words[2]) if len(words) > 4 and words[2].isdigit() else None
