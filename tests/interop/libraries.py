"""The address that glibc and musl put first, asked at several places of a network: where clients sort by prefix.

kofn listens on port 53 of a network namespace that has no way out and ends with its last process, so that nothing is left
behind whatever fails. It has one interface, whose addresses make it one client after the other.
"""
import ipaddress
import json
import os
import subprocess
import sys

import exchange
import message as m
import peers
import shares
from pools import hand
from tally import Tally

APEX = "sorted.test"
ASKED = 600       # lookups a client, library and pool
DEALT = 4000      # hands of each pool for the model
K = 3
SPREADS = ("balanced", "random", "all")
LAN = [f"10.77.0.{i}" for i in range(11, 21)]
FAR = [f"{net}.{i}" for net, count in (("192.0.2", 4), ("198.51.100", 3), ("203.0.113", 3)) for i in range(1, count + 1)]
SIX = [f"2001:db8:{net}::{i:x}" for net in ("1", "2", "8000") for i in range(1, 5)]
UNREACHED = ["2001:db8:dead::1"]
SITE = 48         # bits of the prefixes that hands keep to, or take one member of
# Members by pool; what is done with them follows with a hyphen. Clients of `bare` have no IPv6 address at all, not even on the link;
# those of `dual` cannot reach the AAAA record that it has.
POOLS = {"lan": LAN, "bare": LAN, "far": FAR, "dual": FAR, "six": SIX}
LAN_CLIENTS = ["10.77.0.2", "10.77.0.10", "10.77.0.21", "10.77.0.60", "10.77.0.130", "10.77.0.250"]
FAR_CLIENTS = ["10.77.0.2", "198.18.0.9", "203.0.112.9"]
SIX_CLIENTS = ["2001:db8:1::c", "2001:db8:2::6", "2001:db8:4::c", "2001:db8:9000::c", "3fff:1::c"]
CLIENTS = {"lan": LAN_CLIENTS, "bare": LAN_CLIENTS[:2], "far": FAR_CLIENTS, "dual": FAR_CLIENTS, "six": SIX_CLIENTS}
LIBRARIES = {"glibc": "gcc", "musl": "musl-gcc"}
UNSHARE = ["unshare", "--net", "--mount", "--propagation", "private"]


def owners():
    """Each owner with its pool and its policy."""
    for pool in POOLS:
        for spread in SPREADS:
            yield f"{pool}-{spread}", pool, f'k = {K}\nspread = "{spread}"\n'
    yield "lan-one", "lan", "k = 1\n"
    yield "six-together", "six", f"k = {K}\ntogether = {SITE}\n"
    yield "six-apart", "six", f"k = {K}\napart = {SITE}\n"


def write_zone(folder):
    lines = [f"$ORIGIN {APEX}.", "$TTL 300", "@ SOA ns1 hostmaster 1 3600 600 1209600 30", "@ NS ns1", "ns1 A 127.0.0.1"]
    policy = []
    for owner, pool, text in owners():
        lines += [f"{owner} {'AAAA' if ':' in address else 'A'} {address}"
                  for address in POOLS[pool] + (UNREACHED if pool == "dual" else [])]
        policy.append(f"[pool.{owner}]\n{text}ttl = 1\n")
    (folder / "zones").mkdir()
    (folder / "zones" / f"{APEX}.zone").write_text("\n".join([*lines, ""]))
    (folder / "zones" / f"{APEX}.toml").write_text("\n".join(policy))


def shared_bits(one, other):
    width = one.max_prefixlen
    return width - (int(one) ^ int(other)).bit_length()


def sorts(library, pool):
    """Whether the library sorts what this pool sends, by the prefix shared with the client (RFC 6724 section 6, rule 9).

    glibc leaves IPv4 in peace outside of its own subnet, and on hosts without IPv6, of whose networks it learns nothing;
    musl where no IPv6 address stands beside it.
    """
    return pool == "six" or pool == ("lan" if library == "glibc" else "dual")


def model(library, pool, client, hands):
    """The address that comes first by the rule, of each hand; ties keep the order sent."""
    if not sorts(library, pool):
        return [one[0] for one in hands]
    return [max(one, key=lambda address: shared_bits(address, client)) for one in hands]


def ip(*arguments):
    subprocess.run([peers.program("ip"), *arguments], check=True)


def become(client, pool):
    """The namespace's interface gets this address, one of IPv6 for the link unless the pool is `bare`, and a default route."""
    ip("address", "flush", "dev", "lan0")
    ip("-6", "route", "flush", "dev", "lan0")
    if pool != "bare":
        ip("-6", "address", "add", "fe80::c/64", "dev", "lan0", "nodad")
    if client.version == 6:
        ip("-6", "address", "add", f"{client}/48", "dev", "lan0", "nodad")
        ip("-6", "route", "replace", "default", "dev", "lan0")
    else:
        ip("address", "add", f"{client}/24", "dev", "lan0")
        ip("route", "replace", "default", "dev", "lan0")


