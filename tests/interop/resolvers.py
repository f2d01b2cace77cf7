"""Five resolvers in front of kofn: how often their clients arrive at each member, whatever they take of an answer.

The pools stand at wildcards: every name below one is a cache entry of its own with a hand of its own, so thousands of
hands pass through the caches within seconds. Whether a new hand comes after the TTL is seen at a name that stays.
"""
import concurrent.futures
import ipaddress
import random
import sys
import time

import exchange
import message as m
import peers
import recursors
import shares
from pools import addresses, hand
from tally import Tally

APEX = "resolved.test"
MEMBERS, K = 10, 3
WEIGHTS = [1, 4, 1, 1, 2, 3, 1, 3, 4, 1]   # of the members of `weighted`, in address order
# The worst overload that is promised: the optimum, and for weights 3 % above that of a linear program, 1.5.
BOUND = {"balanced": shares.optimum(MEMBERS, K), "weighted": 1.5 * 1.03}
NAMES = {"balanced": 6000, "weighted": 4000, "random": 300, "all": 300}   # cache entries a resolver, family and pool
ROUND = 500        # names asked before they are asked again: the smallest cache, dnsmasq's, holds their addresses
ASKED = 2          # times for each name: once past the cache, once from it
FAITHFUL = 100     # names that are asked often, for the order in which a cache hands out one entry
OFTEN = 8          # times
PATIENCE = 3.0     # seconds until a query is sent again
CROWD = 200        # members of the pool with a TTL of 1: so many that a new hand is hardly ever the old one
LONGEST = 15.0     # seconds until a TTL of 1 must be over; Knot Resolver keeps everything for 5
FAMILIES = {"A": "10.0.0.0", "AAAA": "2001:db8::"}


def members_of(family):
    """Each address of a family with its weight in `weighted`."""
    return zip(addresses(MEMBERS, FAMILIES[family]), WEIGHTS, strict=True)


def write_zone(folder):
    lines = [f"$ORIGIN {APEX}.", "$TTL 300", "@ SOA ns1 hostmaster 1 3600 600 1209600 30", "@ NS ns1", "ns1 A 127.0.0.1"]
    policy = []
    for owner in [f"*.{pool}" for pool in NAMES] + ["short"]:
        ttl, members = (1, CROWD) if owner == "short" else (30, MEMBERS)
        spread = owner[2:] if owner[2:] in ("random", "all") else "balanced"
        lines += [f"{owner} {family} {address}" for family, base in FAMILIES.items() for address in addresses(members, base)]
        policy.append(f'[pool."{owner}"]\nk = {K}\nttl = {ttl}\nspread = "{spread}"\n')
        if owner == "*.weighted":
            weights = ", ".join(f'"{address}" = {weight}' for family in FAMILIES for address, weight in members_of(family))
            policy.append(f"weights = {{ {weights} }}\n")
    (folder / "zones").mkdir()
    (folder / "zones" / f"{APEX}.zone").write_text("\n".join([*lines, ""]))
    (folder / "zones" / f"{APEX}.toml").write_text("\n".join(policy))


def query(owner, family):
    name = m.labels_wire([label.encode() for label in f"{owner}.{APEX}".split(".")])
    return m.message(m.RD, [m.question(name, m.TYPES[family])], additional=[m.opt_record()])


def ask(resolver, wires):
    """The replies, in the order of `wires`, which are sent in any: by the ID of a query unbound picks where it begins."""
    order = random.sample(range(len(wires)), len(wires))
    replies = exchange.ask_udp(resolver.address, [wires[i] for i in order], timeout=PATIENCE)
    return [reply for _, reply in sorted(zip(order, replies, strict=True), key=lambda pair: pair[0])]


def hands_through(resolver, pool, family):
    """(hands, unanswered): the hands that the clients of a resolver see, ASKED for each of the pool's names."""
    replies = []
    for at in range(0, NAMES[pool], ROUND):
        wires = [query(f"n{i}.{pool}", family) for i in range(at, min(at + ROUND, NAMES[pool]))]
        for _ in range(ASKED):
            replies += ask(resolver, wires)
    hands = [hand(reply)[0] if reply else () for reply in replies]
    return [one for one in hands if one], hands.count(())


def firsts_of_an_entry(resolver):
    """Members that the clients of one cache entry take who take the first: mean over FAITHFUL entries asked OFTEN."""
    wires = [query(f"faithful{i}.balanced", "A") for i in range(FAITHFUL)]
    rounds = [ask(resolver, wires) for _ in range(OFTEN)]
    return sum(len({hand(reply)[0][0] for reply in entry if reply}) for entry in zip(*rounds, strict=True)) / FAITHFUL


