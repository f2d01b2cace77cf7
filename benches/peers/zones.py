"""The zones that are served, and the queries for them with what their replies must be.

A line of queries is NAME TYPE RCODE ANSWERS [ADDRESS...], as the generator reads it.
"""
import pathlib
import random
import subprocess

HEAD = """$ORIGIN {origin}.
$TTL 300
@ 3600 SOA ns1 hostmaster 1 3600 900 604800 300
@ 3600 NS ns1
@ 3600 NS ns2
ns1 3600 A 192.0.2.53
ns2 3600 A 192.0.2.54
"""
HOSTS = 1000
SIGNED = 100
MEMBERS = [f"198.51.100.{i}" for i in range(1, 11)]
MANY = [f"203.0.113.{i}" for i in range(1, 101)]
POLICY = "[pool.farm]\nk = 3\n"


def host(index):
    """The address of the host of this number."""
    return f"10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}"


def small():
    """A site: some hosts, a farm of ten for kofn and of eight for the others, and a name with a hundred addresses."""
    lines = [HEAD.format(origin="example.test"), "www A 192.0.2.1\n"]
    lines += [f"farm A {address}\n" for address in MEMBERS]
    lines += [f"ring A {address}\n" for address in MEMBERS[:8]]
    lines += [f"many A {address}\n" for address in MANY]
    lines += [f"h{index:04d} A {host(index)}\n" for index in range(HOSTS)]
    return lines


def numbered(origin, count):
    """A zone of so many names with one address each."""
    yield HEAD.format(origin=origin)
    for index in range(count):
        yield f"r{index:07d} A {host(index)}\n"


def write_signed(folder):
    """Signs a small zone by ECDSA with NSEC; returns the file."""
    folder = pathlib.Path(folder)
    plain, signed = folder / "plain.zone", folder / "signed.zone"
    hosts = (f"h{index:04d} A {host(index)}\n" for index in range(SIGNED))
    plain.write_text(HEAD.format(origin="signed.test") + "".join(hosts))
    quiet = {"cwd": folder, "check": True, "capture_output": True}
    for flag in ([], ["-f", "KSK"]):
        subprocess.run(["dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", *flag, "signed.test"], **quiet)
    subprocess.run(["dnssec-signzone", "-q", "-S", "-o", "signed.test", "-f", signed.name, plain.name], **quiet)
    return signed


def write_queries(folder):
    """One file for each name that a mix of bench.py uses."""
    chance = random.Random(1)
    hosts = [f"h{chance.randrange(HOSTS):04d}" for _ in range(20000)]
    mixed = []
    for name in hosts:
        if chance.random() < 0.1:
            mixed.append(f"x{name[1:]}.example.test A 3 0")
        else:
            mixed.append(f"{name}.example.test A 0 1 {host(int(name[1:]))}")
    signed = [chance.randrange(SIGNED) for _ in range(1000)]
    files = {
        "one": ["www.example.test A 0 1 192.0.2.1"],
        "hand": [f"farm.example.test A 0 3 {' '.join(MEMBERS)}"],
        "ring": [f"ring.example.test A 0 8 {' '.join(MEMBERS[:8])}"],
        "many": [f"many.example.test A 0 100 {' '.join(MANY)}"],
        "names": mixed,
        "signed": [f"h{index:04d}.signed.test A 0 2 {host(index)}" for index in signed],
        "signed-nx": ["00000000.signed.test A 3 0"],
        "nxdomain": ["00000000.example.test A 3 0"],
        "million": ["r0000000.million.test A 0 1"],
    }
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n")
