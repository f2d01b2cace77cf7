"""NSD, Knot, BIND and PowerDNS as primaries of zones whose files change under them; each tells a secondary by NOTIFY."""
import glob
import os
import shutil
import signal
import subprocess

import peers
from peers import LOOPBACK

KEY, SECRET = "transfer-key", "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ=="


class Primary:
    """A primary of `zones` (apex → text) that tells and serves the secondary at `port`, signed if `key`."""
    has_clock = True   # whether faketime can put its clock wrong

    def __init__(self, topic, zones, port, key):
        self.folder = peers.fresh(f"{topic}/{self.name}")
        self.port, self.key, self.zones = port, key, list(zones)
        self.own_port = peers.free_port()
        for apex, text in zones.items():
            self.write(apex, text)
        self.configure()
        self.server, self.command = None, self.argv()
        self.start()

    @property
    def address(self):
        return (LOOPBACK, self.own_port)

    def file(self, apex):
        return self.folder / f"{apex}.zone"

    def write(self, apex, text):
        """Replaces a zone file, for a server that may be reading it."""
        beside = self.folder / "new"
        beside.write_text(text)
        os.replace(beside, self.file(apex))
        os.utime(self.file(apex))   # BIND does not read a file that was written before it read the one before

    def change(self, apex, text):
        """Serves another state of a zone."""
        self.write(apex, text)
        self.reload(apex)

    def reload(self, _apex):
        os.kill(self.server.process.pid, signal.SIGHUP)

    def start(self, clock=None):
        """`clock` says how far its clock is off, as faketime reads it."""
        # The program faketime would stay between us and the server, and end without it.
        library = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
        lie = [peers.program("env"), f"LD_PRELOAD={library}", f"FAKETIME={clock}", "FAKETIME_DONT_FAKE_MONOTONIC=1"] if clock else []
        self.server = peers.Server(self.name, lie + self.command, self.own_port, self.folder, self.zones)

    def stop(self):
        self.server.stop()


class Nsd(Primary):
    """Keeps the last five differences, and answers IXFR from before them with the whole zone."""
    name, has_ixfr = "nsd", True

    def configure(self):
        key = KEY if self.key else "NOKEY"
        keys = f'key:\n  name: "{KEY}"\n  algorithm: hmac-sha256\n  secret: "{SECRET}"\n'
        stanzas = "".join(f"""zone:
  name: "{apex}"
  zonefile: "{self.file(apex)}"
  notify: {LOOPBACK}@{self.port} {key}
  provide-xfr: {LOOPBACK} {key}
  store-ixfr: yes
  create-ixfr: yes
""" for apex in self.zones)
        (self.folder / "nsd.conf").write_text(f"""server:
  ip-address: {LOOPBACK}@{self.own_port}
  server-count: 1
  username: ""
  chroot: ""
  database: ""
  zonesdir: "{self.folder}"
  pidfile: "{self.folder}/nsd.pid"
  xfrdfile: "{self.folder}/xfrd.state"
  zonelistfile: "{self.folder}/zone.list"
  xfrdir: "{self.folder}"
remote-control:
  control-enable: no
{keys}{stanzas}""")

    def argv(self):
        return [peers.daemon("nsd", self.folder), "-d", "-c", "nsd.conf"]


class Knot(Primary):
    name, has_ixfr = "knot", True

    def configure(self):
        key = f"    key: {KEY}\n" if self.key else ""
        stanzas = "".join(f'  - domain: "{apex}"\n    file: "{self.file(apex)}"\n' for apex in self.zones)
        (self.folder / "knot.conf").write_text(f"""server:
  rundir: "{self.folder}"
  listen: {LOOPBACK}@{self.own_port}
database:
  storage: "{self.folder}"
log:
  - target: stderr
    any: info
key:
  - id: {KEY}
    algorithm: hmac-sha256
    secret: {SECRET}
remote:
  - id: kofn
    address: {LOOPBACK}@{self.port}
{key}acl:
  - id: out
    address: {LOOPBACK}
    action: transfer
{key}template:
  - id: default
    storage: "{self.folder}"
    semantic-checks: off
    zonefile-load: difference
    zonefile-sync: -1
    notify: kofn
    acl: out
zone:
{stanzas}""")

    def argv(self):
        return [peers.daemon("knotd", self.folder), "-c", "knot.conf"]


