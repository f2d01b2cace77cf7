"""Pools as clients see them: 10,000 hands by one flow and by many, a pool of 2,200, a zone of 100,000 addresses."""
import collections
import ipaddress
import json
import socket
import struct
import sys

import exchange
import message as m
import peers
from queries import Query
from tally import Tally

APEX = "pool.test"
HEAD = [f"$ORIGIN {APEX}.", "$TTL 300", "@ SOA ns1 hostmaster 1 3600 600 1209600 30", "@ NS ns1", "ns1 A 127.0.0.1"]
HANDS = 10_000
FLOWS = 100
MEMBERS, K = 10, 3
HUGE = 2_200
POLICY = f"""
[pool.www]
k = {K}
ttl = 30

[pool.plain]
k = {K}
spread = "random"

[pool.six]
k = {{ a = 2, aaaa = 4 }}

[pool.huge]

[pool.whole]
spread = "all"
"""


def addresses(count, base="10.0.0.0"):
    first = int(ipaddress.ip_address(base)) + 1
    return [str(ipaddress.ip_address(first + i)) for i in range(count)]


def write_zones(folder):
    """The pools, and a zone of 100,000 names."""
    lines = HEAD + [f"{owner} A {address}" for owner in ("www", "plain", "six") for address in addresses(MEMBERS)]
    lines += [f"six AAAA 2001:db8::{i:x}" for i in range(1, MEMBERS + 1)]
    lines += [f"{owner} A {address}" for owner in ("huge", "whole") for address in addresses(HUGE, "10.1.0.0")]
    (folder / "zones").mkdir()
    (folder / "zones" / f"{APEX}.zone").write_text("\n".join([*lines, ""]))
    (folder / "zones" / f"{APEX}.toml").write_text(POLICY)
    many = ["$ORIGIN many.test.", *HEAD[1:]] + [f"h{i} A {address}" for i, address in enumerate(addresses(100_000, "10.2.0.0"))]
    (folder / "zones" / "many.test.zone").write_text("\n".join([*many, ""]))


def query(owner, rtype="A", tcp=False, size=1232):
    name = m.labels_wire([label.encode() for label in owner.split(".")])
    return Query("pool", owner, m.message(0, [m.question(name, m.TYPES[rtype])], additional=[m.opt_record(size)]), tcp)


def hand(wire):
    """The addresses of a reply in their order, with the set of their TTLs."""
    count, at = struct.unpack_from("!H", wire, 6)[0], 12
    at = m.read_name(wire, at)[1] + 4
    dealt, ttls = [], set()
    for _ in range(count):
        at = m.read_name(wire, at)[1]
        _, _, ttl, length = struct.unpack_from("!HHIH", wire, at)
        dealt.append(wire[at + 10:at + 10 + length])
        ttls.add(ttl)
        at += 10 + length
    return tuple(dealt), ttls


def ask_in_flows(address, asked, flows):
    share = len(asked) // flows
    return [reply for flow in range(flows) for reply in exchange.ask(address, asked[flow * share:(flow + 1) * share])]


def check_hands(tally, what, replies, members, k, ttl=30):
    hands = [hand(reply) for reply in replies if reply]
    tally.check(len(hands) == len(replies), f"{what}: {len(replies) - len(hands)} of {len(replies)} queries were not answered")
    dealt = [addresses_dealt for addresses_dealt, _ in hands]
    tally.check(all(len(one) == k for one in dealt), f"{what}: hands of {sorted({len(one) for one in dealt})} addresses, expected {k}")
    tally.check(all(len(set(one)) == len(one) for one in dealt), f"{what}: an address twice in a hand")
    tally.check(all(ttls <= {ttl} for _, ttls in hands), f"{what}: TTLs {set().union(*(ttls for _, ttls in hands))}, expected {ttl}")
    used = collections.Counter(address for one in dealt for address in one)
    tally.check(len(used) == members, f"{what}: {len(used)} of {members} members were dealt")
    # The lowest member is the lowest of every hand that it is in, so its share of those who take the lowest is all it gets.
    least = len(dealt) / (members - k + 1)
    tally.check(min(used.values()) > 0.9 * least, f"{what}: a member was dealt {min(used.values())} times, expected {least:.0f}")
    subsets, orders = {frozenset(one) for one in dealt}, set(dealt)
    tally.check(len(subsets) >= (members if members >= 3 * k else members - k + 1), f"{what}: only {len(subsets)} subsets in {len(dealt)} hands")
    tally.check(len(orders) > len(subsets), f"{what}: {len(orders)} orders of {len(subsets)} subsets")
    same = sum(one == other for one, other in zip(dealt, dealt[1:], strict=False))
    tally.check(same < len(dealt) / 10, f"{what}: {same} hands were those of the query before")


