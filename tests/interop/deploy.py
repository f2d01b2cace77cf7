"""docs/deploy.md as a new user would try it: the files of examples/deploy as they stand, with their addresses and port 53, in two
network namespaces that are gone afterwards: kofn in one, Knot as the provider and the backends in the other."""
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import message as m
import peers
from libraries import ip, namespace
from tally import Tally
from transfers_in import serial_of

EXAMPLES = peers.HERE.parent.parent / "examples" / "deploy"
KOFN, PROVIDER = "192.0.2.53", "203.0.113.5"
BACKENDS = ["198.51.100.11", "198.51.100.12", "198.51.100.13"]
APEX = "example.test"
SOON = 30.0   # seconds: a check's interval and fall, a NOTIFY and a transfer, on a machine that does other things
BACKEND = "import socket, sys; s=socket.create_server((sys.argv[1], 443), backlog=99)\nwhile True: s.accept()[0].close()"


class Network:
    """The provider's side: a namespace that a sleeping process keeps, joined to ours by one wire."""

    def __enter__(self):
        ip("link", "set", "lo", "up")
        self.process = subprocess.Popen(["unshare", "--net", "sleep", "1000"])
        self.enter = [peers.program("nsenter"), "-t", str(self.process.pid), "-n"]
        ours = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{self.process.pid}/ns/net") == ours:
            time.sleep(peers.PAUSE)
        ip("link", "add", "here", "type", "veth", "peer", "name", "there", "netns", str(self.process.pid))
        ip("address", "add", f"{KOFN}/32", "dev", "here")
        ip("link", "set", "here", "up")
        for address in (PROVIDER, *BACKENDS):
            self.there("ip", "address", "add", f"{address}/32", "dev", "there")
        self.there("ip", "link", "set", "lo", "up")
        self.there("ip", "link", "set", "there", "up")
        self.there("ip", "route", "add", KOFN, "dev", "there", "src", PROVIDER)
        for address in (PROVIDER, *BACKENDS):
            ip("route", "add", address, "dev", "here", "src", KOFN)
        return self

    def there(self, *command):
        subprocess.run([*self.enter, *command], check=True)

    def backend(self, address):
        """A backend that takes connections by now: the first check must not find it dead."""
        process = subprocess.Popen([*self.enter, sys.executable, "-c", BACKEND, address])
        while True:
            with contextlib.suppress(OSError), socket.create_connection((address, 443), 1):
                return process
            time.sleep(peers.PAUSE)

    def knot(self, folder):
        """The provider, whose file says nothing of where Knot keeps what is its own."""
        own = f'database:\n  storage: "{folder}"\ntemplate:\n  - id: default\n    storage: "{folder}"\n'
        text = (folder / "provider.knot.conf").read_text().replace("server:\n", f'server:\n  rundir: "{folder}"\n', 1)
        (folder / "knot.conf").write_text(text.replace("zone:\n", f"{own}zone:\n", 1) + "log:\n  - target: stderr\n    any: info\n")
        return self.server("knot", [*self.enter, peers.daemon("knotd", folder), "-c", "knot.conf"], folder)

    @staticmethod
    def server(name, argv, folder):
        beside = folder / name
        beside.mkdir(exist_ok=True)
        server = peers.Server.__new__(peers.Server)
        server.name, server.folder, server.log_path = name, beside, beside / "log"
        server.address = (PROVIDER if name == "knot" else KOFN, 53)
        with open(server.log_path, "ab") as log:
            server.process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return server

    def kofn(self, folder):
        return self.server("kofn-served", [peers.kofn_binary(), "serve", "--config", "kofn.toml"], folder)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def soon(condition):
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(peers.PAUSE)
    return False


def ask(server, name):
    labels = [label.encode() for label in name.split(".")]
    reply = server.ask(m.message(0, [m.question(m.labels_wire(labels), m.TYPES["A"])]))
    return m.read(reply) if reply else None


def addresses(server, name):
    reply = ask(server, name)
    records = reply.answer if reply else ()
    return sorted(".".join(map(str, record[4])) for record in records if record[1] == m.TYPES["A"])


def copied(example):
    folder = peers.fresh(f"deploy/{example}")
    shutil.copytree(EXAMPLES / example, folder, dirs_exist_ok=True)
    return folder


def is_without(server, gone):
    """Whether ten hands have members, and none the one that is gone."""
    seen = [addresses(server, "www.example.test") for _ in range(10)]
    return all(hand and gone not in hand for hand in seen)


def hidden_primary(tally, network, backends):
    folder = copied("hidden-primary")
    with network.kofn(folder) as kofn, network.knot(folder) as knot:
        if not tally.check(soon(lambda: addresses(knot, f"www.{APEX}") == BACKENDS), f"hidden primary: the provider has no zone:\n{knot.log}\n{kofn.log}"):
            return
        before = serial_of(knot, APEX)
        backends.pop(BACKENDS[1]).kill()
        tally.check(soon(lambda: addresses(knot, f"www.{APEX}") == [BACKENDS[0], BACKENDS[2]]),
                    f"hidden primary: the provider still has a dead member:\n{knot.log}\n{kofn.log}")
        tally.check(serial_of(knot, APEX) > before, "hidden primary: no new serial")
        told = command(folder, "transfer", "status")
        tally.check(PROVIDER in told, f"hidden primary: the lag is not shown: {told}")
        kofn.stop()
        tally.check(addresses(knot, f"www.{APEX}") == [BACKENDS[0], BACKENDS[2]], "hidden primary: the provider needs kofn to answer")
        backends[BACKENDS[1]] = network.backend(BACKENDS[1])


