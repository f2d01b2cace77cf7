"""Some 20,000 seeded queries to NSD, Knot, BIND and kofn, answer by answer.

KOFN_STANDIN=nsd (knot, bind) puts a peer in kofn's place and judges it by the other two: how the rig itself is tried.
"""
import collections
import concurrent.futures
import contextlib
import multiprocessing
import os
import sys

import allowed
import compare
import exchange
import message as m
import peers
import queries
import zones

SUBJECT = os.environ.get("KOFN_STANDIN", "kofn")
PEERS = [name for name in ("nsd", "knot", "bind") if name != SUBJECT]
COUNT = int(os.environ.get("INTEROP_QUERIES", "20000"))
EXAMPLES = 3   # of each group in the details


def gather(asked, files):
    """The replies of each server: name → list. All run at once, each asked by a process of its own."""
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(peers.start(name, "answers", files)) for name in [*PEERS, SUBJECT]}
        with concurrent.futures.ProcessPoolExecutor(len(servers), multiprocessing.get_context("fork")) as pool:
            waiting = {name: pool.submit(exchange.ask, server.address, asked) for name, server in servers.items()}
            replies = {name: future.result() for name, future in waiting.items()}
        for name, server in servers.items():
            if server.process.poll() is not None:
                raise peers.NotReady(f"{name} ended during the queries with {server.process.returncode}:\n{server.log[-4000:]}")
        return replies


def read(wire):
    return m.read(wire) if wire is not None else None


def judge_all(asked, replies, world):
    """(cause → cases, reason of an allowed entry → count)."""
    groups, used = collections.defaultdict(list), collections.Counter()
    for i, query in enumerate(asked):
        try:
            ours = read(replies[SUBJECT][i])
        except m.Malformed as error:
            groups[f"the reply cannot be read: {error}"].append((query, i))
            continue
        case = compare.Case(query, {name: read(replies[name][i]) for name in PEERS}, ours)
        general = compare.judge(case, world)
        faults, reason = allowed.judged(case, general, world)
        if reason and general and not faults:
            used[reason] += 1
        if faults:
            groups[cause(query, faults)].append((query, i))
    return groups, used


def cause(query, faults):
    """Equal causes read equal: what was odd about the query, without its zone, and what is wrong."""
    kind = query.kind if query.zone == "" else query.kind.split(": ", 1)[1]
    special = kind if query.zone == "" else ""
    return f"{special + ' → ' if special else ''}{' | '.join(faults)}"


def show(reply):
    """A reply for people."""
    if reply is None:
        return "    (silence)"
    flags = " ".join(name for name, bit in compare.FLAGS if reply.flag(bit))
    lines = [f"    {m.RCODES.get(reply.rcode, reply.rcode)} [{flags}] {reply.size} octets, OPT {reply.opt}"]
    for title in ("answer", "authority", "additional"):
        for owner, rtype, _, ttl, rdata in sorted(getattr(reply, title)):
            lines.append(f"      {title:10} {m.name_text(owner)} {ttl} {m.type_name(rtype)} {shown_rdata(rtype, rdata)}")
    return "\n".join(lines)


def shown_rdata(rtype, rdata):
    if rtype == m.TYPES["RRSIG"]:
        return m.type_name(int.from_bytes(rdata[:2], "big"))
    if rtype in m.NAMES_IN_RDATA:
        skip = m.NAMES_IN_RDATA[rtype][0]
        return rdata[:skip].hex() + " " + m.name_text(rdata[skip:])
    return rdata[:48].hex()


def write_details(groups, replies, path):
    with open(path, "w", encoding="utf-8") as out:
        for why, cases in sorted(groups.items(), key=lambda item: -len(item[1])):
            out.write(f"=== {len(cases)} × {why}\n")
            for query, i in cases[:EXAMPLES]:
                out.write(f"--- {query.text}\n    # {query.kind}\n")
                for name in [SUBJECT, *PEERS]:
                    try:
                        shown = show(read(replies[name][i]))
                    except m.Malformed as error:
                        shown = f"    {error}: {replies[name][i].hex()}"
                    out.write(f"  {name}:\n{shown}\n")


def main():
    files, _ = zones.made()
    loaded = queries.load(files)
    asked = queries.generate(loaded, COUNT)
    replies = gather(asked, files)
    groups, used = judge_all(asked, replies, compare.World(loaded))
    failed = sum(len(cases) for cases in groups.values())
    details = peers.WORK / f"answers-{SUBJECT}.txt"
    write_details(groups, replies, details)
    for why, cases in sorted(groups.items(), key=lambda item: -len(item[1]))[:40]:
        print(f"{len(cases):6} × {why}\n         e.g. {cases[0][0].text}")
    for reason, count in used.most_common():
        print(f"{count:6} allowed: {reason}")
    if groups:
        print(f"{len(groups)} causes; the replies stand in {details}")
    print(f"{len(asked) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
