"""Starts kofn and the peers, each with one worker on one core, on free ports of loopback, in a folder of its own.

Rate limits and query logs are off, answers are as small as each server makes them, records rotate where it can.
Nothing of the system's configuration is read or written.
"""
import contextlib
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent.parent / "tests" / "interop"))
from peers import LOOPBACK, NotReady, free_port, program  # noqa: E402

PATIENCE = 300.0  # seconds until a server that does not answer is given up: 100,000 zones take some of them long


def query(name, rtype=1):
    """A query in wire form."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", 4711, 0, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", rtype, 1)


class Server:
    """A running server: `name`, `port`, `loaded` (seconds from its start to the first right answer)."""

    def __init__(self, name, folder, argv, port, cpus):
        self.name, self.folder, self.port, self.loaded = name, folder, port, None
        self.log_path = folder / "log"
        self.began = time.monotonic()
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=lambda: os.sched_setaffinity(0, cpus))

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    def ask(self, wire, timeout=0.05):
        """One exchange by UDP; None when nothing comes."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            sock.connect((LOOPBACK, self.port))
            try:
                sock.send(wire)
                return sock.recv(65535)
            except (TimeoutError, ConnectionRefusedError):
                return None

    def wait_for(self, *names):
        """Waits until there is an address for each of the names."""
        for name in names:
            wire = query(name)
            while True:
                if self.process.poll() is not None:
                    raise NotReady(f"{self.name} ended with {self.process.returncode}:\n{self.log[-2000:]}")
                reply = self.port and self.ask(wire)
                if reply and reply[3] & 15 == 0 and reply[6:8] > b"\0\0":
                    break
                if time.monotonic() - self.began > PATIENCE:
                    raise NotReady(f"{self.name} does not answer {name}:\n{self.log[-2000:]}")
                time.sleep(0.002)
        self.loaded = time.monotonic() - self.began
        return self

    def pids(self):
        """Its processes: what it started is in its session."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError, IndexError):
                    fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                    if int(fields[3]) == self.process.pid:
                        found.append(int(entry.name))
        return found

    def memory(self, key="VmRSS"):
        """MiB of all its processes, VmRSS or VmHWM."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                found = re.search(rf"{key}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
                total += int(found[1]) if found else 0
        return total / 1024

    def stop(self):
        """SIGTERM, then SIGKILL, to its own processes only."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in self.pids():
            with contextlib.suppress(OSError):
                os.kill(pid, 9)


class Kofn(Server):
    """kofn takes a free port itself and tells it in its log."""

    def wait_for(self, *names):
        while not self.port:
            log = re.sub(r"\x1b\[[0-9;]*m", "", self.log)
            listening = re.search(r"listening.*\baddr=127\.0\.0\.1:(\d+)", log)
            if listening:
                self.port = int(listening[1])
            elif self.process.poll() is not None or time.monotonic() - self.began > PATIENCE:
                raise NotReady(f"kofn does not listen:\n{self.log[-2000:]}")
            else:
                time.sleep(0.002)
        return super().wait_for(*names)


def start_kofn(folder, zones, cpus, policies):
    """`zones` maps apex to file, which is linked, for 100,000 copies take long; so it is for all starters."""
    (folder / "zones").mkdir()
    for apex, path in zones.items():
        os.symlink(path, folder / "zones" / f"{apex}.zone")
    for apex, policy in policies.items():
        (folder / "zones" / f"{apex}.toml").write_text(policy)
    (folder / "kofn.toml").write_text("workers = 1\n")
    argv = [os.environ["KOFN"], "serve", "--config", "kofn.toml", "--listen", f"{LOOPBACK}:0", "--zones", "zones",
            "--state", "state", "--admin", "off"]
    return Kofn("kofn", folder, argv, 0, cpus)


def daemon(name, folder):
    """A copy of a daemon: Debian's AppArmor profiles go by path and would bar it from `folder`."""
    copy = folder / f"{name}-daemon"
    shutil.copy2(program(name), copy)
    return str(copy)


def start_nsd(folder, zones, cpus, _policies):
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
  round-robin: yes
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
{stanzas}""")
    return Server("NSD", folder, [daemon("nsd", folder), "-d", "-c", "nsd.conf"], port, cpus)


def start_knot(folder, zones, cpus, _policies):
    port = free_port()
    stanzas = "".join(f'  - domain: "{apex}"\n    file: "{path}"\n' for apex, path in zones.items())
    (folder / "knot.conf").write_text(f"""server:
  rundir: "{folder}"
  listen: {LOOPBACK}@{port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: {len(cpus)}
  tcp-max-clients: 1000
  answer-rotation: on
database:
  storage: "{folder}"
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: "{folder}"
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
zone:
{stanzas}""")
    return Server("Knot", folder, [daemon("knotd", folder), "-c", "knot.conf"], port, cpus)


def start_bind(folder, zones, cpus, _policies):
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
  minimal-responses yes;
  dnssec-validation no;
  empty-zones-enable no;
  querylog no;
  notify no;
}};
controls {{ }};
logging {{ category queries {{ null; }}; category query-errors {{ null; }}; }};
{stanzas}""")
    return Server("BIND", folder, [daemon("named", folder), "-g", "-n", "1", "-c", "named.conf"], port, cpus)


def start_gdnsd(folder, zones, cpus, _policies):
    port = free_port()
    for name in ("run", "state", "zones"):
        (folder / name).mkdir()
    for apex, path in zones.items():
        os.symlink(path, folder / "zones" / apex)
    (folder / "config").write_text(f"""options => {{
  listen => [ {LOOPBACK}:{port} ]
  udp_threads => 1
  tcp_threads => 1
  run_dir => {folder}/run
  state_dir => {folder}/state
}}
""")
    return Server("gdnsd", folder, [program("gdnsd"), "-c", str(folder), "start"], port, cpus)


def start_powerdns(folder, zones, cpus, _policies):
    port = free_port()
    stanzas = "".join(f'zone "{apex}" {{ type master; file "{path}"; }};\n' for apex, path in zones.items())
    (folder / "named.conf").write_text(stanzas)
    (folder / "pdns.conf").write_text(f"""daemon=no
guardian=no
launch=bind
bind-config={folder}/named.conf
bind-dnssec-db={folder}/dnssec.db
local-address={LOOPBACK}
local-port={port}
socket-dir={folder}
receiver-threads=1
distributor-threads=1
loglevel=3
log-dns-queries=no
security-poll-suffix=
""")
    util = [program("pdnsutil"), f"--config-dir={folder}"]
    subprocess.run([*util, "create-bind-db", f"{folder}/dnssec.db"], check=True, capture_output=True)
    if "signed.test" in zones:
        subprocess.run([*util, "set-presigned", "signed.test"], check=True, capture_output=True)
    return Server("PowerDNS", folder, [program("pdns_server"), f"--config-dir={folder}"], port, cpus)


STARTERS = {"kofn": start_kofn, "gdnsd": start_gdnsd, "NSD": start_nsd, "Knot": start_knot, "BIND": start_bind,
            "PowerDNS": start_powerdns}


def start(name, folder, zones, cpus, policies=None):
    """Starts the server `name` with `zones` (apex to file); gdnsd knows no signed zones and gets none."""
    if name == "gdnsd":
        zones = {apex: path for apex, path in zones.items() if apex != "signed.test"}
    folder = pathlib.Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"starting {name}", file=sys.stderr, flush=True)
    return STARTERS[name](folder, zones, cpus, policies or {})