def nameservers(tally, network):
    """NOTIFY goes to the servers of the NS set that may transfer by address alone; nothing else names the provider here."""
    folder = copied("hidden-primary")
    zone, policy = folder / "zones" / f"{APEX}.zone", folder / "zones" / f"{APEX}.toml"
    zone.write_text(zone.read_text().replace("ns2.provider.test.", "ns9") + f"ns9 A {PROVIDER}\n")
    policy.write_text(f'[transfer]\nto = ["{PROVIDER}"]\n')
    provider = folder / "provider.knot.conf"
    provider.write_text(provider.read_text().replace("    key: provider\n", ""))
    with network.knot(folder) as knot, network.kofn(folder) as kofn:
        for serial in (1, 2):
            zone.write_text(zone.read_text().replace(f"({serial - 1} ", f"({serial} "))
            tally.check(soon(lambda: serial_of(knot, APEX) == serial), f"NS set: it is not told of {serial}:\n{knot.log}\n{kofn.log}")


def overlay(tally, network, backends):
    folder = copied("overlay")
    with network.knot(folder) as knot:
        kofn = network.kofn(folder)
        try:
            if not tally.check(soon(lambda: addresses(kofn, f"www.{APEX}")), f"overlay: no zone from the provider:\n{knot.log}\n{kofn.log}"):
                return
            file = folder / "example.test.zone"
            file.write_text(file.read_text().replace("(1 ", "(2 ") + "new A 198.51.100.77\n")
            knot.process.send_signal(1)
            tally.check(soon(lambda: addresses(kofn, f"new.{APEX}") == ["198.51.100.77"]), f"overlay: an edit at the provider does not arrive:\n{knot.log}\n{kofn.log}")
            backends.pop(BACKENDS[1]).kill()
            tally.check(soon(lambda: is_without(kofn, BACKENDS[1])), f"overlay: a dead member is handed out:\n{kofn.log}")
            tally.check(addresses(knot, f"www.{APEX}") == BACKENDS, "overlay: the provider has every address")
            knot.stop()
            kofn.stop()
            kofn = network.kofn(folder)
            tally.check(soon(lambda: is_without(kofn, BACKENDS[1])), f"overlay: without the provider a restart serves nothing:\n{kofn.log}")
        finally:
            kofn.stop()
    backends[BACKENDS[1]] = network.backend(BACKENDS[1])


def sub_zone(tally, network):
    folder = copied("sub-zone")
    apex = "@ 300 SOA ns1.provider.test. hostmaster 1 3600 600 1209600 30\n@ 300 NS ns1.provider.test.\n"
    lines = (folder / "provider.zone").read_text().replace(f"$ORIGIN {APEX}.\n", f"$ORIGIN {APEX}.\n{apex}")
    (folder / "provider.zone").write_text(lines)
    (folder / "provider.knot.conf").write_text(f"server:\n  listen: {PROVIDER}@53\nzone:\n  - domain: {APEX}\n    file: provider.zone\n")
    with network.kofn(folder) as kofn, network.knot(folder) as knot:
        soon(lambda: ask(knot, f"www.{APEX}") and ask(kofn, f"www.lb.{APEX}"))
        led = ask(knot, f"www.{APEX}")
        glue = [record for record in led.additional if record[4] == bytes(map(int, KOFN.split(".")))]
        alias = [record for record in led.answer if record[1] == m.TYPES["CNAME"]]
        tally.check(alias and glue, f"sub-zone: the provider does not lead to kofn: {led}")
        tally.check(soon(lambda: addresses(kofn, f"www.lb.{APEX}")), f"sub-zone: kofn does not answer what the provider leads to:\n{kofn.log}")


def command(folder, *arguments):
    done = subprocess.run([peers.kofn_binary(), *arguments], cwd=folder, capture_output=True, text=True, timeout=peers.PATIENCE, check=False)
    return done.stdout + done.stderr


def inside():
    tally = Tally()
    with Network() as network:
        backends = {address: network.backend(address) for address in BACKENDS}
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: [process.kill() for process in backends.values()])
            hidden_primary(tally, network, backends)
            nameservers(tally, network)
            overlay(tally, network, backends)
            sub_zone(tally, network)
    return tally.end()


def main():
    made = namespace()
    if made is None:
        print("NOT MEASURED: the examples have addresses of their own; that needs network namespaces, which only root, or users of a "
              "kernel that lets them, may make")
        return Tally().end()
    here = str(pathlib.Path(__file__).resolve().parent)
    code = f"import sys; sys.path.insert(0, {here!r}); import deploy; sys.exit(deploy.inside())"
    return subprocess.run([*made, sys.executable, "-c", code], env=os.environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
