#!/usr/bin/env python3
"""Measures kofn and other nameservers in turn, A B A B, and prints a table in Markdown.

Each server has one worker on one core, the load comes from another core through loopback. `benches/peers/run` installs
and builds what is needed, then starts this.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

import servers
import zones

WORK = pathlib.Path(os.environ.get("PEERS_WORK", "target/peers")).resolve()


class Mix:
    """A kind of load: what is asked, how, and at which rate the latency is measured."""

    def __init__(self, title, queries, saturate, latency, zone="small", others=None):
        self.title, self.queries, self.zone = title, queries, zone
        self.saturate, self.latency = saturate, latency
        self.others = others or queries


FRESH, FLOWS, JOINED = ["--mode", "fresh"], ["--mode", "flows"], ["--mode", "flows", "--joined"]
RATE = ["--mode", "rate=50000"]
TCP, TCP_ALONE = ["--mode", "tcp"], ["--mode", "tcp", "--sockets", "1", "--window", "1"]
ONCE, ONCE_ALONE = ["--mode", "tcp-once"], ["--mode", "tcp-once", "--sockets", "1"]


def both(*extra):
    """Fresh ports at saturation, and the same below it."""
    return [*FRESH, *extra], [*RATE, *extra]


MIXES = {
    "a": Mix("one A", "one", *both()),
    "a-edns": Mix("one A, EDNS", "one", *both("--edns")),
    "hand": Mix("a hand of 3 of 10; the others: all 8 in rotation", "hand", *both(), others="ring"),
    "hand-cookie": Mix("the same, EDNS and a cookie", "hand", *both("--cookie"), others="ring"),
    "signed": Mix("signed zone, DO", "signed", *both("--do")),
    "signed-nx": Mix("signed zone, DO, NXDOMAIN, random names", "signed-nx", *both("--do", "--fill", "hex")),
    "nxdomain": Mix("NXDOMAIN, random names", "nxdomain", *both("--fill", "hex")),
    "names": Mix("1,000 names, one query in ten NXDOMAIN", "names", *both()),
    "million": Mix("1,000,000 names", "million", *both("--fill", "number=1000000"), zone="million"),
    "flows-a": Mix("repeated flows: one A", "one", FLOWS, RATE),
    "flows-hand": Mix("repeated flows: a hand; the others: 8", "hand", FLOWS, RATE, others="ring"),
    "flows-names": Mix("repeated flows: 1,000 names", "names", FLOWS, RATE),
    "joined-a": Mix("repeated flows, replies taken joined: one A", "one", JOINED, RATE),
    "joined-names": Mix("repeated flows, replies taken joined: 1,000 names", "names", JOINED, RATE),
    "tcp": Mix("TCP, 8 connections with 16 under way: one A", "one", TCP, TCP_ALONE),
    "tcp-100": Mix("TCP, 8 connections with 16 under way: 100 A", "many", TCP, TCP_ALONE),
    "tcp-once": Mix("TCP, a connection for each query: one A", "one", ONCE, ONCE_ALONE),
}
PEERS = [name for name in servers.STARTERS if name != "kofn"]


def say(text):
    print(text, file=sys.stderr, flush=True)


def blast(options, server, queries, how, secs):
    """Runs the generator once; what it printed."""
    argv = [os.environ["BLAST"], "--server", f"{servers.LOOPBACK}:{server.port}", "--queries", str(WORK / "queries" / queries),
            "--secs", str(secs), "--cpu", str(options.load_cpu),
            "--pids", ",".join(map(str, server.pids())), *how]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60 + 2 * secs, check=False)
    if done.returncode:
        raise servers.NotReady(f"the generator failed against {server.name}: {done.stderr.strip()}")
    result = json.loads(done.stdout)
    if result["wrong"]:
        say(f"{server.name} answered {result['wrong']} queries wrong: {result['wrong_example'][:400]}")
    return result


def measure(options, running, names):
    """All rounds of the mixes `names` on the servers that run; results by mix and server, one a round."""
    results = {}
    for turn in range(options.rounds):
        order = running[turn % len(running):] + running[:turn % len(running)]
        for name in names:
            mix = MIXES[name]
            for server in order:
                if name.startswith("signed") and server.name == "gdnsd":
                    continue
                queries = mix.queries if server.name == "kofn" else mix.others
                try:
                    full = blast(options, server, queries, mix.saturate, options.secs)
                    full["busy"] = full["cpu"] / full["secs"]
                    full.update(p50=None, p99=None, lost_below=0)
                    # Once is enough: what a query waits below saturation does not change from round to round.
                    if turn == options.rounds - 1:
                        below = blast(options, server, queries, mix.latency, options.secs)
                        full.update(p50=below["p50"], p99=below["p99"], lost_below=below["lost"])
                        full["wrong"] += below["wrong"]
                except (servers.NotReady, subprocess.TimeoutExpired) as error:
                    # The table is to have the others all the same, and says that this one is missing.
                    say(f"round {turn + 1} of {options.rounds}: {name:12} {server.name:9} left out: {error}")
                    options.failed = True
                    continue
                full["round"] = turn
                results.setdefault(name, {}).setdefault(server.name, []).append(full)
                say(f"round {turn + 1} of {options.rounds}: {name:12} {server.name:9} {full['qps'] / 1000:8.1f} thousand/s, "
                    f"{full['busy']:.2f} busy, {full['lost']} lost")
    return results


def start_all(options, zone, group):
    """Starts every server with these zones on its core."""
    names = {"small": ["www.example.test"], "million": ["r0999999.million.test"]}[group]
    running = []
    try:
        for name in ["kofn", *options.peers]:
            policies = {"example.test": zones.POLICY} if group == "small" else {}
            server = servers.start(name, WORK / group / name, zone, {options.server_cpu}, policies)
            running.append(server)
            server.wait_for(*names)
    except BaseException:
        for server in running:
            server.stop()
        raise
    return running


def prepare(group):
    """Writes the zones of a group; apex to file."""
    folder = WORK / "zones"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if group == "small":
        (folder / "example.test.zone").write_text("".join(zones.small()))
        return {"example.test": folder / "example.test.zone", "signed.test": zones.write_signed(folder)}
    with open(folder / "million.test.zone", "w", encoding="ascii") as file:
        file.writelines(zones.numbered("million.test", 1_000_000))
    return {"million.test": folder / "million.test.zone"}


def middle(values):
    return statistics.median(values)


def table(options, results):
    """The results in Markdown."""
    lines = ["| mix | server | thousand/s | kofn against it (range) | by CPU time | CPU µs | p50 µs | p99 µs | lost | busy |",
             "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    price = lambda each: each["cpu"] / max(1, each["right"])
    for name in results:
        ours = results[name].get("kofn", [])
        for server, rounds in results[name].items():
            of = lambda key, rounds=rounds: middle([each[key] for each in rounds if each[key] is not None] or [float("nan")])
            ratio = by_time = ""
            mine = {each["round"]: each["qps"] for each in ours}
            ratios = [mine[each["round"]] / max(1, each["qps"]) for each in rounds if each["round"] in mine]
            if server != "kofn" and ratios:
                ratio = f"{middle(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
                prices = {each["round"]: price(each) for each in ours}
                paid = [price(each) / prices[each["round"]] for each in rounds if prices.get(each["round"])]
                by_time = f"{middle(paid):.2f}" if paid else ""
            cpu = middle([price(each) * 1e6 for each in rounds])
            lost = sum(each["lost"] + each["lost_below"] for each in rounds)
            wrong = sum(each["wrong"] for each in rounds)
            title = MIXES[name].title if server == "kofn" else ""
            lines.append(f"| {title} | {server} | {of('qps') / 1000:,.0f} | {ratio} | {by_time} | {cpu:.2f} | {of('p50'):.0f} | {of('p99'):.0f} "
                         f"| {lost}{f', {wrong} WRONG' if wrong else ''} | {of('busy'):.2f} |")
    return "\n".join(lines)


def arguments():
    parser = argparse.ArgumentParser(
        prog="benches/peers/run", formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__,
        epilog="mixes:\n" + "\n".join(f"  {name:12} {mix.title}" for name, mix in MIXES.items()) + """

