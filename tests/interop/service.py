"""What systemd has to do with kofn: the unit's hardening as `systemd-analyze` scores it, and a watchdog that is fed only while
the workers work, and sockets that are open before kofn runs."""
import ctypes
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import message
import peers
from tally import Tally

UNIT = peers.HERE.parent.parent / "packaging" / "systemd" / "kofn.service"
MOST = 2.0            # of 10; systemd calls OK what is below 4.5
PULSE = 0.4           # seconds that the watchdog grants
ZONE = "$TTL 60\n@ SOA ns1 hostmaster 1 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\n"


def check_unit(tally):
    scored = subprocess.run([peers.program("systemd-analyze"), "security", "--offline=true", str(UNIT)], capture_output=True, text=True,
                            check=False, env={**os.environ, "SYSTEMD_COLORS": "0"})
    level = re.search(r"Overall exposure level for kofn.service: ([\d.]+) (\w+)", scored.stdout)
    tally.check(level and float(level[1]) <= MOST and level[2] == "OK", f"systemd-analyze says {scored.stdout[-200:]} {scored.stderr}")
    verified = subprocess.run([peers.program("systemd-analyze"), "verify", str(UNIT)], capture_output=True, text=True, check=False)
    # The program and its manual are not installed here.
    faults = [line for line in verified.stderr.splitlines() if str(UNIT.name) in line and "is not executable" not in line
              and "Command 'man" not in line]
    tally.check(not faults, f"systemd-analyze verify: {faults}")


class Manager:
    """The service manager's end of sd_notify(3)."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(path))

    def hear(self, within):
        self.sock.settimeout(within)
        try:
            return self.sock.recv(4096).decode()
        except TimeoutError:
            return None

    def drain(self):
        while self.hear(0.01):
            pass


def tasks(pid):
    return {(task / "comm").read_text().strip(): int(task.name) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()}


def check_watchdog(tally):
    """One worker is held by ptrace, as a fault that never ends would, while the others go on."""
    folder = peers.fresh("service")
    (folder / "zones").mkdir()
    (folder / "zones" / "a.test.zone").write_text(ZONE)
    manager = Manager(folder / "notify")
    os.environ.update(NOTIFY_SOCKET=str(folder / "notify"), WATCHDOG_USEC=str(int(PULSE * 1e6)))
    try:
        server = peers.Kofn(folder, "workers = 1\n", ["a.test"])
    finally:
        del os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"]
    with server:
        tally.check(all(manager.hear(PULSE * 5) for _ in range(4)), "no pulse while all is well")
        libc, worker = ctypes.CDLL(None, use_errno=True), tasks(server.process.pid)["udp-0"]
        attach, interrupt, detach = 0x4206, 0x4207, 17
        if libc.ptrace(attach, worker, 0, 0) < 0 or libc.ptrace(interrupt, worker, 0, 0) < 0:
            tally.check(False, f"ptrace: {os.strerror(ctypes.get_errno())}")
            return
        os.waitpid(worker, 0x40000000)
        server.ask(soa(), 0.1)
        time.sleep(PULSE)
        manager.drain()
        heard = manager.hear(PULSE * 4)
        tally.check(heard is None, f"a worker hangs, and the manager hears {heard!r}")
        tally.check("the thread udp-0 takes no queries" in server.log, f"the log does not say who hangs: {server.log[-500:]}")
        libc.ptrace(detach, worker, 0, 0)
        tally.check(manager.hear(PULSE * 10) == "WATCHDOG=1\n", "no pulse when it works again")
        told = server.command("health", "--json")
        tally.check(told.returncode == 0 and json.loads(told.stdout)["healthy"], f"kofn health: {told}")
        os.kill(server.process.pid, signal.SIGSTOP)
        told = server.command("health", "--at", f"127.0.0.1:{server.address[1]}", "--timeout", "300ms")
        os.kill(server.process.pid, signal.SIGCONT)
        tally.check(told.returncode == 1, f"kofn health of one that is stopped: {told}")


def soa():
    return message.message(0, questions=[message.question(message.labels_wire([b"a", b"test"]), 6)])


def activated(folder, port, *options):
    """kofn as a service manager starts it: at the first packet to an address that is open already."""
    (folder / "zones").mkdir(exist_ok=True)
    (folder / "zones" / "a.test.zone").write_text(ZONE)
    (folder / "kofn.toml").write_text(f'listen = ["127.0.0.1:{port}"]\nworkers = 3\n[admin]\nlisten = "off"\n')
    log = open(folder / "log", "wb")
    return subprocess.Popen([peers.program("systemd-socket-activate"), *options, "-l", f"127.0.0.1:{port}", peers.kofn_binary(), "serve"],
                            cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def check_activation(tally):
    """The first query, sent before kofn runs, is answered by it: from the socket that it was given."""
    for options in (["--datagram"], ["--datagram", "--fdname=udp"], []):
        folder, port = peers.fresh("service-activated"), peers.free_port()
        process = activated(folder, port, *options)
        try:
            listening = peers.until(lambda: f"Listening on 127.0.0.1:{port}" in (folder / "log").read_text())
            tally.check(listening, f"{options}: {(folder / 'log').read_text()}")
            if options:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.settimeout(peers.PATIENCE)
                    sock.sendto(soa(), ("127.0.0.1", port))
                    reply = sock.recv(512)
            else:
                with socket.create_connection(("127.0.0.1", port), peers.PATIENCE) as sock, sock.makefile("rb") as stream:
                    sock.sendall(len(soa()).to_bytes(2, "big") + soa())
                    reply = stream.read(int.from_bytes(stream.read(2), "big"))
            tally.check(len(reply) > 40 and reply[3] & 15 == 0 and reply[2] & 4, f"{options}: the first query got {reply!r}")
            health = subprocess.run([peers.kofn_binary(), "health"], cwd=folder, capture_output=True, text=True, check=False)
            tally.check(health.returncode == 0, f"{options}: {health} {(folder / 'log').read_text()}")
        finally:
            process.terminate()
            tally.check(process.wait(10) == 0, f"{options}: it ended with {process.returncode}")


def main():
    tally = Tally()
    check_unit(tally)
    check_activation(tally)
    check_watchdog(tally)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
