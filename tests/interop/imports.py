"""gdnsd, PowerDNS and tinydns serve what they were told; kofn serves what `kofn import` made of it. Asked many times, both
hand out the same addresses for every name, with one backend dead, and the same records of every other type.
"""
import contextlib
import http.server
import os
import pathlib
import subprocess
import sys
import threading
import time

import dns.message
import dns.query
import dns.rdatatype

import peers
from tally import Tally

ALIVE = ["127.0.0.81", "127.0.0.82", "127.0.0.83"]
DEAD = "127.0.0.84"
TINY = "127.0.0.85"       # tinydns knows port 53 alone
ASKED = 60
LIMIT = 40.0

GDNSD_ZONE = """$TTL 600
@ SOA ns1 hostmaster 7 7200 1800 259200 30
@ NS ns1
@ MX 10 mail.@Z
ns1 A 127.0.0.1 ; stays
mail A 192.0.2.25
txt TXT "a;b" "c"
www 60/30 DYNA multifo!prod
tcp 60 DYNA multifo!tcp
both 60 DYNA multifo!both
canary 60 DYNA weighted!canary
ratio 60 DYNA weighted!ratio
pair 60 DYNA simplefo!pair
far 60 DYNA metafo!far
one 60 DYNC static!one
cmd 60 DYNA multifo!cmd
panic 60 DYNA multifo!panic
"""


def gdnsd_config(folder, port, page):
    members = "a => 127.0.0.81, b => 127.0.0.82, c => 127.0.0.84"
    (folder / "more").mkdir(parents=True)
    (folder / "zones").mkdir()
    (folder / "config").write_text(f"""
options => {{ listen => "127.0.0.1:{port}", run_dir => "{folder}/run", state_dir => "{folder}/state" }}
service_types => {{
  web = {{ plugin = "http_status", port = {page}, url_path => "/up", interval => 2, timeout => 1, up_thresh => 1, ok_thresh => 1, down_thresh => 1 }}
  port => {{ plugin => tcp_connect, port => {page}, interval => 2, timeout => 1, up_thresh => 1, ok_thresh => 1, down_thresh => 1 }}
  ext => {{ plugin => extmon, cmd => ["/bin/sh", "-c", "test %%ITEM%% != {DEAD}"], interval => 2, timeout => 1, up_thresh => 1, down_thresh => 1 }}
}}
plugins => {{
  $include{{more}}
  weighted => {{
    canary => {{ old => [ 127.0.0.81, 9 ], new => [ 127.0.0.82, 1 ] }}
    ratio => {{ service_types => port, up_thresh => 0.1, one => [ 127.0.0.81, 1000 ], two => [ 127.0.0.82, 500 ], dead => [ {DEAD}, 200 ] }}
  }}
  simplefo => {{ pair => {{ service_types => port, primary => {DEAD}, secondary => 127.0.0.82 }} }}
  metafo => {{ resources => {{ far => {{ datacenters => [ d1, d2 ], service_types => port, dcmap => {{
    d1 => {DEAD}, d2 => [ 127.0.0.81, 127.0.0.83 ] }} }} }} }}
  static => {{ one => 127.0.0.83 }}
}}
""")
    (folder / "more" / "multifo.cfg").write_text(f"""multifo => {{
    up_thresh => 0.3
    prod => {{ service_types => web, {members} }}
    tcp => {{ service_types => [ up, port ], {members} }}
    both => {{ addrs_v4 => [ 127.0.0.81, 127.0.0.82 ], addrs_v6 => {{ x => ::1, y => ::2 }} }}
    cmd => {{ service_types => ext, {members} }}
    panic => {{ service_types => port, up_thresh => 0.6, a => 127.0.0.81, b => {DEAD} }}
}}""")
    (folder / "zones" / "g.test").write_text(GDNSD_ZONE)