thousand/s, CPU and busy are at saturation: the median of the rounds. Latency is measured below it, in the last round: by
UDP at 50,000 queries a second, by TCP with one query under way. All mixes and servers take about eleven minutes. The ratio is the median of the rounds' ratios, with their range.
A server that is less than 0.95 busy was not saturated: then its figure is the generator's limit, and "by CPU time", the
peer's CPU time a query over kofn's, says what their cores could do. Fresh source ports
need a network of one's own, which `benches/peers/apart` makes (root, or user namespaces). Programs, zones and logs are in target/peers.""")
    parser.add_argument("--mixes", default=",".join(MIXES), help="which, separated by commas (all)")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"which, separated by commas ({','.join(PEERS)})")
    parser.add_argument("--rounds", type=int, default=3, help="how often each server is measured in each mix (3)")
    parser.add_argument("--secs", type=float, default=1.2, help="seconds of each measurement (1.2)")
    parser.add_argument("--server-cpu", type=int, default=0, help="the core of the servers (0)")
    parser.add_argument("--load-cpu", type=int, default=1, help="the core of the load (1)")
    parser.add_argument("--json", type=pathlib.Path, help="also writes every measurement to this file")
    options = parser.parse_args()
    options.failed = False
    options.mixes = [name for name in options.mixes.split(",") if name]
    options.peers = [name for name in options.peers.split(",") if name]
    for what, known in ((options.mixes, MIXES), (options.peers, PEERS)):
        unknown = [name for name in what if name not in known]
        if unknown:
            parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    if options.server_cpu == options.load_cpu or not {options.server_cpu, options.load_cpu} <= os.sched_getaffinity(0):
        parser.error("two different cores that this machine has are needed")
    return options


def main():
    options = arguments()
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "queries").mkdir(parents=True)
    zones.write_queries(WORK / "queries")
    results, began = {}, time.monotonic()
    for group in ("small", "million"):
        names = [name for name in options.mixes if MIXES[name].zone == group]
        if not names:
            continue
        running = start_all(options, prepare(group), group)
        try:
            results.update(measure(options, running, names))
        finally:
            for server in running:
                server.stop()
    if options.json:
        options.json.write_text(json.dumps(results))
    print(table(options, results))
    say(f"{time.monotonic() - began:.0f} s")
    wrong = any(each["wrong"] for mix in results.values() for rounds in mix.values() for each in rounds)
    return 1 if wrong or options.failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except servers.NotReady as error:
        sys.exit(f"benches/peers: {error}")