class Bind(Primary):
    """Its allocator asks for the time before faketime is ready to tell it."""
    name, has_ixfr, has_clock = "bind", True, False

    def doors(self):
        """Lines before and lines of its options, and who may have the zones."""
        return "", f"listen-on port {self.own_port} {{ {LOOPBACK}; }};", f"{{ {f'key {KEY};' if self.key else f'{LOOPBACK};'} }}"

    def configure(self):
        key = f"key {KEY};" if self.key else ""
        before, listen, allow = self.doors()
        stanzas = "".join(f"""zone "{apex}" {{
  type primary; file "{self.file(apex)}"; ixfr-from-differences yes; notify explicit;
  also-notify {{ {LOOPBACK} port {self.port} {key[:-1]}; }}; allow-transfer {allow};
}};
""" for apex in self.zones)
        (self.folder / "named.conf").write_text(f"""key "{KEY}" {{ algorithm hmac-sha256; secret "{SECRET}"; }};
{before}options {{
  directory "{self.folder}";
  {listen}
  listen-on-v6 {{ none; }};
  pid-file "{self.folder}/named.pid";
  session-keyfile none;
  recursion no;
  dnssec-validation no;
  empty-zones-enable no;
  notify-rate 1000;
  notify-delay 0;
  check-integrity no;
  check-names primary ignore;
  check-mx ignore;
  check-mx-cname ignore;
  check-srv-cname ignore;
}};
controls {{ }};
{stanzas}""")

    def argv(self):
        return [peers.daemon("named", self.folder), "-g", "-n", "1", "-c", "named.conf"]


class BindByTls(Bind):
    """Gives its zones by TLS alone, with a certificate for ns.test of the authority in the file `authority`."""
    name = "bind-tls"

    def doors(self):
        before, listen, _ = super().doors()
        self.tls_port, self.authority = peers.free_port(), self.folder / "authority.pem"
        certify(self.folder, "authority")
        certify(self.folder, "ns.test", "authority")
        before += f'tls own {{ cert-file "{self.folder}/ns.test.pem"; key-file "{self.folder}/ns.test.key"; }};\n'
        listen += f"\n  listen-on port {self.tls_port} tls own {{ {LOOPBACK}; }};"
        return before, listen, f"port {self.tls_port} transport tls {{ {LOOPBACK}; }}"


def certify(folder, name, authority=None):
    """NAME.pem and NAME.key in `folder`, of itself or of an authority there."""
    by = ["-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-addext", f"subjectAltName=DNS:{name}",
          "-addext", "basicConstraints=critical,CA:FALSE"] if authority else []
    subprocess.run([peers.program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem", *by],
                   cwd=folder, check=True, capture_output=True, timeout=peers.PATIENCE)


class PowerDns(Primary):
    """Its primary answers IXFR with the whole zone."""
    name, has_ixfr = "pdns", False

    def configure(self):
        zones = "".join(f'zone "{apex}" {{ type native; file "{self.file(apex)}"; }};\n'.replace("native", "master")
                        for apex in self.zones)
        (self.folder / "named.conf").write_text(f'options {{ directory "{self.folder}"; }};\n{zones}')
        (self.folder / "pdns.conf").write_text(f"""launch=bind
bind-config={self.folder}/named.conf
bind-check-interval=1
bind-dnssec-db={self.folder}/keys.db
local-address={LOOPBACK}
local-port={self.own_port}
socket-dir={self.folder}
setuid=
setgid=
guardian=no
daemon=no
primary=yes
xfr-cycle-interval=1
allow-axfr-ips={LOOPBACK}
only-notify=
also-notify={LOOPBACK}:{self.port}
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
webserver=no
""")
        self.tool("create-bind-db", str(self.folder / "keys.db"))
        if self.key:
            self.tool("import-tsig-key", KEY, "hmac-sha256", SECRET)
            for apex in self.zones:
                self.tool("activate-tsig-key", apex, KEY, "primary")

    def tool(self, *arguments):
        subprocess.run([peers.program("pdnsutil"), f"--config-dir={self.folder}", *arguments], check=True,
                       capture_output=True, timeout=peers.PATIENCE)

    def reload(self, apex):
        subprocess.run([peers.program("pdns_control"), f"--socket-dir={self.folder}", "bind-reload-now", apex], check=True,
                       capture_output=True, timeout=peers.PATIENCE)

    def argv(self):
        return [shutil.which("pdns_server", path=os.environ["PATH"] + ":/usr/sbin"), f"--config-dir={self.folder}"]


ALL = [Nsd, Knot, Bind, PowerDns]
