"""A validating resolver in front of kofn: unbound with trust anchors for the test zones, and delv.

Every kind of answer and of denial must prove itself. KOFN_STANDIN=bind tries the table on a peer.
"""
import concurrent.futures
import os
import subprocess
import sys

import dns.name

import message as m
import peers
import zones
from tally import Tally

SUBJECT = os.environ.get("KOFN_STANDIN", "kofn")
# Owner below the zone, type, rcode, and what must be proven: "secure"; "insecure"; or "denial", which is secure
# but where opt-out leaves it open (RFC 5155 section 9.2: no AD where the next closer name is in an opt-out span).
# Not here: NODATA from a wildcard that is an empty non-terminal (q.r.deep), which neither validator accepts under NSEC.
TABLE = [
    ("@", "A", "NOERROR", "secure"), ("@", "DNSKEY", "NOERROR", "secure"), ("@", "SOA", "NOERROR", "secure"), ("@", "NS", "NOERROR", "secure"),
    ("www", "A", "NOERROR", "secure"), ("www", "AAAA", "NOERROR", "secure"), ("WwW", "a", "NOERROR", "secure"), ("upper", "A", "NOERROR", "secure"),
    ("www", "MX", "NOERROR", "secure"), ("@", "AAAA", "NOERROR", "secure"), ("www", "CNAME", "NOERROR", "secure"),
    ("nothere", "A", "NXDOMAIN", "denial"), ("a.b.nothere", "TXT", "NXDOMAIN", "denial"), ("zz", "A", "NXDOMAIN", "denial"),
    ("\\000", "A", "NXDOMAIN", "denial"), ("0", "A", "NXDOMAIN", "denial"), ("zzzz.www", "A", "NXDOMAIN", "denial"), ("x.host.w", "A", "NXDOMAIN", "denial"),
    ("any.w", "A", "NOERROR", "denial"), ("a.b.c.w", "TXT", "NOERROR", "denial"), ("*.w", "A", "NOERROR", "secure"), ("any.w", "MX", "NOERROR", "denial"),
    ("*.w", "MX", "NOERROR", "secure"), ("x.*.w", "A", "NXDOMAIN", "denial"), ("host.w", "TXT", "NOERROR", "secure"),
    ("q.*.deep", "A", "NOERROR", "denial"), ("ent.w", "A", "NOERROR", "secure"), ("c.d", "A", "NOERROR", "secure"), ("d", "TXT", "NOERROR", "secure"),
    ("nothere.c.d", "A", "NXDOMAIN", "denial"), ("alias", "A", "NOERROR", "secure"), ("alias2", "AAAA", "NOERROR", "secure"), ("alias", "MX", "NOERROR", "secure"),
    ("gone", "A", "NXDOMAIN", "denial"), ("toent", "A", "NOERROR", "secure"), ("towild", "A", "NOERROR", "denial"), ("towild", "MX", "NOERROR", "denial"),
    ("q.wc", "A", "NOERROR", "denial"), ("q.wc", "TXT", "NOERROR", "denial"), ("q.wc2", "A", "NXDOMAIN", "denial"), ("q.wc3", "A", "NOERROR", "denial"),
    ("x.dn", "A", "NOERROR", "secure"), ("y.wild.dn", "TXT", "NOERROR", "denial"), ("nothere.dn", "A", "NXDOMAIN", "denial"), ("dn", "DNAME", "NOERROR", "secure"),
    ("dn", "A", "NOERROR", "secure"), ("insecure", "DS", "NOERROR", "denial"), ("cut.ent", "DS", "NOERROR", "denial"), ("secure", "DS", "NOERROR", "secure"),
    ("b.sc", "A", "NOERROR", "secure"), ("b.ic", "A", "NOERROR", "denial"), ("only.optout", "TXT", "NOERROR", "denial"), ("big", "TXT", "NOERROR", "secure"),
    ("\\000.low", "A", "NOERROR", "secure"), ("\\255.high", "A", "NOERROR", "secure"), ("\\254.high", "A", "NXDOMAIN", "denial"),
    ("mx", "MX", "NOERROR", "secure"), ("srv", "SRV", "NOERROR", "secure"), ("_25._tcp.mail", "TLSA", "NOERROR", "secure"), ("_tcp.mail", "TLSA", "NOERROR", "secure"),
    ("signedchild", "DS", "NOERROR", "secure"), ("www.signedchild", "A", "NOERROR", "secure"), ("nothere.signedchild", "A", "NXDOMAIN", "denial"),
    ("q.w.signedchild", "TXT", "NOERROR", "denial"), ("signedchild", "A", "NOERROR", "secure"), ("unsignedchild", "DS", "NOERROR", "denial"),
    ("www.unsignedchild", "A", "NOERROR", "insecure"), ("nothere.unsignedchild", "A", "NXDOMAIN", "insecure"), ("unsignedchild", "SOA", "NOERROR", "insecure"),
]
OPT_OUT = {"optout.test", "knotoptout.test"}


