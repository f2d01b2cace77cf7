"""The Debian package in a clean Debian tree: lintian, installation, a start as the unit has it, an upgrade with a changed
conffile, a takeover by the new program, and a purge that leaves nothing. Then the steps of the Dockerfile in the same tree.

The tree comes from debootstrap and from the mirror that apt uses here. There is no systemd in it: kofn is started by hand."""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import peers
from tally import Tally

TOP = peers.HERE.parent.parent
ROOT = peers.WORK / "package-root"
# Of what lintian says, these are choices: a binary package alone has no source, and systemd is not the only way to run it.
SUPPRESSED = ["initial-upload-closes-no-bugs", "no-manual-page", "missing-systemd-service-for-init.d-script"]


def run(*argv, **options):
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False, **options)


def mirror():
    """Where apt gets its packages here, and by which proxy."""
    sites = run("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages", f"Codename: {codename()}").stdout.split()
    proxy = run("apt-config", "shell", "proxy", "Acquire::http::Proxy").stdout
    found = re.match(r"proxy='(.*)'", proxy)
    return sites[0], {"http_proxy": found[1], "https_proxy": found[1]} if found else {}


def codename():
    return re.search(r"^VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text(), re.M)[1]


def clean_tree(tally):
    """A tree with what every Debian has, made once and copied for each run."""
    base = peers.WORK / f"debootstrap-{codename()}"
    if not (base / "usr/bin/dpkg").exists() or not (base / "done").exists():
        shutil.rmtree(base, ignore_errors=True)
        site, proxy = mirror()
        made = run(peers.program("debootstrap"), "--variant=minbase", codename(), base, site, env={**os.environ, **proxy})
        if not tally.check(made.returncode == 0, f"debootstrap: {made.stdout[-500:]} {made.stderr[-500:]}"):
            return False
        (base / "done").touch()
    shutil.rmtree(ROOT, ignore_errors=True)
    return tally.check(run("cp", "-a", base, ROOT).returncode == 0, "the tree cannot be copied")


def inside(script):
    """Runs a script in namespaces of its own; `here WORDS` runs something in the tree. What it writes in the tree stays."""
    text = f"""set -e
mount -t proc proc {ROOT}/proc; mount --bind /dev {ROOT}/dev
ip link set lo up
here() {{ chroot {ROOT} env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }}
awaited() {{ for i in $(seq 200); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done; echo "never: $*"; cat {ROOT}/tmp/log; exit 1; }}
{script}"""
    return run("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", text, timeout=120)


def files():
    """What of kofn is in the tree."""
    found = run("find", ROOT, "-xdev", "(", "-path", f"{ROOT}/tmp", "-o", "-path", f"{ROOT}/proc", ")", "-prune", "-o", "-iname", "*kofn*", "-print")
    return sorted(line.removeprefix(str(ROOT)) for line in found.stdout.split())


def upgraded(deb, folder):
    """The same package under a higher version, with another /etc/kofn/kofn.toml."""
    tree = folder / "next"
    run("dpkg-deb", "--raw-extract", deb, tree)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"^Version: .*$", "Version: 9.0.0-1", control.read_text(), flags=re.M))
    settings = tree / "etc/kofn/kofn.toml"
    settings.write_text(settings.read_text() + "# A later version.\n")
    run("dpkg-deb", "--root-owner-group", "--build", tree, folder / "next.deb")
    return folder / "next.deb"


def check_contents(tally, deb):
    listed = run("dpkg-deb", "--contents", deb).stdout
    for wanted in ["./usr/sbin/kofn", "./etc/kofn/kofn.toml", "./etc/kofn/zones/example.test.zone", "/systemd/system/kofn.service",
                   "./usr/share/man/man8/kofn.8.gz", "./usr/share/man/man5/kofn.toml.5.gz", "./usr/share/man/man5/kofn-zones.5.gz",
                   "./usr/share/bash-completion/completions/kofn", "./usr/share/zsh/vendor-completions/_kofn",
                   "./usr/share/fish/vendor_completions.d/kofn.fish", "./usr/share/doc/kofn/copyright"]:
        tally.check(wanted in listed, f"the package lacks {wanted}")
    said = run(peers.program("lintian"), "--fail-on", "error", "--suppress-tags", ",".join(SUPPRESSED), deb)
    print(said.stdout.strip())
    tally.check(said.returncode == 0, f"lintian: {said.stdout} {said.stderr}")


