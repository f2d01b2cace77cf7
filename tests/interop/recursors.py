"""Starts the resolvers that stand in front of kofn: unbound, BIND, Knot Resolver, PowerDNS Recursor, dnsmasq.

Each on a free loopback port, in a folder of its own, with the order of records and the cache as its authors chose them.
All they do not know they ask of kofn, which refuses it: no packet leaves the machine.
"""
import re
import subprocess

import message as m
import peers


def unbound(folder, port, upstream):
    (folder / "unbound.conf").write_text(f"""server:
  interface: {peers.LOOPBACK}
  port: {port}
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: "{folder}/unbound.pid"
  use-syslog: no
  num-threads: 1
  do-not-query-localhost: no
  local-zone: "test." nodefault
  module-config: "iterator"
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: {peers.LOOPBACK}@{upstream}
""")
    return [peers.daemon("unbound", folder), "-d", "-c", "unbound.conf"]


def bind(folder, port, upstream):
    (folder / "named.conf").write_text(f"""options {{
  directory "{folder}";
  listen-on port {port} {{ {peers.LOOPBACK}; }};
  listen-on-v6 {{ none; }};
  pid-file "{folder}/named.pid";
  session-keyfile none;
  recursion yes;
  allow-query {{ any; }};
  dnssec-validation no;
  empty-zones-enable no;
  forward only;
  forwarders {{ {peers.LOOPBACK} port {upstream}; }};
}};
controls {{ }};
""")
    return [peers.daemon("named", folder), "-g", "-n", "1", "-c", "named.conf"]


def knot_resolver(folder, port, upstream):
    (folder / "kresd.conf").write_text(f"""net.listen('{peers.LOOPBACK}', {port}, {{ kind = 'dns' }})
for _, name in ipairs({{ 'priming', 'detect_time_skew', 'detect_time_jump', 'ta_update', 'ta_signal_query' }}) do
    if modules.list()[name] ~= nil then modules.unload(name) end
end
trust_anchors.remove('.')
cache.size = 20 * MB
policy.add(policy.all(policy.STUB({{'{peers.LOOPBACK}@{upstream}'}})))
""")
    return [peers.daemon("kresd", folder), "-n", "-q", "-c", "kresd.conf", str(folder)]


def powerdns(folder, port, upstream):
    (folder / "recursor.conf").write_text(f"""local-address={peers.LOOPBACK}
local-port={port}
socket-dir={folder}
daemon=no
write-pid=no
disable-syslog=yes
threads=1
dnssec=off
dont-query=
security-poll-suffix=
forward-zones=.={peers.LOOPBACK}:{upstream}
""")
    return [peers.daemon("pdns_recursor", folder), f"--config-dir={folder}"]


def dnsmasq(folder, port, upstream):
    (folder / "dnsmasq.conf").write_text(f"""port={port}
listen-address={peers.LOOPBACK}
bind-interfaces
user=
no-resolv
no-hosts
cache-size=10000
pid-file={folder}/dnsmasq.pid
server={peers.LOOPBACK}#{upstream}
""")
    return [peers.daemon("dnsmasq", folder), "--keep-in-foreground", "--log-facility=-", "--conf-file=dnsmasq.conf"]


# How each is started, and how it tells its version.
RESOLVERS = {
    "unbound": (unbound, ["unbound", "-V"]),
    "BIND": (bind, ["named", "-v"]),
    "Knot Resolver": (knot_resolver, ["kresd", "--version"]),
    "PowerDNS Recursor": (powerdns, ["pdns_recursor", "--version"]),
    "dnsmasq": (dnsmasq, ["dnsmasq", "--version"]),
}


def start(name, topic, upstream, apex):
    """The resolver `name` before the server at port `upstream`, once it answers for `apex`."""
    for attempt in (1, 2):
        folder, port = peers.fresh(f"{topic}/{name.replace(' ', '-')}"), peers.free_port()
        argv = RESOLVERS[name][0](folder, port, upstream)
        try:
            server = peers.Server(name, argv, port, folder)
            try:
                server.wait_for(apex, m.RA)
            except peers.NotReady:
                server.stop()
                raise
            return server
        except peers.NotReady as error:
            if attempt == 2 or "in use" not in str(error):
                raise
    raise AssertionError("two tries end above")


def version(name):
    """The version, as the program itself says it."""
    command = RESOLVERS[name][1]
    told = subprocess.run([peers.program(command[0]), *command[1:]], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+[\w.]*", told.stdout + told.stderr)
    return found[0] if found else "?"
