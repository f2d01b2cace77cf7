"""The manual's ten minutes on a booted Debian: systemd is process 1, kofn comes from its package, Knot stands for the provider.

Two kofns as hidden primaries, four web servers as a pool: installed, a death, a drain, an upgrade under queries, a crash, a hang,
sockets of systemd, a purge. The tree is booted by systemd-nspawn, which takes root and control groups: not every machine has them
to give, so this topic runs when it is named."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import package
import peers
from tally import Tally

ROOT = peers.WORK / "systemd-root"
PACKAGES = "systemd,systemd-sysv,dbus,iproute2,bind9-dnsutils,jq,curl,nginx-light,knot"
# systemd-nspawn forbids what is newer than itself.
CALLS = "landlock_create_ruleset landlock_add_rule landlock_restrict_self"
KEY = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IQ=="
ADDRESSES = ["192.0.2.53", "192.0.2.54", "203.0.113.5", *(f"198.51.100.{number}" for number in range(11, 15))]
KNOT = f"""server:
    listen: 203.0.113.5@53
    rundir: /run/knot
    user: knot:knot
key:
  - id: provider
    algorithm: hmac-sha256
    secret: {KEY}
remote:
  - id: a
    address: 192.0.2.53
    key: provider
    via: 203.0.113.5
  - id: b
    address: 192.0.2.54
    key: provider
    via: 203.0.113.5
acl:
  - id: notify
    key: provider
    action: notify
zone:
  - domain: example.test
    master: [a, b]
    acl: notify
    storage: /var/lib/knot
"""


class Machine:
    """A booted tree with a loopback of its own."""

    def __init__(self, tally):
        self.tally = tally
        argv = [peers.program("systemd-nspawn"), "-D", ROOT, "--boot", "--register=no", "--keep-unit", "--private-network",
                "--link-journal=no", f"--system-call-filter={CALLS}"]
        with open(peers.WORK / "systemd-boot.log", "wb") as log:
            self.process = subprocess.Popen(list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.leader = None

    def wait_until_up(self):
        for _ in range(600):
            children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            found = children.read_text().split() if children.exists() else []
            if self.process.poll() is not None:
                return False
            if found:
                self.leader = found[0]
                if self.run("systemctl is-system-running | grep -E 'running|degraded'").returncode == 0:
                    return True
            time.sleep(0.2)
        return False

    def run(self, script):
        """A script of bash, as root in it."""
        argv = ["nsenter", "-t", self.leader, "-m", "-u", "-i", "-n", "-p", "-r", "-w", "env", "-i", "HOME=/root", "TERM=dumb",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "bash", "-c", PRELUDE + script]
        return package.run(*argv, timeout=150)

    def expect(self, what, script, wanted):
        """That the script ends well and says what is wanted (a pattern)."""
        done = self.run(script)
        said = done.stdout + done.stderr
        return self.tally.check(done.returncode == 0 and re.search(wanted, said, re.M), f"{what}: {done.returncode}: {said[-1500:]}")

    def end(self):
        if self.leader and self.process.poll() is None:
            os.kill(int(self.leader), signal.SIGRTMIN + 4)   # systemd's word for power off
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()


PRELUDE = r"""
conf="--config /etc/kofn/kofn.toml"
hand() { dig +short +tries=1 +time=2 "$@" @"${server:-192.0.2.53}" www.example.test | grep ^198 | sort; }
awaited() { for i in $(seq 200); do if "$@" >/dev/null 2>&1; then return; fi; sleep 0.2; done; echo "never: $*"; return 1; }
pid() { systemctl show kofn -p MainPID --value; }
restarts() { systemctl show kofn -p NRestarts --value; }
"""


def tree(tally):
    """Debian with systemd and the peers, made once and copied for each run."""
    base = peers.WORK / f"debootstrap-systemd-{package.codename()}"
    if not (base / "done").exists():
        shutil.rmtree(base, ignore_errors=True)
        site, proxy = package.mirror()
        made = package.run(peers.program("debootstrap"), "--variant=minbase", f"--include={PACKAGES}", package.codename(), base, site,
                           env={**os.environ, **proxy})
        if not tally.check(made.returncode == 0, f"debootstrap: {made.stdout[-500:]} {made.stderr[-500:]}"):
            return False
        (base / "done").touch()
    shutil.rmtree(ROOT, ignore_errors=True)
    return tally.check(package.run("cp", "-a", base, ROOT).returncode == 0, "the tree cannot be copied")


def manual_files():
    """The three files of the ten minutes, as the manual has them."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", (package.TOP / "docs/start.md").read_text(), re.M | re.S)
    settings = next(block for block in blocks if block.startswith("# kofn.toml"))
    zone = next(block for block in blocks if block.startswith("; zones/example.test.zone"))
    policy = next(block for block in blocks if block.startswith("# zones/example.test.toml"))
    return settings, zone, policy


def lay_out(folder, settings):
    """The files of one kofn; the provider of this machine is on the same loopback."""
    place = ROOT / folder
    (place / "zones").mkdir(parents=True, exist_ok=True)
    for old in (place / "zones").iterdir():
        old.unlink()
    own, zone, policy = manual_files()
    (place / "kofn.toml").write_text(settings(own))
    (place / "zones/example.test.zone").write_text(zone)
    (place / "zones/example.test.toml").write_text(policy)