def powerdns_zone(page):
    members = "'127.0.0.81', '127.0.0.82', '127.0.0.84'"
    return f"""$ORIGIN .
p.test 3600 IN SOA ns1.p.test hostmaster.p.test 7 10800 3600 604800 30
p.test 3600 IN NS ns1.p.test.
p.test 3600 IN MX 10 mail.p.test.
ns1.p.test 3600 IN A 127.0.0.1
mail.p.test 3600 IN A 192.0.2.25
txt.p.test 3600 IN TXT "a;b" "c"
all.p.test 60 IN LUA A "ifportup({page}, {{{members}}}, {{selector='all', backupSelector='all'}})"
port.p.test 60 IN LUA A "ifportup({page}, {{{members}}})"
port.p.test 60 IN LUA AAAA "all({{'::1', '::2'}})"
url.p.test 60 IN LUA A ( "ifurlup('http://www.p.test:{page}/up', " "{{{members}}}, {{stringmatch='fine'}})" )
tier.p.test 60 IN LUA A "ifurlup('http://www.p.test:{page}/up', {{{{'{DEAD}'}}, {{'127.0.0.81', '127.0.0.83'}}}}, {{selector='all'}})"
pick.p.test 60 IN LUA A "pickrandom({{'127.0.0.81', '127.0.0.82'}})"
canary.p.test 60 IN LUA A "pickwrandom({{{{900, '127.0.0.81'}}, {{300, '127.0.0.82'}}}})"
sample.p.test 60 IN LUA A "pickrandomsample(2, {{'127.0.0.81', '127.0.0.82', '127.0.0.83'}})"
"""


TINYDNS = """# data
.t.test:127.0.0.1:ns1
@t.test:192.0.2.25:mail:10
'txt.t.test:a\\072b; "c"
+*.wild.t.test:192.0.2.9
=one.t.test:192.0.2.10
.2.0.192.in-addr.arpa:127.0.0.1:ns1.t.test
Calias.t.test:one.t.test
:gen.t.test:65280:\\001\\002x
^ptr.t.test:one.t.test
"""
TINYDNS += "".join(f"+www.t.test:127.0.1.{host}:60\n" for host in range(1, 13))


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with contextlib.suppress(OSError):   # gdnsd leaves when it has the status
            self.send_response(200 if self.path == "/up" else 404)
            self.end_headers()
            self.wfile.write(b"all is fine")

    def log_message(self, *_):
        """Says nothing."""


def backends(stack, port):
    for address in ALIVE:
        server = http.server.ThreadingHTTPServer((address, port), Page)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        stack.callback(server.shutdown)


class Peer:
    """A server that runs, at an address of its own."""

    def __init__(self, argv, folder, address, environment=None):
        self.address = address
        self.log = open(folder / "log", "wb")
        self.process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        env={**os.environ, **(environment or {})})

    def stop(self):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.wait()
        self.log.close()


def ask(address, name, rtype):
    """The data of the answer, or None when nothing comes."""
    message = dns.message.make_query(name, rtype)
    message.flags &= ~dns.flags.RD
    try:
        reply = dns.query.udp(message, address[0], port=address[1], timeout=1)
    except (dns.exception.Timeout, OSError):
        return None
    if reply.flags & dns.flags.TC:
        reply = dns.query.tcp(message, address[0], port=address[1], timeout=1)
    wanted = [rrset for rrset in reply.answer if rrset.rdtype == dns.rdatatype.from_text(rtype)]
    return [str(record) for rrset in wanted for record in rrset]


def dealt(address, name, rtype):
    """Every address of many answers."""
    answers = [ask(address, name, rtype) or [] for _ in range(ASKED)]
    return {record for answer in answers for record in answer}, {len(answer) for answer in answers}


def same(tally, theirs, ours, names, lengths=()):
    """Asks both until they hand out the same: PowerDNS begins to probe with the first query."""
    for name, rtype in names:
        end = time.monotonic() + LIMIT
        while True:
            (they, they_lengths), (we, our_lengths) = dealt(theirs, name, rtype), dealt(ours, name, rtype)
            if (they == we and they) or time.monotonic() > end:
                break
            time.sleep(0.3)
        tally.check(they and they == we, f"{name} {rtype}: there {sorted(they)}, here {sorted(we)}")
        tally.check(DEAD not in we or "panic" in name, f"{name} {rtype} hands out the dead: {sorted(we)}")
        if name.split(".")[0] not in lengths:
            tally.check(they_lengths == our_lengths, f"{name} {rtype}: answers of {they_lengths} there, {our_lengths} here")


def plain(tally, theirs, ours, names):
    for name, rtype in names:
        they, we = ask(theirs, name, rtype), ask(ours, name, rtype)
        tally.check(they and sorted(they) == sorted(we or []), f"{name} {rtype}: there {they}, here {we}")