def seconds_kept(resolver):
    """Seconds from one hand of TTL 1 to the next, or None when it outlives LONGEST."""
    wire, began, kept = query("short", "A"), None, None
    give_up = time.monotonic() + LONGEST
    while time.monotonic() < give_up:
        reply = resolver.ask(wire)
        now, members = time.monotonic(), frozenset(hand(reply)[0]) if reply else kept
        if members != kept:
            if began:
                return now - began
            kept, began = members, now
        time.sleep(peers.PAUSE)
    return None


def check_balanced(tally, who, hands, pool, family):
    """No kind of client may load a member above the bound, and each member must be seen."""
    tally.check(all(len(set(one)) == K for one in hands), f"{who}: hands of {sorted({len(set(one)) for one in hands})} members, expected {K}")
    tally.check(len({one for dealt in hands for one in dealt}) == MEMBERS, f"{who}: not every member is seen")
    weights = {ipaddress.ip_address(address).packed: weight if pool == "weighted" else 1 for address, weight in members_of(family)}
    worst = shares.overloads(hands, MEMBERS, weights)
    for kind, value in worst.items():
        tally.check(value <= allowed(pool), f"{who}: who takes the {kind} overloads a member {value:.2f} times; "
                                            f"{BOUND[pool]:.2f} is promised, {allowed(pool):.2f} allowed")
    return worst


def allowed(pool):
    """The bound and the error of the sample."""
    # Clients that ask the same entry see the same set: the entries are the independent draws, not the clients.
    return BOUND[pool] + shares.tolerance(BOUND[pool], sum(WEIGHTS) / min(WEIGHTS) if pool == "weighted" else MEMBERS, NAMES[pool])


def check_plain(tally, who, hands, spread):
    """That the measure sees what it looks for: sorters of these pools go to one member, K times or all of them."""
    expected = {"random": K, "all": MEMBERS}[spread]
    about = shares.tolerance(expected, MEMBERS, NAMES[spread])
    worst = shares.overloads(hands, MEMBERS)
    for kind in ("lowest", "highest"):
        tally.check(abs(worst[kind] - expected) <= about,
                    f"{who}: who takes the {kind} overloads a member {worst[kind]:.2f} times, expected {expected} ± {about:.2f}")
    return worst


def judge(name, upstream):
    """(tally, rows of the first table, row of the second) of one resolver."""
    tally, rows, told = Tally(), [], f"{name} {recursors.version(name)}"
    with recursors.start(name, "resolvers", upstream, APEX) as resolver:
        for pool in NAMES:
            worst = []
            for family in FAMILIES:
                who = f"{name}, {pool} {family}"
                hands, silent = hands_through(resolver, pool, family)
                tally.check(not silent, f"{who}: {silent} queries were not answered")
                worst.append(check_balanced(tally, who, hands, pool, family) if pool in BOUND else check_plain(tally, who, hands, pool))
            rows.append([pool, told, *(" / ".join(f"{one[kind]:.2f}" for one in worst) for kind in shares.KINDS)])
        firsts = firsts_of_an_entry(resolver)
        kept = seconds_kept(resolver)
    tally.check(kept is not None, f"{name}: a hand of TTL 1 is kept for more than {LONGEST:.0f} s")
    return tally, rows, [told, firsts, kept or 0.0]


def main():
    tally, rows, caches = Tally(), [], []
    folder = peers.fresh("resolvers/kofn")
    write_zone(folder)
    with peers.Kofn(folder, apexes=[APEX]) as server, concurrent.futures.ThreadPoolExecutor(len(recursors.RESOLVERS)) as pool:
        for part, measured, cache in pool.map(lambda name: judge(name, server.address[1]), recursors.RESOLVERS):
            tally.add(part)
            rows += measured
            caches.append(cache)
    sizes = ", ".join(f"{count} of {pool}" for pool, count in NAMES.items())
    print(f"Worst overload of {MEMBERS} members by hands of {K}, A / AAAA. Cache entries, each asked {ASKED} times: {sizes}.\n"
          + "\n".join(f"{pool}: {BOUND[pool]:.2f} is promised, {allowed(pool):.2f} allowed to a sample of this size." for pool in BOUND) + "\n")
    print(shares.table(["pool", "resolver", *shares.KINDS], sorted(rows, key=lambda row: list(NAMES).index(row[0]))) + "\n")
    print(shares.table(["resolver", f"firsts of one entry asked {OFTEN} times", "seconds until a hand of TTL 1 changes"], caches) + "\n")
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
