"""Five resolvers in front of kofn: how often their clients arrive at each member, whatever they take of an answer.

The pools stand at wildcards: every name below one is a cache entry of its own with a hand of its own, so thousands of
hands pass through the caches within seconds. Whether a new hand comes after the TTL is seen at a name that stays.
"""
import concurrent.futures
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
NAMES = {"balanced": 6000, "random": 300, "all": 300}   # cache entries a resolver, family and pool
ROUND = 500        # names asked before they are asked again: the smallest cache, dnsmasq's, holds their addresses
ASKED = 2          # times for each name: once past the cache, once from it
FAITHFUL = 100     # names that are asked often, for the order in which a cache hands out one entry
OFTEN = 8          # times
PATIENCE = 3.0     # seconds until a query is sent again
CROWD = 200        # members of the pool with a TTL of 1: so many that a new hand is hardly ever the old one
LONGEST = 15.0     # seconds until a TTL of 1 must be over; Knot Resolver keeps everything for 5
FAMILIES = {"A": "10.0.0.0", "AAAA": "2001:db8::"}


def write_zone(folder):
    lines = [f"$ORIGIN {APEX}.", "$TTL 300", "@ SOA ns1 hostmaster 1 3600 600 1209600 30", "@ NS ns1", "ns1 A 127.0.0.1"]
    policy = []
    for owner in [f"*.{spread}" for spread in NAMES] + ["short"]:
        spread, ttl, members = ("balanced", 1, CROWD) if owner == "short" else (owner[2:], 30, MEMBERS)
        lines += [f"{owner} {family} {address}" for family, base in FAMILIES.items() for address in addresses(members, base)]
        policy.append(f'[pool."{owner}"]\nk = {K}\nttl = {ttl}\nspread = "{spread}"\n')
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


def hands_through(resolver, spread, family):
    """(hands, unanswered): the hands that the clients of a resolver see, ASKED for each of the pool's names."""
    replies = []
    for at in range(0, NAMES[spread], ROUND):
        wires = [query(f"n{i}.{spread}", family) for i in range(at, min(at + ROUND, NAMES[spread]))]
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


def check_balanced(tally, who, hands):
    """No kind of client may load a member above the optimum, and each member must be seen."""
    bound = shares.optimum(MEMBERS, K)
    # Clients that ask the same entry see the same set: the entries are the independent draws, not the clients.
    most = bound + shares.tolerance(bound, MEMBERS, NAMES["balanced"])
    tally.check(all(len(set(one)) == K for one in hands), f"{who}: hands of {sorted({len(set(one)) for one in hands})} members, expected {K}")
    tally.check(len({one for dealt in hands for one in dealt}) == MEMBERS, f"{who}: not every member is seen")
    worst = shares.overloads(hands, MEMBERS)
    for kind, value in worst.items():
        tally.check(value <= most, f"{who}: who takes the {kind} overloads a member {value:.2f} times; {bound:.2f} is the optimum, {most:.2f} allowed")
    return worst


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
        for spread in NAMES:
            worst = []
            for family in FAMILIES:
                who = f"{name}, {spread} {family}"
                hands, silent = hands_through(resolver, spread, family)
                tally.check(not silent, f"{who}: {silent} queries were not answered")
                worst.append(check_balanced(tally, who, hands) if spread == "balanced" else check_plain(tally, who, hands, spread))
            rows.append([spread, told, *(" / ".join(f"{one[kind]:.2f}" for one in worst) for kind in shares.KINDS)])
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
    bound = shares.optimum(MEMBERS, K)
    most = bound + shares.tolerance(bound, MEMBERS, NAMES["balanced"])
    print(f"Worst overload of {MEMBERS} members by hands of {K}, A / AAAA, over {NAMES['balanced']} cache entries ({NAMES['random']} of random and\n"
          f"all), each asked {ASKED} times. The optimum is {bound:.2f}; {most:.2f} is allowed to a sample of this size.\n")
    print(shares.table(["spread", "resolver", *shares.KINDS], sorted(rows, key=lambda row: list(NAMES).index(row[0]))) + "\n")
    print(shares.table(["resolver", f"firsts of one entry asked {OFTEN} times", "seconds until a hand of TTL 1 changes"], caches) + "\n")
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
