"""Counts what held and what did not, and says the latter at once."""


class Tally:
    """Checks of one topic. `main` returns `end()`, the exit status."""

    def __init__(self):
        self.passed, self.failed = 0, 0

    def check(self, holds, what):
        """Counts a check; `what` is said when it does not hold."""
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {what}", flush=True)
        return bool(holds)

    def add(self, part):
        """Takes over what another has counted."""
        self.passed, self.failed = self.passed + part.passed, self.failed + part.failed

    def end(self):
        """Prints the last line of a topic, as the runner reads it."""
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0
