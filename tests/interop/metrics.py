"""Prometheus' own reader of OpenMetrics takes the metrics, and they count what was asked."""
import http.client
import pathlib
import socket
import sys
import tempfile

from prometheus_client.openmetrics.parser import text_string_to_metric_families

import exchange
import message as m
import peers
from tally import Tally

ZONE = "$TTL 60\n@ SOA ns hostmaster 7 2 3 4 5\n@ NS ns\nns A 127.0.0.1\nwww A 127.0.0.1\nwww A 127.0.0.2\n"
POLICY = "[pool.www]\nk = 1\n"
ASKED = 10


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket of the file system."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


def scrape(kofn):
    """(content type, samples by name) of the running server."""
    connection = UnixConnection(kofn.folder / "state" / "control.sock")
    connection.request("GET", "/metrics")
    response = connection.getresponse()
    samples = {}
    for family in text_string_to_metric_families(response.read().decode()):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((sample.labels, sample.value))
    return response.getheader("content-type"), samples


def main():
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "zones").mkdir()
        (folder / "zones" / "counted.test.zone").write_text(ZONE)
        (folder / "zones" / "counted.test.toml").write_text(POLICY)
        kofn = peers.Kofn(folder, apexes=["counted.test"])
        try:
            _, before = scrape(kofn)
            query = m.message(0, [m.question(m.labels_wire([b"www", b"counted", b"test"]), 1)])
            replies = exchange.ask_udp(kofn.address, [query] * ASKED)
            tally.check(all(replies), "a query was not answered")
            kind, after = scrape(kofn)
        finally:
            kofn.stop()
    asked = ({"transport": "udp", "type": "a", "outcome": "answer"})
    count = lambda samples: sum(value for labels, value in samples.get("kofn_queries_total", []) if labels == asked)
    tally.check(kind.startswith("application/openmetrics-text"), f"content type {kind}")
    tally.check(count(after) - count(before) == ASKED, f"{ASKED} queries counted as {count(after) - count(before)}")
    tally.check(({"zone": "counted.test."}, 7.0) in after["kofn_zone_serial"], "the serial is not told")
    tally.check(({"pool": "www.counted.test.", "type": "A"}, 2.0) in after["kofn_pool_members"], "the members are not told")
    tally.check(after["process_resident_memory_bytes"][0][1] > 1e6, "no memory")
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
