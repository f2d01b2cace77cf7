"""The test zones: written, signed by three signers, and loaded by NSD, Knot and BIND to prove that they are sound.

Everything is made once a run below WORK/zones; other topics ask `made()` for what is there.
"""
import fcntl
import glob
import json
import pathlib
import subprocess
import sys
import time

import peers
import zone_content as content

SMALL_MINIMUM = "@ 60 IN SOA ns1 hostmaster 7 7200 900 1209600 3600"
UNSIGNED = {
    "types.test": lambda: content.apex() + content.every_type(),
    "wild.test": lambda: content.apex(SMALL_MINIMUM) + content.wildcards(),
    "ent.test": lambda: content.apex() + content.empty_non_terminals(),
    "cuts.test": lambda: content.apex() + content.cuts(),
    "child.cuts.test": lambda: content.apex() + ["www A 192.0.2.150", "* TXT \"in the child\"", "grand NS ns.grand", "ns.grand A 192.0.2.151"],
    "dname.test": lambda: content.apex() + content.dnames(),
    "dnameapex.test": lambda: ["$TTL 600", content.SOA.replace("ns1", "ns1.types.test."), "@ NS ns1.types.test.",
                               "@ DNAME cname.test.", "@ A 192.0.2.152"],
    "cname.test": lambda: content.apex() + content.cnames(),
    "octets.test": lambda: content.apex() + content.octets(),
    "big.test": lambda: content.apex() + content.big(),
    "targets.test": lambda: content.apex() + content.targets(),
    "tiny.test": lambda: ["$TTL 600", content.SOA, "@ NS ns.elsewhere.test."],
    "not.delegated.tiny.test": lambda: content.apex() + ["www A 192.0.2.153"],
}
# Apex → signer and its arguments. NSEC3 takes (salt, iterations); RFC 9276 wants none and 0, the others exist all the same.
SIGNED = {
    "nsec.test": ("dnssec-signzone", []),
    "nsec3.test": ("dnssec-signzone", ["-3", "-", "-H", "0"]),
    "optout.test": ("dnssec-signzone", ["-3", "-", "-H", "0", "-A"]),
    "ldnsnsec.test": ("ldns-signzone", []),
    "ldnsnsec3.test": ("ldns-signzone", ["-n", "-s", "aabbccdd", "-t", "5"]),
    "knot.test": ("kzonesign", ["nsec3: off"]),
    "knotoptout.test": ("kzonesign", ["nsec3: on", "nsec3-iterations: 1", "nsec3-salt-length: 4", "nsec3-opt-out: on"]),
}
# Below each signed zone, on the same server: a signed zone with its DS in the parent, and one without.
CHILD, PLAIN_CHILD = "signedchild", "unsignedchild"
ALGORITHM = "ECDSAP256SHA256"


def made():
    """(apex → path of the zone file, apex → DS line of its key) of all zones; makes them if no one has yet."""
    peers.WORK.mkdir(parents=True, exist_ok=True)
    index = peers.WORK / "zones" / "index.json"
    with open(peers.WORK / "zones.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        day = 86_400
        if not index.exists() or index.stat().st_mtime < max(day_old(day), newest_source()):
            make(peers.fresh("zones"))
    found = json.loads(index.read_text())
    return found["files"], found["anchors"]


def day_old(day):
    """Signatures last thirty days; zones older than one are made anew."""
    return time.time() - day


def newest_source():
    return max(pathlib.Path(module.__file__).stat().st_mtime for module in (content, sys.modules[__name__]))


def make(folder):
    files, anchors = {}, {}
    for apex, build in UNSIGNED.items():
        files[apex] = write(folder, apex, build())
    for apex, (signer, arguments) in SIGNED.items():
        child = f"{CHILD}.{apex}"
        lines = content.apex() + ["www A 192.0.2.160", "*.w TXT \"child\"", "cut NS ns1"]
        files[child], ds = sign(folder, child, lines, signer, arguments)
        files[f"{PLAIN_CHILD}.{apex}"] = write(folder, f"{PLAIN_CHILD}.{apex}", content.apex() + ["www A 192.0.2.161"])
        lines = content.apex() + content.signed_mixture(CHILD, PLAIN_CHILD) + [ds.replace("IN DS", "600 IN DS")]
        files[apex], anchors[apex] = sign(folder, apex, lines, signer, arguments)
    index = {"files": {apex: str(path) for apex, path in files.items()}, "anchors": anchors}
    (folder / "index.json").write_text(json.dumps(index))


def write(folder, apex, lines):
    path = folder / f"{apex}.zone"
    path.write_text("\n".join([f"$ORIGIN {apex}.", *lines, ""]), encoding="ascii")
    return path


def sign(folder, apex, lines, signer, arguments):
    """Signs with one key for everything. Returns the path of the signed file and the DS line of the key."""
    unsigned = folder / f"{apex}.unsigned"
    unsigned.write_text("\n".join([f"$ORIGIN {apex}.", *lines, ""]), encoding="ascii")
    signed = folder / f"{apex}.zone"
    tool = {"dnssec-signzone": bind_sign, "ldns-signzone": ldns_sign, "kzonesign": knot_sign}[signer]
    return signed, tool(folder, apex, unsigned, signed, arguments)


def bind_sign(folder, apex, unsigned, signed, arguments):
    key = run(folder, "dnssec-keygen", "-q", "-a", ALGORITHM, "-f", "KSK", apex).strip()
    run(folder, "dnssec-signzone", "-q", "-z", "-S", "-K", ".", "-o", apex, "-f", signed.name, *arguments, unsigned.name)
    return run(folder, "dnssec-dsfromkey", "-2", f"{key}.key").strip()


def ldns_sign(folder, apex, unsigned, signed, arguments):
    key = run(folder, "ldns-keygen", "-a", ALGORITHM, "-k", apex).strip()
    run(folder, "ldns-signzone", "-o", apex, "-f", signed.name, *arguments, unsigned.name, key)
    return run(folder, "dnssec-dsfromkey", "-2", f"{key}.key").strip()


def knot_sign(folder, apex, unsigned, signed, arguments):
    """kzonesign takes its policy from a configuration and writes the zone into a folder."""
    policy = "".join(f"    {line}\n" for line in arguments)
    (folder / f"{apex}.conf").write_text(f"""database:
  storage: "{folder}/knot-{apex}"
policy:
  - id: one
    algorithm: {ALGORITHM.lower()}
    manual: on
{policy}zone:
  - domain: {apex}
    storage: "{folder}"
    file: {unsigned.name}
    dnssec-signing: on
    dnssec-policy: one
""")
    out = folder / f"knot-out-{apex}"
    out.mkdir()
    (folder / f"knot-{apex}").mkdir()
    run(folder, "keymgr", "-c", f"{apex}.conf", apex, "generate", f"algorithm={ALGORITHM.lower()}", "ksk=yes", "zsk=yes")
    run(folder, "kzonesign", "-c", f"{apex}.conf", "-o", str(out), apex)
    written = glob.glob(f"{out}/*")
    pathlib.Path(written[0]).rename(signed)
    return run(folder, "keymgr", "-c", f"{apex}.conf", apex, "ds").splitlines()[0].strip().replace(" DS ", " IN DS ")


def run(folder, name, *arguments):
    """A tool's standard output; its complaints become the error."""
    done = subprocess.run([peers.program(name), *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def main():
    files, _ = made()
    for name in ("nsd", "knot", "bind"):
        with peers.start(name, "zones", files):
            print(f"{name} serves {len(files)} zones")
    print(f"{3 * len(files)} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