def check_overload(tally, server):
    """100,000 queries: what clients that take the lowest, the highest, the first or any address do is what `kofn spread` says."""
    replies = ask_in_flows(server.address, [query(f"www.{APEX}")] * 100_000, FLOWS)
    dealt = [hand(reply)[0] for reply in replies]
    takes = {"lowest": [min(one) for one in dealt], "highest": [max(one) for one in dealt], "first": [one[0] for one in dealt],
             "any": [address for one in dealt for address in one]}
    said = json.loads(server.command("spread", f"www.{APEX}", "--zones", "zones", "--json").stdout)
    for kind, taken in takes.items():
        counts = collections.Counter(taken)
        seen = [counts[socket.inet_aton(member["address"])] * MEMBERS / len(taken) for member in said["members"]]
        expected = [member["overload"][kind] for member in said["members"]]
        # The first of a hand is drawn when the ring is made, by the server and by the command each for itself.
        tolerance = 0.1 if kind == "first" else 0.02
        apart = max(abs(one - other) for one, other in zip(seen, expected, strict=True))
        tally.check(apart <= tolerance, f"{kind}: a member is {apart:.3f} from what kofn spread says: {seen}, {expected}")
        worst = max(seen)
        tally.check(worst <= 1.02 * said["overload"][kind], f"{kind}: worst {worst:.3f}, kofn spread says {said['overload'][kind]:.3f}")


def check_whole(tally, server):
    """spread = "all": TC by UDP, every member by TCP, in a changing order."""
    udp = m.read(server.ask(query(f"whole.{APEX}").wire))
    tally.check(udp.flag(m.TC), f"{HUGE} addresses by UDP come without TC")
    by_tcp = exchange.ask(server.address, [query(f"whole.{APEX}", tcp=True)] * 8)
    dealt = [hand(reply)[0] for reply in by_tcp if reply]
    tally.check([len(set(one)) for one in dealt] == [HUGE] * 8, f"by TCP come {[len(set(one)) for one in dealt]} addresses, expected {HUGE}")
    tally.check(len({one[0] for one in dealt}) > 1, "spread = all always begins with the same address")


def check_many(tally, server):
    """Every hundredth of 100,000 names, and one past them."""
    wanted = addresses(100_000, "10.2.0.0")
    asked = [query(f"h{i}.many.test") for i in range(0, 100_000, 100)]
    got = [hand(reply)[0] if reply else () for reply in exchange.ask(server.address, asked)]
    right = sum(one == (socket.inet_aton(wanted[i * 100]),) for i, one in enumerate(got))
    tally.check(right == len(asked), f"{right} of {len(asked)} names of a zone of 100,000 were answered right")
    tally.check(m.read(server.ask(query("h100000.many.test").wire)).rcode == 3, "a name that is not there is not NXDOMAIN")


def main():
    tally = Tally()
    folder = peers.fresh("pools")
    write_zones(folder)
    with peers.Kofn(folder, apexes=[APEX, "many.test"]) as server:
        for owner in ("www", "plain"):
            for flows in (1, FLOWS):
                replies = ask_in_flows(server.address, [query(f"{owner}.{APEX}")] * HANDS, flows)
                check_hands(tally, f"{owner} by {flows} flow{'s' * (flows > 1)}", replies, MEMBERS, K)
        check_overload(tally, server)
        for rtype, k in (("A", 2), ("AAAA", 4)):
            replies = ask_in_flows(server.address, [query(f"six.{APEX}", rtype)] * 2000, 1)
            check_hands(tally, f"six {rtype}", replies, MEMBERS, k)
        by_tcp = exchange.ask(server.address, [query(f"www.{APEX}", tcp=True)] * 2000)
        check_hands(tally, "www by TCP", by_tcp, MEMBERS, K)
        replies = exchange.ask(server.address, [query(f"huge.{APEX}")] * 2000)
        tally.check(all(reply and len(set(hand(reply)[0])) == 2 for reply in replies), f"a pool of {HUGE} does not deal 2")
        tally.check(len({one for reply in replies if reply for one in hand(reply)[0]}) > HUGE / 4, f"a pool of {HUGE} deals few members")
        check_whole(tally, server)
        check_many(tally, server)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
