"""Zone files, good and bad, to `kofn check`, named-checkzone and kzonecheck: where both agree, so must kofn.

Each file is a sound zone with one or two seeded changes. Where the two tools disagree kofn may side with either.
"""
import os
import pathlib
import random
import subprocess
import sys
import tempfile

FILES = 220
APEX = "example.test"
SOUND = """$TTL 300
@ IN SOA ns1 hostmaster 7 3600 600 1209600 30
@ NS ns1
@ NS ns2
ns1 A 192.0.2.1
ns2 AAAA 2001:db8::2
"""
SIGNED = "8 3 300 20380101000000 20240101000000 1 example.test. AAAA"

# Lines that all should take, by what they show.
GOOD = [
    "www 1h30m IN A 192.0.2.3", "www IN 60 A 192.0.2.3", "www 60 A ( 192.0.2.3\n )", "www a 192.0.2.3 ; said ) and \"",
    "www A 192.0.2.3\n AAAA ::1\n\tTXT x", "txt TXT \"a b\" c \"\\\"q\\\"\" \\065", "txt TXT (\"a\"\n\"b\")",
    "$ORIGIN sub\nx A 192.0.2.4\n@ TXT y", "$TTL 1d\nx A 192.0.2.4", "mx MX 10 ns1", "srv SRV 1 2 3 ns1",
    "*.w A 192.0.2.5", "alias CNAME ns1", "d DNAME ns1", "sub NS ns.sub\nns.sub A 192.0.2.6", "sub NS ns1\nsub DS 1 8 2 " + "ab" * 32,
    "caa CAA 0 issue \"ca.example\"", "t TLSA 3 1 1 " + "00" * 32, "f SSHFP 1 2 " + "00 " * 32, "h HTTPS 1 . alpn=h2,h3 port=8443",
    "h SVCB 0 ns1", "h SVCB 1 ns1 mandatory=port port=53 ipv4hint=192.0.2.1", "l LOC 52 22 23.000 N 4 53 32.000 E -2.00m",
    "n NAPTR 100 10 \"u\" \"sip+E2U\" \"!^.*$!sip:i@e.test!\" .", "e EUI48 00-00-5e-00-53-2a", "u URI 10 1 \"ftp://ftp.e.test/\"",
    "x TYPE65280 \\# 3 abcdef", "x TYPE1 \\# 4 c0000201", "x A \\# 4 c0000201", "a\\.b A 192.0.2.7", "\\097\\ b TXT x",
    "x A 192.0.2.1\nx A 192.0.2.1", "stranger.example. A 192.0.2.1", "x 5 A 192.0.2.1\nx 6 A 192.0.2.2", "c CERT PKIX 1 8 AAAA",
    "x RP a b", "x HINFO a b", "x AFSDB 1 ns1", "x KX 1 ns1", "x APL 1:192.0.2.0/24 !2:2001:db8::/32", "x DHCID AAIBY2/A",
    "x OPENPGPKEY AAAA", "x CSYNC 1 3 A NS", "x ZONEMD 1 1 1 " + "00" * 48, "x DNSKEY 257 3 8 AAAA", "x SPF \"v=spf1\"",
    "x NSEC3PARAM 1 0 0 -", "alias CNAME ns1\nalias RRSIG CNAME " + SIGNED, "x 2147483648 A 192.0.2.1", "x\\; A 192.0.2.1",
]
# Lines that at least one should refuse.
BAD = [
    "www A 192.0.2", "www A 192.0.2.256", "www A 01.2.3.4", "www A \"192.0.2.1\"", "www A", "www AAAA 1::2::3", "www", "www FOO x",
    "www A 192.0.2.1 x", "mx MX ns1", "mx MX 65536 ns1", "mx MX -1 ns1", "txt TXT", "txt TXT \"open", "txt TXT " + "a" * 256,
    "txt TXT \\256", "txt TXT x\\", "x ( A 192.0.2.1", "x A 192.0.2.1 )", "a..b A 192.0.2.1", ".a A 192.0.2.1",
    "a" * 64 + " A 192.0.2.1", ".".join(["a" * 60] * 5) + " A 192.0.2.1", "$ORIGIN", "$ORIGIN a..", "$TTL", "$TTL x", "$FOO x",
    "$INCLUDE", "$INCLUDE not-there", "x CH A 192.0.2.1", "x 1y A 192.0.2.1", "x 1h30 A 192.0.2.1", "x 4294967296 A 192.0.2.1",
    "alias CNAME ns1\nalias A 192.0.2.1", "alias CNAME ns1\nalias CNAME ns2", "ns1 CNAME x", "d DNAME a.\nd DNAME b.",
    "x OPT \\# 0", "x TYPE255 \\# 0", "x A \\# 3 c00002", "x A \\# 4 c00002", "x TYPE65280 \\# 3 abcd", "x TYPE65280 abcd",
    "x MX \\# 4 0001c000", "sub DS 1 8 2 abcd", "f SSHFP 1 1 zz", "t TLSA 3 1 1", "t TLSA 3 1 1 abc", "h HTTPS 1 . port",
    "h HTTPS 1 . port=1 port=2", "h HTTPS 1 . mandatory=port", "h HTTPS 1 . alpn=", "h SVCB 1 . \"port=5\"", "h SVCB 1 . ipv4hint=x",
    "l LOC 91 0 0 N 0 0 0 E 0m", "l LOC 1 N 1 E", "e EUI48 00:00:5e:00:53:2a", "e EUI64 00-00-5e-00-53-2a", "caa CAA 256 issue x",
    "caa CAA 0 i-s x", "x APL 1:192.0.2.0/33", "x APL 3:1/1", "k DNSKEY 257 3 8 A", "k DNSKEY 257 3 NONE AAAA", "x HINFO a",
    "s RRSIG A 8 3 300 20381301000000 20240101000000 1 example.test. AAAA", "n NSEC3 1 0 0 - 0", "n NSEC a FOO", "@ NS gone",
    "x NAPTR 1 1 u s", "x CNAME \"ns1\"", "srv SRV 1 2 65536 ns1", "u URI 1 1", "@ SOA a b 8 1 1 1 1",
]
# What is done to the whole file.
WHOLE = [
    lambda text: text.replace("\n", "\r\n"), lambda text: text.rstrip("\n"), lambda text: "; first\n\n" + text,
    lambda text: text.replace("@ IN SOA", "@ SOA ("), lambda text: text.replace(" 30\n", " )\n"),
    lambda text: text.replace("@ IN SOA ns1 hostmaster 7 3600 600 1209600 30\n", ""),
    lambda text: text.replace("@ NS ns1\n@ NS ns2\n", ""), lambda text: text.replace("$TTL 300\n", ""),
    lambda text: text.replace("7 3600 600 1209600 30", "( 7 1h\n 10m ; retry\n 2w 30 )"), lambda text: " A 192.0.2.1\n" + text,
    lambda text: text.replace("@ IN SOA", "@ 99 IN SOA").replace("$TTL 300\n", ""), lambda text: "\ufeff" + text,
    lambda text: text.replace("hostmaster 7", "hostmaster 4294967296"), lambda text: text.replace("hostmaster", "host\\.master"),
]


