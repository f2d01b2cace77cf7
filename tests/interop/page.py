"""The page in a browser: it follows a backend that dies, is whole without scripts, fits every width, and axe has nothing to say."""
import http.server
import os
import pathlib
import sys
import threading
import time
import urllib.error
import urllib.request

import browser
import exchange
import message as m
import peers
from tally import Tally

HEAD = "$TTL 60\n@ SOA ns hostmaster 7 2 3 4 5\n@ NS ns\nns A 127.0.0.1\n"
EVIL = "<img src=x onerror=document.title='owned'>"
CHECK = ('[check.web]\ntype = "http"\npath = "/"\nport = {port}\ninterval = "500ms"\nfast_interval = "200ms"\n'
         'timeout = "400ms"\nfall = 2\nrise = 2\n')
MANY, ZONES = 2000, 1000
WIDTHS = (320, 390, 768, 1440)
# A page stays light whatever it is of.
HEAVY = 150_000


class Backend:
    """One address that answers HTTP until it is killed."""

    def __init__(self, address, port):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((address, port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def kill(self):
        self.server.shutdown()
        self.server.server_close()


def fill(folder, port):
    """Zones of every kind, and many."""
    zones = folder / "zones"
    zones.mkdir()
    farm = "".join(f"{name} A 127.0.61.{host}\n" for name in ("www", "api") for host in range(1, 5))
    many = "".join(f"many A 198.18.{host // 250}.{host % 250 + 1}\n" for host in range(MANY))
    (zones / "page.test.zone").write_text(HEAD + farm + many)
    policy = CHECK.format(port=port) + '[pool.www]\nk = 2\ncheck = "web"\n[pool.api]\nk = 2\ncheck = "dead"\n'
    policy += '[check.dead]\ntype = "tcp"\nport = 1\ninterval = "500ms"\ntimeout = "400ms"\n[pool.many]\nk = 2\n'
    (zones / "page.test.toml").write_text(policy)
    (zones / "broken.test.zone").write_text(HEAD + f"{EVIL} A nonsense\n")
    for number in range(ZONES):
        (zones / f"zone{number}.test.zone").write_text(HEAD)


def fetch(address):
    with urllib.request.urlopen(address, timeout=30) as reply:
        return reply.headers, reply.read().decode()


def accessible(window, tally, axe, what):
    """axe has nothing to say about the page as it is now."""
    window.run(axe + "; window.axe = window.axe || axe")
    found = window.run_async("const done = arguments[arguments.length - 1];"
                             "axe.run(document, {resultTypes: ['violations']}).then(found => done(found.violations.map("
                             "one => one.id + ': ' + one.nodes.map(node => node.target + ' ' + node.failureSummary).join(' | '))))")
    tally.check(not found, f"{what}: {found}")


def shapes(window, tally, axe, base, folder):
    """Every width, light and dark: nothing to scroll to the side, and legible."""
    for path in ("/", "/pool?name=many.page.test.&type=A", "/zones", "/pools"):
        papers = set()
        for width in WIDTHS:
            for dark in (False, True):
                window.shape(width, dark=dark, mobile=width < 700)
                window.open(base + path)
                wide = window.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
                tally.check(wide <= 0, f"{path} at {width} px is {wide} px too wide")
                papers.add(window.run("return getComputedStyle(document.body).backgroundColor"))
                if width in (390, 1440) and path != "/pools":
                    accessible(window, tally, axe, f"{path} at {width} px, {'dark' if dark else 'light'}")
                if path in ("/", "/zones") or width == 390:
                    name = path.strip("/").split("?")[0] or "overview"
                    window.picture(folder / f"{name}-{width}-{'dark' if dark else 'light'}.png")
        tally.check(len(papers) == 2, f"{path}: papers {papers}")


def live(window, tally, kofn, backends):
    """A backend dies, and the open page says so."""
    window.shape(1440)
    window.open(kofn.admin + "/")
    tally.check(window.until("the stream is open", "return document.getElementById('live').dataset.state === 'on'"), "live")
    window.run("window.opened = 'once'")
    row = "document.getElementById('m-www.page.test.-127.0.61.2').innerText"
    tally.check(window.until("it is up", f"return {row}.includes('up')"), "the member is not up")
    backends[1].kill()
    tally.check(window.until("it is down", f"return {row}.includes('down') && {row}.includes('refused')"), "it never went down")
    tally.check(window.run("return window.opened") == "once", "the page was loaded again")
    tally.check(window.until("it is announced", "return document.getElementById('announce').textContent !== ''"), "not announced")
    tally.check("Panic:" in window.text(), "the pool whose members are all dead is not told to be in panic")
    tally.check(window.run("return document.title") != "owned", "a zone's text was run as a script")
    tally.check("`src=x` as a type" in window.text(), "the fault is not shown as it is")
    focused = window.run("document.querySelector('.pool a').focus(); return document.activeElement.textContent")
    query = m.message(0, [m.question(m.labels_wire([b"www", b"page", b"test"]), 1)])
    tally.check(all(exchange.ask_udp(kofn.address, [query] * 40)), "a query was not answered")
    tally.check(window.until("the hands are told", "return /\\d+\u00a0% of 33\u00a0% due/.test(document.body.innerText)"), "no shares")
    tally.check(window.run("return document.activeElement.textContent") == focused, "an update took the focus away")
    tally.check(window.until("queries are told", "return document.querySelector('.outcomes') !== null"), "no outcomes")


def scriptless(window, tally, base):
    """Without scripts the same tables are there."""
    window.scripts(False)
    window.open(base + "/")
    tree = window.devtools("Accessibility.getFullAXTree")["nodes"]
    said = [(node.get("role", {}).get("value"), node.get("name", {}).get("value", "")) for node in tree]
    tally.check(sum(role == "table" for role, _ in said) >= 3, "too few tables without scripts")
    for role, name in (("main", ""), ("heading", "Pools"), ("heading", "Zones"), ("rowheader", "127.0.61.1"),
                       ("columnheader", "State"), ("link", "All 1\u202f002 zones")):
        tally.check(any(role == one and name in text for one, text in said), f"no {role} {name!r} without scripts")
    window.scripts(True)


def bounded(tally, base):
    """So many streams and no more; policies against what is not ours; pages that stay light."""
    open_ones, end = [], time.monotonic() + 30
    while len(open_ones) < 16 and time.monotonic() < end:
        # Pages that were left are noticed within some seconds.
        try:
            open_ones.append(urllib.request.urlopen(base + "/events?view=overview", timeout=30))
        except urllib.error.HTTPError:
            time.sleep(0.2)
    tally.check(len(open_ones) == 16, f"{len(open_ones)} streams could be opened")
    try:
        urllib.request.urlopen(base + "/events?view=overview", timeout=30)
        tally.check(False, "a seventeenth stream was opened")
    except urllib.error.HTTPError as error:
        tally.check(error.code == 503, f"the seventeenth stream got {error.code}")
    tally.check(open_ones[0].readline().startswith(b"data: {"), "a stream begins with no event")
    for one in open_ones:
        one.close()
    for path in ("/", "/zones", "/pools", "/pool?name=many.page.test.&type=A", "/pool?name=many.page.test.&type=A&page=9"):
        headers, html = fetch(base + path)
        tally.check(len(html) < HEAVY, f"{path} has {len(html)} octets")
        tally.check("default-src 'none'" in headers["Content-Security-Policy"], f"{path} has no policy")
        tally.check("<img src=x" not in html and "style=" not in html and "onclick" not in html, f"{path}: markup of others")
    tally.check("198.18.7." in fetch(base + "/pool?name=many.page.test.&type=A&page=9")[1], "the last page is not the last")


def main():
    axe = next(pathlib.Path(os.environ["INTEROP_WEB"]).glob("lib/python3*/site-packages/axe_core_python/axe.min.js"))
    axe = axe.read_text(encoding="utf-8")
    tally, folder = Tally(), peers.fresh("page")
    first = Backend("127.0.61.1", 0)
    backends = [first] + [Backend(f"127.0.61.{host}", first.port) for host in (2, 3, 4)]
    fill(folder, first.port)
    kofn = peers.Kofn(folder, '[identity]\nid = "ns1 <b>"\n', ["page.test"], admin="127.0.0.1:0")
    window = browser.Browser()
    try:
        live(window, tally, kofn, backends)
        kofn.command("drain", "127.0.61.4", "--reason", EVIL)
        shapes(window, tally, axe, kofn.admin, folder)
        scriptless(window, tally, kofn.admin)
        bounded(tally, kofn.admin)
        window.open(kofn.admin + "/")
        window.until("the stream is open", "return document.getElementById('live').dataset.state === 'on'")
        kofn.stop()
        tally.check(window.until("it is told", "return document.getElementById('live').dataset.state === 'off'"), "not told")
    finally:
        window.close()
        kofn.stop()
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
