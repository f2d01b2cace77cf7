"""Resolvers let go of a dying member sooner when its hands carry `ttl_min`: measured beside a pool whose TTL is fixed.

Two pools of one zone have the same members and the same check, so that doubt and verdict come to both at once. They stand at
wildcards: each name below one is a cache entry of its own. While the verdict hangs every resolver is asked for names it has not
asked for before; the time counts from the death of the backend until the last of them is answered without it.
"""
import concurrent.futures
import contextlib
import ipaddress
import sys
import time

import exchange
import peers
import recursors
import shares
from death import BACKENDS, Backends
from pools import hand, query
from tally import Tally

APEX = "dying.test"
TTL, TTL_MIN, INTERVAL, FALL = 30, 1, 2, 3
POOLS = ("doubt", "fixed", "one")
ENTRIES = 20       # cache entries a resolver and pool
LIMIT = TTL + 15   # seconds until every cache must have let go
RESOLVERS = ["unbound", "BIND", "PowerDNS Recursor"]
HEAD = "$TTL 300\n@ SOA ns1 hostmaster 1 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\n"


def write_zone(folder, port):
    (folder / "zones").mkdir()
    (folder / f"zones/{APEX}.zone").write_text(HEAD + "".join(f"*.{pool} A {address}\n" for pool in POOLS for address in BACKENDS))
    policy = (f'[check.port]\ntype = "tcp"\nport = {port}\ninterval = {INTERVAL}\nfast_interval = {INTERVAL}\nfall = {FALL}\njitter = 0\n'
              'timeout = "1s"\n')
    for pool in POOLS:
        spread = "k = 1" if pool == "one" else 'spread = "all"'
        policy += f'[pool."*.{pool}"]\n{spread}\nttl = {TTL}\nttl_min = {TTL if pool == "fixed" else TTL_MIN}\ncheck = "port"\n'
    (folder / f"zones/{APEX}.toml").write_text(policy)


def names(pool, phase):
    return [query(f"{phase}{i}.{pool}.{APEX}") for i in range(ENTRIES)]


def dealt(server, pool, phase="direct"):
    """(addresses, TTLs) of each name of a phase."""
    wires = [one.wire[:2] + b"\x01\0" + one.wire[4:] for one in names(pool, phase)]   # a resolver wants RD
    return [hand(reply) for reply in exchange.ask_udp(server.address, wires, timeout=3.0) if reply]


def until(limit, holds):
    """When `holds()`, or None when it did not within `limit` seconds."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if holds():
            return time.monotonic()
        time.sleep(0.02)
    return None


def check_direct(tally, server, gone):
    """What kofn itself deals while the verdict hangs: the doubt is in the hands that hold the member, and in no others."""
    ttls = {pool: dealt(server, pool) for pool in POOLS}
    tally.check(all(gone in one and told == {TTL_MIN} for one, told in ttls["doubt"]), f"hands of a dying member: {ttls['doubt'][:3]}")
    tally.check(all(gone in one and told == {TTL} for one, told in ttls["fixed"]), f"hands of a fixed TTL: {ttls['fixed'][:3]}")
    tally.check(all(told == {TTL_MIN if gone in one else TTL} for one, told in ttls["one"]), f"hands of one: {ttls['one']}")
    tally.check({gone in one for one, _ in ttls["one"]} == {True, False}, "some hands of one name the dying member, and others do not")


def last_without(resolver, pool, gone):
    """The moments at which the names of the doubt were first answered without the dead member, in order."""
    moments = {}

    def all_gone():
        for place, (addresses, _) in enumerate(dealt(resolver, pool, "doubt")):
            if gone not in addresses:
                moments.setdefault(place, time.monotonic())
        return len(moments) == ENTRIES
    until(LIMIT, all_gone)
    return sorted(moments.values())


def judge(tally, name, killed, verdict, moments):
    """The row of one resolver: seconds from the death."""
    if not all(tally.check(len(moments[pool]) == ENTRIES, f"{name}: {ENTRIES - len(moments[pool])} names of {pool} keep the dead member")
               for pool in ("doubt", "fixed")):
        return [name, LIMIT, LIMIT]
    tally.check(moments["doubt"][-1] < moments["fixed"][0], f"{name}: a fixed TTL lets go before doubt does")
    tally.check(all(moment > verdict - 1 for moment in moments["doubt"]), f"{name}: let go before the verdict")
    return [name, moments["doubt"][-1] - killed, moments["fixed"][-1] - killed]


def main():
    tally, folder, port = Tally(), peers.fresh("caches/kofn"), peers.free_port()
    write_zone(folder, port)
    gone = ipaddress.ip_address(BACKENDS[0]).packed
    with contextlib.ExitStack() as stack:
        backends = Backends(port)
        stack.callback(backends.stop)
        server = stack.enter_context(peers.Kofn(folder, apexes=[APEX]))
        workers = stack.enter_context(concurrent.futures.ThreadPoolExecutor(2 * len(RESOLVERS)))
        caches = {name: stack.enter_context(recursors.start(name, "caches", server.address[1], APEX)) for name in RESOLVERS}
        tally.check(all(told == {TTL} for pool in POOLS for _, told in dealt(server, pool)), "in peace all hands carry the whole TTL")
        killed = backends.kill(BACKENDS[0])
        doubt = until(LIMIT, lambda: dealt(server, "doubt")[0][1] == {TTL_MIN})
        if not tally.check(doubt is not None, "no TTL was lowered"):
            return tally.end()
        for name, cache in caches.items():
            for pool in ("doubt", "fixed"):
                asked = dealt(cache, pool, "doubt")
                tally.check(len(asked) == ENTRIES and all(gone in one for one, _ in asked), f"{name}: {pool} names {asked[:2]} while the verdict hangs")
        check_direct(tally, server, gone)
        asked = {(name, pool): workers.submit(last_without, cache, pool, gone) for name, cache in caches.items() for pool in ("doubt", "fixed")}
        verdict = until(LIMIT, lambda: gone not in dealt(server, "fixed")[0][0])
        if not tally.check(verdict is not None, "the verdict does not fall"):
            return tally.end()
        rows = [judge(tally, f"{name} {recursors.version(name)}", killed, verdict, {pool: asked[name, pool].result() for pool in ("doubt", "fixed")})
                for name in RESOLVERS]
    print(f"Doubt came {doubt - killed:.1f} s after the death, the verdict {verdict - killed:.1f} s. Seconds from the death until the last of "
          f"{ENTRIES} names\nthat were first asked for between the two was answered without the dead member:\n")
    print(shares.table(["resolver", f"ttl {TTL}, ttl_min {TTL_MIN}", f"ttl {TTL} fixed"], rows) + "\n")
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