def files(seed):
    """(what was changed, text) of each file."""
    chance = random.Random(seed)
    changes = [[line] for line in GOOD + BAD]
    while len(changes) < FILES - len(WHOLE):
        changes.append([chance.choice(GOOD), chance.choice(GOOD + BAD)])
    for lines in changes:
        yield " + ".join(lines), SOUND + "".join(f"{line}\n" for line in lines)
    for index, change in enumerate(WHOLE):
        yield f"whole file, change {index}", change(SOUND)


def accepts(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    return done.returncode == 0, done.stdout


def main():
    kofn = os.environ["KOFN"]
    passed, failed, sided = 0, 0, {"named": 0, "knot": 0}
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder, f"{APEX}.zone"))
        for change, text in files(seed=2):
            pathlib.Path(path).write_bytes(text.encode())
            named, named_said = accepts("named-checkzone", "-i", "local", APEX, path)
            knot, knot_said = accepts("kzonecheck", "-o", APEX, path)
            ours, we_said = accepts(kofn, "check", path)
            panicked = "panicked" in we_said
            if named != knot:
                sided["named" if ours == named else "knot"] += 1
            if (named == knot != ours) or panicked:
                failed += 1
                print(f"{change!r}: kofn {ours}, named {named}, knot {knot}\n{we_said}{named_said}{knot_said}")
            else:
                passed += 1
    print(f"where the two disagree kofn is with named {sided['named']} times, with knot {sided['knot']} times")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
