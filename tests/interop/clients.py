"""dig, kdig, drill and dnspython read kofn's replies without a warning. KOFN_STANDIN=nsd tries it on a peer."""
import concurrent.futures
import os
import re
import subprocess
import sys

import dns.exception
import dns.message

import exchange
import peers
import queries
import zones
from tally import Tally

SUBJECT = os.environ.get("KOFN_STANDIN", "kofn")
COMPLAINT = re.compile(r"warning|malformed|error:|bad packet|extra bytes|unexpected|mismatch|couldn't|unable|timed? ?out", re.I)
QUESTIONS = [
    ("www.nsec.test", "A"), ("nothere.nsec.test", "A"), ("any.w.nsec3.test", "TXT"), ("nothere.optout.test", "A"), ("insecure.nsec3.test", "DS"),
    ("x.insecure.nsec.test", "A"), ("x.dn.nsec.test", "A"), ("alias2.nsec.test", "A"), ("nsec.test", "DNSKEY"), ("nsec3.test", "NSEC3PARAM"),
    ("nsec.test", "ANY"), ("www.glued.cuts.test", "A"), ("chain0.cname.test", "A"), ("loop.cname.test", "A"), ("a100.big.test", "A"),
    ("txt20.big.test", "TXT"), ("x.cut24.big.test", "A"), ("allmx.targets.test", "MX"), ("x.loop.dname.test", "A"), ("nosuch.example", "A"),
] + [(f"{name}.types.test", rtype.upper()) for name, rtype in {
    "a": "a", "aaaa": "aaaa", "ptr": "ptr", "hinfo": "hinfo", "mx": "mx", "txt": "txt", "spf": "spf", "rp": "rp", "afsdb": "afsdb", "loc": "loc",
    "srv": "srv", "naptr": "naptr", "kx": "kx", "cert": "cert", "apl": "apl", "sshfp": "sshfp", "tlsa": "tlsa", "smimea": "smimea", "dhcid": "dhcid",
    "openpgpkey": "openpgpkey", "uri": "uri", "caa": "caa", "eui48": "eui48", "eui64": "eui64", "csync": "csync", "svcb": "svcb", "https": "https",
    "alias": "https", "cname": "cname", "type65280": "type65280", "empty": "type65281", "cds": "cds", "cdnskey": "cdnskey", "ds.cut": "ds",
    "dname": "dname", "zonemd": "zonemd", "dnskey": "dnskey"}.items()]


def commands(address):
    """Each client's ways of asking, as argument lists without the question."""
    host, port = address[0], str(address[1])
    dig = [peers.program("dig"), "+nocookie", "+qr", "+norec", "+dnssec", f"@{host}", "-p", port]
    kdig = [peers.program("kdig"), "+norec", "+dnssec", f"@{host}", "-p", port]
    drill = [peers.program("drill"), "-D", "-o", "rd", "-p", port, f"@{host}"]
    return [dig, [*dig, "+nsid", "+cookie"], [*dig, "+tcp"], [*dig, "+noedns"], kdig, [*kdig, "+nsid", "+cookie"], [*kdig, "+tcp"], drill]


def complaint(command, question):
    """What a client has to complain of, or None."""
    if command[0].endswith("drill"):
        head, tail = command[:-1], command[-1:]
        argv = [*head, question[0], question[1], *tail]
    else:
        argv = [*command, question[0], question[1]]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=60, check=False)
    text = done.stdout + done.stderr
    # Falling back to TCP after a truncated reply is what TC asks for.
    heard = [line for line in text.splitlines() if COMPLAINT.search(line) and "retrying in TCP" not in line and "truncated" not in line]
    replied = re.search(r"QUERY SECTION|QUESTION SECTION|;; QUERY", text)
    if done.returncode or heard or not replied:
        return f"{' '.join(argv[:1] + argv[1:])}: status {done.returncode}: {'; '.join(heard) or text[-300:]}"
    return None


def by_dnspython(tally, address, asked):
    """Strictly: nothing behind the message, no record out of place, and what is read prints."""
    for query, reply in zip(asked, exchange.ask(address, asked), strict=True):
        try:
            dns.message.from_wire(reply).to_text()
            tally.check(True, "")
        except (dns.exception.DNSException, TypeError, ValueError) as error:
            tally.check(False, f"dnspython: {query.text}: {error!r}")


def main():
    tally = Tally()
    files, _ = zones.made()
    with peers.start(SUBJECT, "clients", files) as server:
        jobs = [(command, question) for command in commands(server.address) for question in QUESTIONS]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for heard in pool.map(lambda job: complaint(*job), jobs):
                tally.check(heard is None, heard)
        asked = [query for query in queries.generate(queries.load(files), 3000, seed=7) if not query.kind.startswith(("odd", "broken"))]
        by_dnspython(tally, server.address, asked)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
