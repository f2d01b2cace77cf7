"""promtool takes the metrics, the rules and their tests; schemathesis finds nothing in the API that its description does not say."""
import os
import pathlib
import subprocess
import sys
import urllib.request

import exchange
import message as m
import peers
from tally import Tally

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "examples" / "prometheus"
ZONE = "$TTL 60\n@ SOA ns hostmaster 7 2 3 4 5\n@ NS ns\nns A 127.0.0.1\nwww A 127.0.0.1\nwww A 127.0.0.2\n"
POLICY = ('[check.port]\ntype = "tcp"\nport = 1\ninterval = "500ms"\ntimeout = "400ms"\n[pool.www]\nk = 1\ncheck = "port"\n'
          '[transfer]\nnotify = ["127.0.0.1:1"]\nwatch = ["127.0.0.1:1"]\n')


def tool(tally, argv, **more):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False, **more)
    tally.check(done.returncode == 0, f"{' '.join(map(str, argv))}:\n{done.stdout}\n{done.stderr}"[-6000:])


def main():
    tally, folder = Tally(), peers.fresh("watching")
    tool(tally, ["promtool", "check", "rules", RULES / "alerts.yml"])
    tool(tally, ["promtool", "test", "rules", "alerts_test.yml"], cwd=RULES)
    (folder / "zones").mkdir()
    (folder / "zones" / "seen.test.zone").write_text(ZONE)
    (folder / "zones" / "seen.test.toml").write_text(POLICY)
    (folder / "zones" / "broken.test.zone").write_text("nonsense\n")
    kofn = peers.Kofn(folder, apexes=["seen.test"], admin="127.0.0.1:0")
    try:
        query = m.message(0, [m.question(m.labels_wire([b"www", b"seen", b"test"]), 1)])
        tally.check(all(exchange.ask_udp(kofn.address, [query] * 100)), "a query was not answered")
        request = urllib.request.Request(kofn.admin + "/metrics", headers={"Accept": "text/plain"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            text = reply.read().decode()
        tool(tally, ["promtool", "check", "metrics"], input=text)
        tool(tally, [pathlib.Path(os.environ["INTEROP_WEB"]) / "bin" / "schemathesis", "run", kofn.admin + "/api/v1/openapi.json", "--url", kofn.admin,
                     # Not every string is a name: what a name is cannot be said in a schema.
                     "--exclude-checks", "positive_data_acceptance",
                     "--phases", "examples,coverage,fuzzing", "--max-examples", "60", "--seed", "7", "--workers", "1"], cwd=folder)
    finally:
        kofn.stop()
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
