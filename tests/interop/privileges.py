"""kofn started as root: what it still may do afterwards, seen from outside and tried from inside, by the commands of its checks.

Without root there is nothing to give up, and the topic fails in words."""
import json
import os
import pathlib
import pwd
import re
import subprocess
import sys
import tempfile
import time

import peers
from tally import Tally

USER = "nobody"
ZONE = """$TTL 60
@ SOA ns1 hostmaster 1 3600 600 86400 30
@ NS ns1
ns1 A 127.0.0.1
"""


def python(call):
    """A command that makes a call, and says why it was not let."""
    return ["/usr/bin/python3", "-c", f"import ctypes, os, socket, sys\ntry:\n {call}\nexcept OSError as error:\n sys.exit(str(error))"]


def system(call):
    """The same by the C library."""
    return python(f"c = ctypes.CDLL(None, use_errno=True)\n if c.{call} < 0: raise OSError(0, os.strerror(ctypes.get_errno()))")


# What a check tries, and what the system must say to it.
TRIES = {
    "shadow": (["cat", "/etc/shadow"], "Permission denied"),
    "write": (["sh", "-c", "echo x > OUTSIDE/open-to-all"], "Permission denied"),
    "home": (["ls", "OUTSIDE"], "Permission denied"),
    "zones": (["sh", "-c", "echo x >> ZONES/a.test.zone"], "Permission denied"),
    "mount": (system('mount(b"none", b"/tmp", b"tmpfs", 0, None)'), "Operation not permitted"),
    "unshare": (["unshare", "--user", "true"], "Operation not permitted"),
    "su": (["sh", "-c", "setpriv --reuid=0 true"], "Operation not permitted"),
    "gain": (["setpriv", "--inh-caps=+all", "true"], "Operation not permitted"),
    "ptrace": (system("ptrace(16, os.getppid(), 0, 0)"), "Operation not permitted"),
    "raw": (python("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"), "Operation not permitted"),
    "listen": (python("socket.create_server(('127.0.0.1', 5399))"), "Permission denied"),
    "kill": (["sh", "-c", "kill -0 OTHER"], "not permitted"),
}
# And what it may: what a check is for.
GOOD = {
    "dials": python("socket.create_connection(('127.0.0.1', PORT))"),
    "scratch": ["sh", "-c", "f=$(mktemp) && rm $f"],
    "reads": ["cat", "ZONES/a.test.zone"],
}


def lines(words):
    """The members of a status file, one thread after the other."""
    return [dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line) for path in words]


def check_threads(tally, server):
    nobody = pwd.getpwnam(USER)
    tasks = sorted(pathlib.Path(f"/proc/{server.process.pid}/task").glob("*/status"))
    tally.check(len(tasks) > 6, f"only {len(tasks)} threads")
    for status in lines(tasks):
        name = status["Name"]
        tally.check(status["Uid"].split() == [str(nobody.pw_uid)] * 4, f"{name}: uids {status['Uid']}")
        tally.check(status["Gid"].split() == [str(nobody.pw_gid)] * 4, f"{name}: gids {status['Gid']}")
        tally.check(set(status["Groups"].split()) <= {str(nobody.pw_gid)}, f"{name}: groups {status['Groups']}")
        for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            tally.check(int(status[capabilities], 16) == 0, f"{name}: {capabilities} {status[capabilities]}")
        tally.check(status["NoNewPrivs"] == "1", f"{name}: new privileges are possible")
        tally.check(status["Seccomp"] == "2", f"{name}: no filter of system calls")


def fill(words, places):
    for name, value in places.items():
        words = [word.replace(name, value) for word in words]
    return words


def policy(port, places):
    text = ""
    for name, words in [*((name, words) for name, (words, _) in TRIES.items()), *GOOD.items()]:
        command = json.dumps(fill(words, {**places, "PORT": str(port)}))
        text += f'[check.{name}]\ntype = "exec"\ncommand = {command}\ninterval = "5s"\ntimeout = "4s"\n[pool.{name}]\ncheck = "{name}"\n'
    return text