def check_life(tally, deb, folder):
    """Installed, started, upgraded, taken over, purged."""
    before = files()
    shutil.copy(deb, ROOT / "tmp/kofn.deb")
    shutil.copy(upgraded(deb, folder), ROOT / "tmp/next.deb")
    ran = inside("""here dpkg -i /tmp/kofn.deb
echo "user: $(here getent passwd kofn)"
echo "state: $(here stat -c '%U %a' /var/lib/kofn)"; echo "settings: $(here stat -c '%U:%G %a' /etc/kofn/kofn.toml)"
here kofn check --config /etc/kofn/kofn.toml
here kofn serve --config /etc/kofn/kofn.toml 2> """ + f"{ROOT}/tmp/log" + """ &
awaited here kofn health --config /etc/kofn/kofn.toml
echo "answers: $(dig +short @127.0.0.1 -p 5300 www.example.test A | wc -l)"
echo "runs as: $(here kofn status --config /etc/kofn/kofn.toml --json | jq -r .privileges.user)"
echo '# A change of the administrator.' >> """ + f"{ROOT}/etc/kofn/kofn.toml" + """
here dpkg -i --force-confold /tmp/next.deb
echo "version: $(here dpkg-query -W -f '${Version}' kofn)"
echo "kept: $(tail -n 1 """ + f"{ROOT}/etc/kofn/kofn.toml" + """)"; echo "offered: $(tail -n 1 """ + f"{ROOT}/etc/kofn/kofn.toml.dpkg-dist" + """)"
here kofn restart --config /etc/kofn/kofn.toml
echo "answers after: $(dig +short @127.0.0.1 -p 5300 www.example.test A | wc -l)"
kill $(here kofn status --config /etc/kofn/kofn.toml --json | jq -r .pid)
here rm /etc/kofn/kofn.toml.dpkg-dist
here dpkg -P kofn
echo "user after: $(here getent passwd kofn)"
""")
    facts = dict(re.findall(r"^([a-z ]+): (.*)$", ran.stdout, re.M))
    wanted = {"state": "kofn 700", "settings": "root:kofn 640", "answers": "2", "runs as": "kofn", "version": "9.0.0-1",
              "kept": "# A change of the administrator.", "offered": "# A later version.", "answers after": "2", "user after": ""}
    tally.check(ran.returncode == 0, f"in the tree: {ran.stdout[-2000:]} {ran.stderr[-2000:]}")
    for name, value in wanted.items():
        tally.check(facts.get(name) == value, f"{name}: {facts.get(name)!r}, not {value!r}")
    tally.check(":/usr/sbin/nologin" in facts.get("user", ""), f"user: {facts.get('user')}")
    left = sorted(set(files()) - set(before))
    tally.check(not left, f"a purge leaves {left}")


def check_docker(tally):
    """No engine is needed for what a Dockerfile says: its last stage, step by step, and then its check."""
    lines = (TOP / "packaging/Dockerfile").read_text().replace("\\\n", " ").splitlines()
    stage = lines[max(index for index, line in enumerate(lines) if line.startswith("FROM ")):]
    for line in stage:
        word, _, rest = line.partition(" ")
        if word == "RUN":
            done = run("chroot", ROOT, "sh", "-c", rest)
            tally.check(done.returncode == 0, f"RUN {rest}: {done.stderr}")
        elif word == "COPY":
            *sources, target = [part for part in rest.split() if not part.startswith("--from")]
            for source in sources:
                own = os.environ["KOFN"] if source.endswith("release/kofn") else TOP / source
                place = ROOT / target.lstrip("/")
                shutil.copy(own, place / pathlib.Path(source).name if target.endswith("/") else place)
    said = {line.partition(" ")[0]: line.partition(" ")[2] for line in stage}
    user = said["USER"].split(":")[0]
    command = " ".join(map(shlex.quote, json.loads(said["ENTRYPOINT"]) + json.loads(said["CMD"])))
    check = " ".join(map(shlex.quote, json.loads(said["HEALTHCHECK"].partition("CMD ")[2])))
    # As Docker has it for every container.
    ran = inside(f"""sysctl -qw net.ipv4.ip_unprivileged_port_start=0
as() {{ here setpriv --reuid={user} --regid={user} --clear-groups --inh-caps=-all --no-new-privs "$@"; }}
as {command} 2> {ROOT}/tmp/log & kofn=$!
awaited as {check}
echo "answers: $(dig +short @127.0.0.1 www.example.test A | wc -l)"
kill -TERM $(as /usr/sbin/kofn status --config /etc/kofn/kofn.toml --json | jq -r .pid); wait $kofn || true
as {check} || echo "ill: $?"
""")
    tally.check("answers: 2" in ran.stdout and "ill: 1" in ran.stdout, f"as in a container: {ran.stdout} {ran.stderr[-500:]}")


def main():
    if os.geteuid() != 0:
        print("this takes root: a package is installed in a tree of its own\n0 passed, 1 failed")
        return 1
    tally = Tally()
    folder = peers.fresh("package")
    made = run(TOP / "packaging/deb", folder, env={**os.environ, "KOFN": peers.kofn_binary()})
    if not tally.check(made.returncode == 0, f"packaging/deb: {made.stdout[-2000:]} {made.stderr[-2000:]}"):
        return tally.end()
    deb = pathlib.Path(made.stdout.split()[-1])
    print(f"{deb.name}: {deb.stat().st_size / 1e6:.1f} MB")
    check_contents(tally, deb)
    if clean_tree(tally):
        check_life(tally, deb, folder)
        check_docker(tally)
    shutil.rmtree(ROOT, ignore_errors=True)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
