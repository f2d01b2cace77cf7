"""Starts nsd, knotd, named, unbound and kofn on free loopback ports, each in a folder of its own, and ends them by pid.

Nothing of the system's configuration is read or written, and no server changes its user or root. Readiness is asked for.
"""
import contextlib
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import time

import message

HERE = pathlib.Path(__file__).resolve().parent
WORK = pathlib.Path(os.environ.get("INTEROP_WORK", HERE.parent.parent / "target" / "interop"))
LOOPBACK = "127.0.0.1"
PATIENCE = 60.0  # seconds until a server that does not answer is given up; generous, CI machines stall

SERVER_PORTS = range(10_000, 32_768)   # below those that Linux gives to clients
CHANCE = random.SystemRandom()         # topics run side by side
PAUSE = 0.05     # seconds between two looks at what cannot be waited for


class NotReady(Exception):
    """A server that did not come to answer."""


def program(name):
    """The path of a program, which must exist: a missing peer fails the run."""
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not found:
        raise NotReady(f"{name} is not installed")
    return found


def daemon(name, folder):
    """A copy of a daemon: Debian's AppArmor profiles go by path and would bar it from `folder`."""
    copy = pathlib.Path(folder) / f"{name}-daemon"
    shutil.copy2(program(name), copy)
    return str(copy)


def free_port():
    """A port that is free for UDP and TCP on loopback, and that the system gives to no client until a server takes it."""
    while True:
        port = CHANCE.choice(SERVER_PORTS)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp, contextlib.suppress(OSError):
            udp.bind((LOOPBACK, port))
            tcp.bind((LOOPBACK, port))
            return port


def until(holds):
    """Whether `holds()` came to hold in time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(PAUSE)
    return False


class Server:
    """A running server: `address`, its `folder`, its `log`."""

    def __init__(self, name, argv, port, folder, apexes=()):
        self.name, self.folder = name, pathlib.Path(folder)
        self.address = (LOOPBACK, port)
        self.log_path = self.folder / "log"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            for apex in apexes:
                self.wait_for(apex)
        except NotReady:
            self.stop()
            raise

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def ask(self, wire, timeout=1.0):
        """One exchange by UDP; None when nothing comes."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            sock.connect(self.address)
            try:
                sock.send(wire)
                return sock.recv(65535)
            except (TimeoutError, ConnectionRefusedError):
                return None

    def wait_for(self, apex, mask=message.AA):
        """Asks for the SOA of `apex` (presentation form) until it is answered with one of the flags `mask`."""
        labels = [label.encode() for label in apex.rstrip(".").split(".")]
        wire = message.message(message.RD, questions=[message.question(message.labels_wire(labels), 6)])
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise NotReady(f"{self.name} ended with {self.process.returncode}:\n{self.log}")
            reply = self.ask(wire, 0.1)
            if reply and len(reply) > 12 and int.from_bytes(reply[2:4], "big") & mask and not reply[3] & 15:
                return
            time.sleep(PAUSE)
        raise NotReady(f"{self.name} does not serve {apex}:\n{self.log[-4000:]}")

    def stop(self):
        """Ends it: SIGTERM, then SIGKILL. Returns the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def fresh(folder):
    """An empty folder below WORK."""
    path = WORK / folder
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def nsd(folder, zones, options="", limits="  rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: 0\n"):
    """NSD with small answers, so that its reply sizes are the mark for ours. `zones` maps apex to file; `options` are
    further lines of its server section."""
    port = free_port()
    stanzas = "".join(f'zone:\n  name: "{apex}"\n  zonefile: "{path}"\n' for apex, path in zones.items())
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
  minimal-responses: yes
  hide-version: yes
  hide-identity: yes
{options}{limits}remote-control:
  control-enable: no
{stanzas}""")
    return Server("nsd", [daemon("nsd", folder), "-d", "-c", "nsd.conf"], port, folder, zones)


def knot(folder, zones, options="", modules=""):
    """Knot, whose semantic checks stay at the least that it allows. `options` belong to every zone."""
    port = free_port()
    stanzas = "".join(f'  - domain: "{apex}"\n    file: "{path}"\n' for apex, path in zones.items())
    (folder / "knot.conf").write_text(f"""server:
  rundir: "{folder}"
  listen: {LOOPBACK}@{port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: "{folder}"
log:
  - target: stderr
    any: warning
{modules}template:
  - id: default
    storage: "{folder}"
    semantic-checks: off
{options}    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
{stanzas}""")
    return Server("knot", [daemon("knotd", folder), "-c", "knot.conf"], port, folder, zones)


