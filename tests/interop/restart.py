"""A million queries while one process takes over from another, ten times: each must be answered, and rightly. By UDP from many
ports, so that every worker's socket has some, and by TCP; with queries of each kind under way at every moment."""
import json
import multiprocessing
import os
import signal
import socket
import struct
import sys
import time

import peers
from pools import query
from tally import Tally

QUERIES = int(os.environ.get("RESTART_QUERIES", "1000000"))
RESTARTS = 10
ASKERS = 2            # processes, each with
SOCKETS = 8           # ports of its own
AT_ONCE = 32          # queries under way on each
PATIENCE = 5.0        # seconds until a query counts as lost
APEX = "restart.test"
ZONE = f"$ORIGIN {APEX}.\n$TTL 60\n@ SOA ns1 hostmaster 1 3600 600 86400 30\n@ NS ns1\nns1 A 127.0.0.1\nwww A 192.0.2.1\n"
POOL = "".join(f"pool A 192.0.2.{host}\n" for host in range(10, 20))


def is_right(reply, number, answers):
    """The ID, a reply with authority, no error, and as many answers as there are to be."""
    return (len(reply) > 12 and reply[:2] == struct.pack("!H", number) and reply[2] & 0x84 == 0x84 and reply[3] & 15 == 0
            and reply[6:8] == struct.pack("!H", answers))


def ask_by_udp(address, share, done, result):
    """Asks until `share` queries are answered; `result` says how many were not, or wrongly."""
    wires = [(query(f"www.{APEX}").wire[2:], 1), (query(f"pool.{APEX}").wire[2:], 2)]
    sockets = []
    for _ in range(SOCKETS):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.connect(address)
        sock.settimeout(PATIENCE)
        sockets.append(sock)
    asked = lost = wrong = 0
    while asked < share:
        for sock in sockets:
            for number in range(AT_ONCE):
                sock.send(struct.pack("!H", number) + wires[number & 1][0])
        for sock in sockets:
            waiting = set(range(AT_ONCE))
            while waiting:
                try:
                    reply = sock.recv(2048)
                except TimeoutError:
                    break
                number = int.from_bytes(reply[:2], "big")
                wrong += number not in waiting or not is_right(reply, number, wires[number & 1][1])
                waiting.discard(number)
            lost += len(waiting)
        asked += AT_ONCE * SOCKETS
        with done.get_lock():
            done.value += AT_ONCE * SOCKETS
    result.put(("UDP", asked, lost, wrong))


def ask_by_tcp(address, over, result):
    """A connection for each few queries, and one after the other; a connection that breaks loses its query."""
    wire = query(f"www.{APEX}").wire[2:]
    asked = lost = wrong = 0
    while not over.is_set():
        try:
            with socket.create_connection(address, PATIENCE) as sock, sock.makefile("rb") as stream:
                for number in range(20):
                    asked += 1
                    sock.sendall(struct.pack("!HH", len(wire) + 2, number) + wire)
                    length = int.from_bytes(stream.read(2), "big")
                    reply = stream.read(length)
                    lost += not reply
                    wrong += bool(reply) and not is_right(reply, number, 1)
                    time.sleep(0.002)
        except OSError:
            lost += 1
    result.put(("TCP", asked, lost, wrong))


def main():
    tally = Tally()
    folder = peers.fresh("restart")
    (folder / "zones").mkdir()
    (folder / "zones" / f"{APEX}.zone").write_text(ZONE + POOL)
    (folder / "zones" / f"{APEX}.toml").write_text("[pool.pool]\nk = 2\n")
    settings = "workers = 2\n[limits]\nhandover = \"3s\"\ntcp_per_prefix = 500\n"
    first = peers.Kofn(folder, settings, [APEX], peers.free_port())
    processes = [first.process.pid]
    done, over, result = multiprocessing.Value("l", 0), multiprocessing.Event(), multiprocessing.Queue()
    share = -(-QUERIES // ASKERS)
    askers = [multiprocessing.Process(target=ask_by_udp, args=(first.address, share, done, result)) for _ in range(ASKERS)]
    askers.append(multiprocessing.Process(target=ask_by_tcp, args=(first.address, over, result)))
    try:
        for asker in askers:
            asker.start()
        began, longest = time.monotonic(), 0.0
        for turn in range(RESTARTS):
            # One in each eleventh of the queries.
            while done.value < (turn + 1) * QUERIES // (RESTARTS + 1):
                time.sleep(0.01)
            at = time.monotonic()
            restarted = first.command("restart", "--config", "kofn.toml", "--listen", f"127.0.0.1:{first.address[1]}", "--zones", "zones",
                                      "--state", "state", "--admin", "off")
            longest = max(longest, time.monotonic() - at)
            if not tally.check(restarted.returncode == 0, f"restart {turn}: {restarted}"):
                break
            processes.append(json.loads(first.command("status", "--json").stdout)["pid"])
        for asker in askers[:-1]:
            asker.join(300)
        took = time.monotonic() - began
        over.set()
        askers[-1].join(30)
        for transport, asked, lost, wrong in (result.get(timeout=10) for _ in askers):
            tally.check(not lost and not wrong, f"{transport}: of {asked} queries {lost} were lost and {wrong} answered wrongly")
            print(f"{transport}: {asked} queries, {lost} lost, {wrong} wrong")
        print(f"{len(set(processes)) - 1} restarts in {took:.0f} s, {QUERIES / took:.0f} queries a second; the slowest took {longest:.2f} s")
        tally.check(len(set(processes)) == RESTARTS + 1, f"processes: {processes}")
        # All but the last end by themselves.
        deadline = time.monotonic() + 15
        alive = set(processes[:-1])
        while alive and time.monotonic() < deadline:
            first.process.poll()
            alive = {pid for pid in alive if os.path.exists(f"/proc/{pid}")}
            time.sleep(0.05)
        tally.check(not alive, f"still there: {alive}")
        health = first.command("health", "--json")
        tally.check(health.returncode == 0, f"the last one: {health}")
    finally:
        for asker in askers:
            asker.terminate()
        for pid in processes[1:]:
            if os.path.exists(f"/proc/{pid}"):
                os.kill(pid, signal.SIGTERM)
        first.stop()
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