def imported(tally, stack, work, server, *files):
    """kofn on what it made of the files."""
    folder = work / f"kofn-{server}"
    folder.mkdir()
    done = subprocess.run([os.environ["KOFN"], "import", server, *map(str, files), "--out", "zones"], cwd=folder,
                          capture_output=True, text=True, check=False)
    tally.check(done.returncode == 0, f"import {server}: {done.stdout}{done.stderr}")
    print(done.stdout.replace(str(work), "").rstrip())
    return stack.enter_context(peers.Kofn(folder)).address


def gdnsd(tally, stack, work, page):
    folder, port = work / "gdnsd", peers.free_port()
    gdnsd_config(folder, port, page)
    stack.callback(Peer([peers.daemon("gdnsd", folder), "-c", str(folder), "start"], folder, None).stop)
    ours, theirs = imported(tally, stack, work, "gdnsd", folder), ("127.0.0.1", port)
    names = ["www", "tcp", "both", "canary", "ratio", "pair", "far", "one", "cmd", "panic"]
    same(tally, theirs, ours, [(f"{name}.g.test", "A") for name in names] + [("both.g.test", "AAAA")])
    plain(tally, theirs, ours, [("g.test", "NS"), ("g.test", "MX"), ("ns1.g.test", "A"), ("txt.g.test", "TXT")])


def powerdns(tally, stack, work, page):
    folder, port = work / "powerdns", peers.free_port()
    folder.mkdir()
    (folder / "p.test.zone").write_text(powerdns_zone(page))
    (folder / "named.conf").write_text(f'zone "p.test" {{ type master; file "{folder}/p.test.zone"; }};\n')
    (folder / "pdns.conf").write_text(
        f"launch=bind\nbind-config={folder}/named.conf\nlocal-address=127.0.0.1\nlocal-port={port}\nsocket-dir={folder}\n"
        "enable-lua-records=yes\nlua-health-checks-interval=1\nlua-health-checks-expire-delay=3600\ncache-ttl=0\n"
        "query-cache-ttl=0\nnegquery-cache-ttl=0\nguardian=no\ndaemon=no\ndisable-syslog=yes\n")
    stack.callback(Peer([peers.daemon("pdns_server", folder), f"--config-dir={folder}"], folder, None).stop)
    ours, theirs = imported(tally, stack, work, "powerdns", folder / "p.test.zone"), ("127.0.0.1", port)
    names = ["all", "port", "url", "tier", "pick", "canary", "sample"]
    # A and AAAA have one policy here, and it is noted: `port` is one address of either family.
    same(tally, theirs, ours, [(f"{name}.p.test", "A") for name in names] + [("port.p.test", "AAAA")], lengths=["port"])
    plain(tally, theirs, ours, [("p.test", "NS"), ("p.test", "MX"), ("ns1.p.test", "A"), ("txt.p.test", "TXT")])


def tinydns(tally, stack, work):
    folder = work / "tinydns"
    folder.mkdir()
    (folder / "data").write_text(TINYDNS)
    subprocess.run([peers.program("tinydns-data")], cwd=folder, check=True)
    # It reads its data as whoever it is told to become.
    os.chmod(folder, 0o755)
    environment = {"ROOT": str(folder), "IP": TINY, "UID": str(os.getuid()), "GID": str(os.getgid())}
    stack.callback(Peer([peers.program("tinydns")], folder, None, environment).stop)
    ours, theirs = imported(tally, stack, work, "tinydns", folder / "data"), (TINY, 53)
    end = time.monotonic() + LIMIT
    while ask(theirs, "t.test", "NS") is None and time.monotonic() < end:
        time.sleep(0.1)
    same(tally, theirs, ours, [("www.t.test", "A"), ("one.t.test", "A")])
    plain(tally, theirs, ours, [("t.test", "NS"), ("t.test", "MX"), ("mail.mx.t.test", "A"), ("txt.t.test", "TXT"),
                                ("x.wild.t.test", "A"), ("10.2.0.192.in-addr.arpa", "PTR"), ("alias.t.test", "CNAME"),
                                ("gen.t.test", "TYPE65280"), ("ptr.t.test", "PTR"), ("ns1.ns.t.test", "A")])


def main():
    tally, work, page = Tally(), pathlib.Path(peers.fresh("imports")), peers.free_port()
    with contextlib.ExitStack() as stack:
        backends(stack, page)
        gdnsd(tally, stack, work, page)
        powerdns(tally, stack, work, page)
        tinydns(tally, stack, work)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