def check_from_inside(tally, server):
    """Each pool has one member, and its check tries one thing."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        status = json.loads(server.command("status", "--json").stdout)
        found = {pool["name"].split(".")[0]: pool["families"][0]["members"][0] for pool in status["pools"]}
        if all(member["last_probe"] for member in found.values()):
            break
        time.sleep(0.1)
    for name, (_, words) in TRIES.items():
        said = found[name]["last_error"] or "nothing"
        tally.check(found[name]["verdict"] == "down" and words in said, f"{name}: {found[name]['verdict']}, it said {said}")
    for name in GOOD:
        tally.check(found[name]["verdict"] == "up", f"{name}: {found[name]['last_error']}")
    privileges = status["privileges"]
    tally.check(privileges == {"user": USER, "no_new_privileges": True, "landlock": "enforced", "seccomp": "enforced",
                               "commands": True}, f"status says {privileges}")


def check_files(tally, server):
    nobody = pwd.getpwnam(USER)
    for path in [server.folder / "state", *(server.folder / "state").rglob("*")]:
        found = path.lstat()
        mode = 0o700 if path.is_dir() else 0o600
        tally.check((found.st_uid, found.st_mode & 0o777) == (nobody.pw_uid, mode),
                    f"{path.name}: owner {found.st_uid}, mode {found.st_mode & 0o777:o}")


def check_low_port(tally, folder):
    """Root binds port 53, and who answers is not root. In a network of its own, where nobody has that port."""
    (folder / "zones").mkdir()
    (folder / "zones" / "a.test.zone").write_text(ZONE)
    (folder / "kofn.toml").write_text(f'listen = ["127.0.0.1"]\nuser = "{USER}"\n[sandbox]\nmode = "required"\n')
    script = f"""ip link set lo up
    cd {folder}
    {peers.kofn_binary()} serve --admin off 2> log & kofn=$!
    until grep -q ready log; do kill -0 $kofn || exit 1; sleep 0.1; done
    dig +short +time=2 @127.0.0.1 ns1.a.test A; grep -E '^(Uid|CapEff)' /proc/$kofn/status
    kill $kofn; wait $kofn"""
    ran = subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    said = ran.stdout.split()
    tally.check("127.0.0.1" in said and str(pwd.getpwnam(USER).pw_uid) in said, f"port 53: {ran.stdout} {ran.stderr}"
                f"{(folder / 'log').read_text()}")


def check_certificates(tally, folder):
    """A key that only root may read is shown, and a fault says that its successor will not be."""
    tls = folder / "tls"
    tls.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
                    "-subj", "/CN=a.test", "-addext", "subjectAltName=DNS:a.test", "-keyout", tls / "a.key", "-out", tls / "a.pem"],
                   check=True, capture_output=True)
    (tls / "a.key").chmod(0o600)
    settings = f'user = "{USER}"\nlisten_tls = ["127.0.0.1:0"]\n[tls]\ncertificates = ["tls"]\n'
    with peers.Kofn(folder, settings) as server:
        status = json.loads(server.command("status", "--json").stdout)
        tally.check([shown["names"] for shown in status["certificates"]] == [["a.test"]], f"shown: {status['certificates']}")
        tally.check(any("a.key" in fault and "may not read it" in fault for fault in status["faults"]), f"faults: {status['faults']}")
        os.chown(tls / "a.key", 0, pwd.getpwnam(USER).pw_gid)
        (tls / "a.key").chmod(0o640)
        server.command("reload")
        status = json.loads(server.command("status", "--json").stdout)
        tally.check(not status["faults"], f"by its group: {status['faults']}")


def main():
    if os.geteuid() != 0:
        print("this takes root: kofn is to give up what it has\n0 passed, 1 failed")
        return 1
    tally = Tally()
    # Where everybody may write, but for the sandbox; and where the user itself may read.
    with tempfile.TemporaryDirectory(dir="/var/local" if os.path.isdir("/var/local") else "/srv") as outside, \
            tempfile.TemporaryDirectory(dir="/opt") as home:
        os.chmod(outside, 0o777)
        pathlib.Path(home).chmod(0o755)
        folder = pathlib.Path(home)
        (folder / "zones").mkdir()
        names = "".join(f"{name} A 127.0.0.1\n" for name in [*TRIES, *GOOD])
        (folder / "zones" / "a.test.zone").write_text(ZONE + names)
        with peers.Kofn(peers.fresh("privileges-listener"), "", ()) as other:
            places = {"OUTSIDE": outside, "ZONES": str(folder / "zones"), "OTHER": str(other.process.pid)}
            (folder / "zones" / "a.test.toml").write_text(policy(other.address[1], places))
            os.chmod(folder / "zones" / "a.test.zone", 0o666)
            with peers.Kofn(folder, f'user = "{USER}"\n[sandbox]\nmode = "required"\n[limits]\ncommands = 20\n', ["a.test"]) as server:
                check_threads(tally, server)
                check_from_inside(tally, server)
                check_files(tally, server)
                log = re.sub(r"\x1b\[[0-9;]*m", "", server.log)
                tally.check('sandbox in force landlock="enforced" seccomp=true commands=true' in log, f"the log says: {log[:600]}")
        (folder / "low").mkdir()
        check_low_port(tally, folder / "low")
        (folder / "certificates").mkdir()
        check_certificates(tally, folder / "certificates")
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