def check_ten_minutes(machine):
    machine.run("ip link set lo up; " + "; ".join(f"ip addr add {address}/32 dev lo" for address in ADDRESSES))
    for address in ADDRESSES[3:]:
        (ROOT / "srv" / address).mkdir(parents=True)
        (ROOT / "srv" / address / "healthz").write_text("ok\n")
        with open(ROOT / "etc/nginx/conf.d/web.conf", "a") as conf:
            conf.write(f"server {{ listen {address}:80; root /srv/{address}; }}\n")
    (ROOT / "etc/knot/knot.conf").write_text(KNOT)
    machine.run("rm -f /etc/nginx/sites-enabled/default; systemctl restart nginx")
    machine.expect("installed", "dpkg -i /root/kofn.deb && systemctl is-active kofn && dig +short @127.0.0.1 -p 5300 www.example.test",
                   r"^active\n127\.")
    machine.expect("what it may", "grep -h ^Cap /proc/$(pid)/status | sort -u | cut -f 2; kofn status $conf", r"\A0{16}\n[^1-9]")
    lay_out("etc/kofn", lambda own: own)
    lay_out("etc/kofn-b", lambda own: own.replace(".53", ".54").replace("lib/kofn", "lib/kofn-b") + '[admin]\nlisten = "off"\n')
    unit = (ROOT / "lib/systemd/system/kofn.service").read_text()
    unit = unit.replace("/etc/kofn/", "/etc/kofn-b/").replace("Directory=kofn", "Directory=kofn-b")
    (ROOT / "etc/systemd/system/kofn-b.service").write_text(unit)
    machine.expect("its own files", "kofn check $conf && systemctl reload kofn && hand", r"^198")
    machine.expect("the other", "systemctl daemon-reload; systemctl start kofn-b; server=192.0.2.54 hand", r"^198")
    machine.expect("the provider", "systemctl restart knot; at() { [ $(server=203.0.113.5 hand | wc -l) = 4 ]; }; awaited at", "")


def check_deaths(machine):
    machine.expect("a death", "rm /srv/198.51.100.13/healthz; out() { kofn status $conf | grep '.13 .*down'; }; awaited out; "
                   "told() { [ $(server=203.0.113.5 hand | wc -l) = 3 ]; }; awaited told; kofn transfer status $conf", r"203.0.113.5:53 +example\.test")
    machine.expect("why", "kofn explain www.example.test $conf", r"198\.51\.100\.13 +0\.0 % .*down: status 404")
    machine.expect("a drain", "kofn drain 198.51.100.12 --reason 'new disk' --wait $conf && hand && kofn undrain 198.51.100.12 $conf",
                   r"gone\n(?:.*\n)*198\.51\.100\.11\n198\.51\.100\.14\n")
    machine.run("echo ok >/srv/198.51.100.13/healthz")


def check_upgrade(machine):
    machine.expect("an upgrade", """before=$(pid); asked=0; bad=0
dpkg --force-confold -i /root/next.deb >/root/upgrade.log 2>&1 & upgrade=$!
while kill -0 $upgrade 2>/dev/null || [ $asked -lt 100 ]; do asked=$((asked+1)); [ $(hand | wc -l) = 2 ] || bad=$((bad+1)); done
wait $upgrade && kofn health $conf && [ $before != $(pid) ] && echo "bad: $bad of $asked"; cat /root/upgrade.log""", r"^bad: 0 of \d{3}")
    machine.expect("a crash", "kill -KILL $(pid); up() { hand | grep ^198; }; sleep 0.5; awaited up; systemctl is-active kofn", r"^active")
    machine.expect("a hang", "n=$(restarts); kill -STOP $(pid); again() { [ $(restarts) -gt $n ]; }; awaited again; up() { hand | grep ^198; }; awaited up; "
                   "journalctl -u kofn --no-pager", "Watchdog timeout")


def check_sockets(machine):
    socket = ROOT / "lib/systemd/system/kofn.socket"
    socket.write_text(socket.read_text().replace("127.0.0.1:5300", "192.0.2.53:53"))
    machine.expect("sockets of systemd", "systemctl stop kofn; systemctl daemon-reload; systemctl start kofn.socket; "
                   "dig +short +time=20 +tries=1 @192.0.2.53 www.example.test; systemctl is-active kofn; systemctl reload kofn; "
                   "echo tcp; hand +tcp", r"^198[^a]+active\ntcp\n198")


def check_purge(machine):
    machine.expect("a purge", "systemctl stop kofn-b; rm -r /var/lib/kofn-b /etc/kofn-b; dpkg -P kofn; "
                   "! getent passwd kofn && ! ls /var/lib/kofn && ! systemctl cat kofn && echo gone", r"^gone")


def main():
    if os.geteuid() != 0:
        print("this takes root: a system is booted in a tree of its own\n0 passed, 1 failed")
        return 1
    tally = Tally()
    folder = peers.fresh("systemd")
    made = package.run(package.TOP / "packaging/deb", folder, env={**os.environ, "KOFN": peers.kofn_binary()})
    if not tally.check(made.returncode == 0, f"packaging/deb: {made.stdout[-2000:]} {made.stderr[-2000:]}") or not tree(tally):
        return tally.end()
    deb = pathlib.Path(made.stdout.split()[-1])
    shutil.copy(deb, ROOT / "root/kofn.deb")
    shutil.copy(package.upgraded(deb, folder), ROOT / "root/next.deb")
    machine = Machine(tally)
    try:
        if tally.check(machine.wait_until_up(), f"it does not boot: see {peers.WORK.name}/systemd-boot.log"):
            for check in (check_ten_minutes, check_deaths, check_upgrade, check_sockets, check_purge):
                check(machine)
    finally:
        machine.end()
    shutil.rmtree(ROOT, ignore_errors=True)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