def bind(folder, zones, options=""):
    """BIND with full answers and no opinion about what host names look like; `options` are further lines of its options."""
    port = free_port()
    stanzas = "".join(f'zone "{apex}" {{ type primary; file "{path}"; }};\n' for apex, path in zones.items())
    (folder / "named.conf").write_text(f"""options {{
  directory "{folder}";
  listen-on port {port} {{ {LOOPBACK}; }};
  listen-on-v6 {{ none; }};
  pid-file "{folder}/named.pid";
  session-keyfile none;
  recursion no;
  allow-query {{ any; }};
  minimal-responses no;
  allow-transfer {{ none; }};
  version none;
  hostname none;
  server-id none;
  check-names primary ignore;
  check-integrity no;
  check-mx ignore;
  check-mx-cname ignore;
  check-srv-cname ignore;
  check-spf ignore;
  zero-no-soa-ttl no;
  max-records-per-type 0;
  max-types-per-name 0;
  dnssec-validation no;
  empty-zones-enable no;
  querylog no;
  notify no;
  rate-limit {{ responses-per-second 0; }};
{options}}};
controls {{ }};
{stanzas}""")
    return Server("bind", [daemon("named", folder), "-g", "-n", "1", "-c", "named.conf"], port, folder, zones)


class Kofn(Server):
    """kofn on a port of its own choosing, unless one is given, which it tells in its log; its zones lie in `folder`/zones."""

    def __init__(self, folder, settings="", apexes=(), port=0, admin="off"):
        self.zones = folder / "zones"
        self.zones.mkdir(exist_ok=True)
        (folder / "kofn.toml").write_text(settings)
        argv = [kofn_binary(), "serve", "--config", "kofn.toml", "--listen", f"{LOOPBACK}:{port}",
                "--zones", "zones", "--state", "state", "--admin", admin]
        super().__init__("kofn", argv, 0, folder)
        try:
            self._await_ready()
            for apex in apexes:
                self.wait_for(apex)
        except NotReady:
            self.stop()
            raise

    def _await_ready(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            log = re.sub(r"\x1b\[[0-9;]*m", "", self.log)
            listening = re.search(r"listening.*\baddr=127\.0\.0\.1:(\d+)", log)
            if listening and re.search(r"\bready\b", log):
                self.address = (LOOPBACK, int(listening[1]))
                admin = re.search(r"status by HTTP.*\baddress=(\S+)", log)
                self.admin = f"http://{admin[1]}" if admin else None
                return
            if self.process.poll() is not None:
                raise NotReady(f"kofn ended with {self.process.returncode}:\n{log}")
            time.sleep(PAUSE)
        raise NotReady(f"kofn is not ready:\n{self.log[-4000:]}")

    def command(self, *arguments):
        """Runs a command of kofn in this server's folder."""
        return subprocess.run([kofn_binary(), *arguments], cwd=self.folder, capture_output=True, text=True,
                              timeout=PATIENCE, check=False)


def kofn_binary():
    """The kofn under test, which `run` has built or the caller named."""
    path = os.environ.get("KOFN")
    if not path or not os.access(path, os.X_OK):
        raise NotReady("KOFN names no program; tests/interop/run builds it")
    return str(pathlib.Path(path).resolve())


def kofn(folder, zones, settings=""):
    """kofn with these zone files, each under the name that says its apex, and `settings` as its kofn.toml."""
    (folder / "zones").mkdir()
    for apex, path in zones.items():
        shutil.copy(path, folder / "zones" / f"{apex.rstrip('.')}.zone")
    return Kofn(folder, settings, zones)


STARTERS = {"nsd": nsd, "knot": knot, "bind": bind, "kofn": kofn}


def start(name, topic, zones, **extra):
    """Starts one of STARTERS with `zones` (apex → file); a second try on a new port when the first was taken."""
    for attempt in (1, 2):
        try:
            return STARTERS[name](fresh(f"{topic}/{name}"), zones, **extra)
        except NotReady as error:
            if attempt == 2 or "in use" not in str(error):
                raise
    raise AssertionError("two tries end above")
