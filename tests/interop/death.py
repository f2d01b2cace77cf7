"""From the death of a backend to the first answer without it: kofn, gdnsd and PowerDNS `ifportup`, side by side.

Every server watches the same three backends by TCP and answers with all that are well. A backend is killed (SIGKILL) at a
random moment; each server is asked again and again until an answer comes without it.
"""
import contextlib
import os
import pathlib
import random
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

import peers
from tally import Tally

ROUNDS = int(os.environ.get("INTEROP_DEATHS", "12"))
BACKENDS = ["127.0.0.71", "127.0.0.72", "127.0.0.73"]
LIMIT = 20.0
HEAD = "$TTL 60\n@ SOA ns1 hostmaster 1 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\n"
QUERY = struct.pack("!6H", 4711, 0, 1, 0, 0, 0) + b"\3www\5death\4test\0" + struct.pack("!2H", 1, 1)
LISTEN = ("import socket,sys,threading\ns=socket.create_server((sys.argv[1],int(sys.argv[2])),backlog=64)\nopen=[]\n"
          "while True: open.append(s.accept()[0]); open[:-50]=[]")


class Backends:
    def __init__(self, port):
        self.port, self.processes = port, {}
        for address in BACKENDS:
            self.start(address)

    def start(self, address):
        self.processes[address] = subprocess.Popen([sys.executable, "-c", LISTEN, address, str(self.port)])
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection((address, self.port), 1):
                return
            time.sleep(0.02)
        raise peers.NotReady(f"backend {address}")

    def kill(self, address):
        """The moment of the signal."""
        at = time.monotonic()
        self.processes[address].send_signal(signal.SIGKILL)
        self.processes[address].wait()
        return at

    def stop(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


def kofn(folder, port, backend_port, keys):
    (folder / "zones").mkdir(parents=True)
    members = "".join(f"www A {address}\n" for address in BACKENDS)
    (folder / "zones/death.test.zone").write_text(HEAD + members)
    (folder / "zones/death.test.toml").write_text(
        f'[check.port]\ntype = "tcp"\nport = {backend_port}\nrise = 1\njitter = 0\n{keys}\n'
        '[pool.www]\nspread = "all"\ncheck = "port"\npanic = 0\nslow_start = 0\n')
    return [os.environ["KOFN"], "serve", "--listen", f"127.0.0.1:{port}", "--admin", "off"]


def gdnsd(folder, port, backend_port):
    (folder / "zones").mkdir(parents=True)
    addresses = ", ".join(f"m{number} = {address}" for number, address in enumerate(BACKENDS))
    (folder / "config").write_text(
        f'options => {{ listen => "127.0.0.1:{port}", run_dir => "{folder}/run", state_dir => "{folder}/state" }}\n'
        f'service_types => {{ port => {{ plugin => tcp_connect, port => {backend_port}, interval => 2, timeout => 1, '
        'up_thresh => 1, ok_thresh => 1, down_thresh => 1 } }\n'
        f'plugins => {{ multifo => {{ www => {{ service_types => port, up_thresh => 0.01, {addresses.replace("=", "=>")} }} }} }}\n')
    (folder / "zones/death.test").write_text(HEAD + "www 5 DYNA multifo!www\n")
    return [peers.daemon("gdnsd", folder), "-c", str(folder), "start"]


def powerdns(folder, port, backend_port):
    folder.mkdir(parents=True)
    addresses = ", ".join(f"'{address}'" for address in BACKENDS)
    lua = f"ifportup({backend_port}, {{{addresses}}}, {{selector='all', backupSelector='all', timeout=1}})"
    (folder / "zone").write_text(HEAD + f'www 5 LUA A "{lua}"\n')
    (folder / "named.conf").write_text(f'zone "death.test" {{ type master; file "{folder}/zone"; }};\n')
    (folder / "pdns.conf").write_text(
        f"launch=bind\nbind-config={folder}/named.conf\nlocal-address=127.0.0.1\nlocal-port={port}\nsocket-dir={folder}\n"
        "enable-lua-records=yes\nlua-health-checks-interval=1\nlua-health-checks-expire-delay=3600\ncache-ttl=0\n"
        "query-cache-ttl=0\nnegquery-cache-ttl=0\nguardian=no\ndaemon=no\ndisable-syslog=yes\n")
    return [peers.daemon("pdns_server", folder), f"--config-dir={folder}"]


class Watched:
    """A server that runs, and how long it took."""

    def __init__(self, name, argv, folder, port):
        self.name, self.address, self.took = name, ("127.0.0.1", port), []
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def stop(self):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.wait()
        self.log.close()

    def until(self, wanted):
        """When the first answer came that `wanted` takes; None when none did."""
        end = time.monotonic() + LIMIT
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.2)
            sock.connect(self.address)
            while time.monotonic() < end:
                with contextlib.suppress(OSError):
                    sock.send(QUERY)
                    if wanted(sock.recv(4096)):
                        return time.monotonic()
                time.sleep(0.002)
        return None

    def all_there(self):
        return self.until(lambda reply: all(socket.inet_aton(address) in reply for address in BACKENDS))

    def without(self, address, killed, results):
        gone = socket.inet_aton(address)
        at = self.until(lambda reply: gone not in reply and any(socket.inet_aton(other) in reply for other in BACKENDS))
        results[self.name] = at and at - killed


def rounds(tally, servers, backends, rng):
    for number in range(ROUNDS):
        for server in servers:
            tally.check(server.all_there(), f"{server.name} does not answer with all backends in round {number}")
        time.sleep(3 + 2 * rng.random())   # any moment of any server's interval, with failures forgotten
        victim = rng.choice(BACKENDS)
        killed, results = backends.kill(victim), {}
        threads = [threading.Thread(target=server.without, args=(victim, killed, results)) for server in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for server in servers:
            tally.check(results[server.name] is not None, f"{server.name} still hands out {victim}")
            server.took.append(results[server.name] or LIMIT)
        backends.start(victim)


def main():
    tally, rng = Tally(), random.Random(5)
    work = pathlib.Path(peers.WORK) / "death"
    subprocess.run(["rm", "-rf", str(work)], check=True)
    backends = Backends(peers.free_port())
    plans = {
        "gdnsd, interval 2": lambda *where: gdnsd(*where),
        "kofn, interval 2, fall 1": lambda *where: kofn(*where, 'interval = "2s"\nfall = 1'),
        "PowerDNS ifportup, interval 1": lambda *where: powerdns(*where),
        "kofn, interval 1, fall 1": lambda *where: kofn(*where, 'interval = "1s"\nfall = 1'),
        "kofn, interval 2, fall 2, hold": lambda *where: kofn(*where, 'interval = "2s"\nfall = 2\nhold = true'),
    }
    with contextlib.ExitStack() as stack:
        stack.callback(backends.stop)
        servers = []
        for number, (name, plan) in enumerate(plans.items()):
            folder, port = work / str(number), peers.free_port()
            server = Watched(name, plan(folder, port, backends.port), folder, port)
            stack.callback(server.stop)
            servers.append(server)
        rounds(tally, servers, backends, rng)
    for server in servers:
        took = [round(1000 * seconds) for seconds in server.took]
        print(f"{server.name:32} median {statistics.median(took):6.0f} ms, {min(took)} to {max(took)} ms")
    held = servers[-1].took
    tally.check(statistics.median(held) < 0.05, f"a crashed backend is held for {statistics.median(held):.3f} s")
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
