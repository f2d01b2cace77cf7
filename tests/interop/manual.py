"""Every page that `kofn man --folder` writes, read by mandoc and by groff: neither has a warning."""
import os
import re
import subprocess
import sys

import peers
from tally import Tally

# The first is meant: a page belongs to a version, which it names. The others are what clap_mangen makes of possible values.
MEANT = ["missing date, using \"\": TH", "skipping paragraph macro: br before sp", "skipping paragraph macro: br after sp"]


def main():
    tally, folder = Tally(), peers.fresh("manual")
    subprocess.run([os.environ["KOFN"], "man", "--folder", str(folder)], check=True)
    pages = sorted(folder.iterdir())
    tally.check(len(pages) > 15, f"{len(pages)} pages")
    for page in pages:
        lint = subprocess.run([peers.program("mandoc"), "-Tlint", "-Wwarning", str(page)], capture_output=True, text=True, check=False)
        faults = [line for line in (lint.stdout + lint.stderr).splitlines() if not any(meant in line for meant in MEANT)]
        tally.check(not faults, "\n".join(faults))
        text = subprocess.run([peers.program("mandoc"), "-Tascii", str(page)], capture_output=True, text=True, check=True).stdout
        text = re.sub(".\b", "", text)
        tally.check(re.search(rf"^{re.escape(page.stem.upper())}\({page.suffix[1:]}\)", text), f"{page.name} begins {text[:60]!r}")
        groff = subprocess.run(["groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-z", str(page)], capture_output=True, text=True, check=False)
        tally.check(not groff.stderr, groff.stderr)
    return tally.end()


if __name__ == "__main__":
    sys.exit(main())