def looked_up(program, owner):
    """What came first, ASKED times."""
    done = subprocess.run([program, f"{owner}.{APEX}.", str(ASKED)], capture_output=True, text=True, timeout=peers.PATIENCE, check=False)
    if done.returncode:
        raise peers.NotReady(f"{program.name}: {done.stderr}")
    return done.stdout.split()


def dealt(server, owner, pool):
    """Hands for the model, asked of kofn itself."""
    family = m.TYPES["AAAA" if pool == "six" else "A"]
    name = m.labels_wire([label.encode() for label in f"{owner}.{APEX}".split(".")])
    replies = exchange.ask_udp(server.address, [m.message(0, [m.question(name, family)])] * DEALT)
    return [tuple(ipaddress.ip_address(address) for address in hand(reply)[0]) for reply in replies if reply]


def inside():
    """In the namespace: prints what was measured and modelled as JSON, one row an owner, library and client."""
    folder = peers.WORK / "libraries"
    for name, text in (("resolv.conf", f"nameserver {peers.LOOPBACK}\n"), ("nsswitch.conf", "hosts: dns\n")):
        (folder / name).write_text(text)
        if os.path.exists(f"/etc/{name}"):
            subprocess.run([peers.program("mount"), "--bind", str(folder / name), f"/etc/{name}"], check=True)
    ip("link", "set", "lo", "up")
    ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
    for device in ("lan0", "lan1"):
        ip("link", "set", device, "addrgenmode", "none", "up")
    rows = []
    with peers.Kofn(folder, apexes=[APEX], port=53) as server:
        hands = {owner: dealt(server, owner, pool) for owner, pool, _ in owners()}
        for owner, pool, _ in owners():
            for client in map(ipaddress.ip_address, CLIENTS[pool]):
                become(client, pool)
                for library in LIBRARIES:
                    rows.append({"owner": owner, "pool": pool, "library": library, "client": str(client),
                                 "first": looked_up(folder / f"first-{library}", owner),
                                 "model": [str(address) for address in model(library, pool, client, hands[owner])]})
    json.dump(rows, sys.stdout)


def check(tally, row):
    """What holds at each place: the rule that we think the library follows, and that the subset bounds what it can do."""
    who, members = f"{row['library']} at {row['client']}, {row['owner']}", len(POOLS[row["pool"]])
    measured, expected = shares.overload(row["first"], members), shares.overload(row["model"], members)
    about = shares.tolerance(expected, members, min(ASKED, DEALT)) + 0.2
    tally.check(abs(measured - expected) <= about, f"{who}: overload {measured:.2f}, the rule gives {expected:.2f} ± {about:.2f}")
    if row["owner"].endswith("-balanced"):
        # A client of whatever taste arrives at a member at most as often as that is in a hand: k times its share of `any`.
        most = K * shares.optimum(members, K)
        most += shares.tolerance(most, members, ASKED)
        tally.check(measured <= most, f"{who}: overload {measured:.2f}, a hand of {K} allows {most:.2f}")
    return measured


def report(tally, rows):
    table, worst = [], {}
    for owner, pool, _ in owners():
        for library in LIBRARIES:
            mine = [row for row in rows if (row["owner"], row["library"]) == (owner, library)]
            places = [check(tally, row) for row in mine]
            worst[owner, library] = max(places)
            together = [address for row in mine for address in row["first"]]
            members = len(POOLS[pool])
            if owner.endswith(("-balanced", "-together", "-one")):
                tally.check(len(set(together)) == members, f"{library}, {owner}: {len(set(together))} of {members} members are seen")
            table.append([owner, library, "sorts" if sorts(library, pool) else "keeps", len(mine), min(places), max(places),
                          shares.overload(together, members)])
    for library in LIBRARIES:
        tally.check(worst["six-together", library] < worst["six-balanced", library], f"{library}: together = {SITE} does not help those who sort")
    print(shares.table(["pool", "library", "order", "clients", "best placed", "worst placed", "all together"], table) + "\n")


def namespace():
    """The command that makes one, or None where that is forbidden: to root of a container, or to users at all."""
    for command in (UNSHARE, [*UNSHARE[:1], "--user", "--map-root-user", *UNSHARE[1:]]):
        tried = subprocess.run([*command, "sh", "-c", "ip link add lan0 type veth peer name lan1"], capture_output=True, check=False)
        if tried.returncode == 0:
            return command
    return None


def main():
    tally = Tally()
    command = namespace()
    if command is None:
        print("NOT MEASURED: glibc and musl sort by the addresses of their host; that needs a network namespace, which only root, or "
              "users of a kernel that lets them, may make")
        return tally.end()
    folder = peers.fresh("libraries")
    write_zone(folder)
    for library, compiler in LIBRARIES.items():
        source = peers.HERE / "first_address.c"
        subprocess.run([peers.program(compiler), "-O1", "-o", str(folder / f"first-{library}"), str(source)], check=True)
    code = f"import sys; sys.path.insert(0, {str(peers.HERE)!r}); import libraries; libraries.inside()"
    done = subprocess.run([*command, sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ, check=False)
    if tally.check(done.returncode == 0, f"the namespace ended with {done.returncode}"):
        report(tally, json.loads(done.stdout))
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