def unbound(folder, upstream, files, anchors):
    """unbound that knows nothing but the test zones, all of them at `upstream`."""
    port = peers.free_port()
    trust = "".join(f'  trust-anchor: "{ds}"\n' for ds in anchors.values())
    tops = [apex for apex in files if not any(apex.endswith("." + other) for other in files)]
    stubs = "".join(f'stub-zone:\n  name: "{apex}"\n  stub-addr: {upstream[0]}@{upstream[1]}\n' for apex in tops)
    (folder / "unbound.conf").write_text(f"""server:
  interface: {peers.LOOPBACK}
  port: {port}
  do-ip6: no
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/unbound.pid"
  use-syslog: no
  num-threads: 1
  do-not-query-localhost: no
  local-zone: "test." nodefault
  module-config: "validator iterator"
  val-log-level: 2
  aggressive-nsec: no
{trust}remote-control:
  control-enable: no
{stubs}""")
    return peers.Server("unbound", [peers.daemon("unbound", folder), "-d", "-c", "unbound.conf"], port, folder)


def owner(label, apex):
    return apex if label == "@" else f"{label}.{apex}"


def wire_name(text):
    return dns.name.from_text(text).to_wire()


def expected(state, apex):
    return "insecure" if state == "denial" and apex in OPT_OUT else "secure" if state == "denial" else state


def by_unbound(tally, resolver, apex):
    for label, rtype, rcode, state in TABLE:
        wire = m.message(m.RD | m.AD, [m.question(wire_name(owner(label, apex)), m.TYPES[rtype.upper()])], additional=[m.opt_record(do=True)])
        answer = resolver.ask(wire, 20)
        reply = m.read(answer) if answer else None
        got = (m.RCODES.get(reply.rcode), "secure" if reply.flag(m.AD) else "insecure") if reply else ("silence", "")
        want = (rcode, expected(state, apex))
        tally.check(got == want, f"unbound: {owner(label, apex)} {rtype}: {' '.join(got)}, expected {' '.join(want)}")


def delv_says(server, folder, apex, label, rtype):
    """delv's verdict on one question."""
    host, port = server.address
    command = [peers.program("delv"), "-a", str(folder / f"{apex}.anchor"), f"+root={apex}", f"@{host}", "-p", str(port),
               "-t", rtype, "-q", owner(label, apex)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def by_delv(tally, server, folder, apex, ds):
    tag, algorithm, digest, key = ds.split(" DS ")[1].split()
    (folder / f"{apex}.anchor").write_text(f'trust-anchors {{ "{apex}." static-ds {tag} {algorithm} {digest} "{key}"; }};\n')
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        said = pool.map(lambda row: delv_says(server, folder, apex, row[0], row[1]), TABLE)
    for (label, rtype, rcode, state), text in zip(TABLE, said, strict=True):
        want = {"secure": ["fully validated"], "insecure": ["unsigned answer"]}[expected(state, apex)]
        if state == "denial" and apex in OPT_OUT:
            want.append("fully validated")   # BIND reads section 9.2 less strictly for NODATA
        holds = any(words in text for words in want)
        if expected(state, apex) == "secure" and rcode == "NXDOMAIN":
            holds = holds and "ncache nxdomain" in text
        tally.check(holds, f"delv: {owner(label, apex)} {rtype}: expected {rcode}, {' or '.join(want)}:\n{text.strip()}")


def main():
    tally = Tally()
    files, anchors = zones.made()
    with peers.start(SUBJECT, "validation", files) as server:
        folder = peers.fresh("validation/unbound")
        with unbound(folder, server.address, files, anchors) as resolver:
            for apex in anchors:
                resolver.wait_for(apex, m.RA)
                by_unbound(tally, resolver, apex)
        for apex, ds in anchors.items():
            by_delv(tally, server, folder, apex, ds)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
