"""Measures how fast the books of a lost connection come back; run by hack/measure-recovery.sh."""

import datetime
import re
import sys
import time

from fathom import EXCHANGE, Cluster, eventually, manifest
from measure_turnover import AllBooks, Workers, market

COLUMNS = "{:<22} {:>6} {:>6} {:>10} {:>12} {:>14} {:>8} {:>11}"
LINE = re.compile(r"^(\S+Z) \w+ \w+: (Feed is down|Book is in sync|Book is out of sync|Copied book)(?: .*book=(\S+))?", re.M)


class Recovery:
    def __init__(self, cluster, markets, guides):
        self.cluster, self.markets, self.guides = cluster, markets, guides
        self.workers = Workers(cluster)

    def given(self):
        return {name: len(limits) for name, limits in self.cluster.simulator("/snapshots")[1][EXCHANGE].items()}

    def events(self, worker, offset):
        """What the worker logged since `offset`: [(time, what, book)]."""
        text = (self.cluster.directory / "logs" / f"{worker}.log").read_text()[offset:]
        return [(datetime.datetime.fromisoformat(at.replace("Z", "+00:00")), what, book)
                for at, what, book in LINE.findall(text)]

    def settled(self, wanted):
        """Waits until all books are in sync, nothing waits for request weight, and the exchange is asked no more."""
        last = [None, 0.0]

        def is_quiet():
            # An exchange that is not asked may only have no weight left in this minute.
            if self.workers.sum("fathom_worker_book_synchronized") < wanted or self.workers.sum("fathom_weight_waiting_orders"):
                last[:] = [None, 0.0]
                return False
            now = self.given()
            if now != last[0]:
                last[:] = [now, time.monotonic()]
            return time.monotonic() - last[1] > 5 and last[0]
        return eventually("books in sync and the exchange at rest", is_quiet, 900, pause=0.5)

    def lose(self, name, wanted):
        """Cuts the connections of the worker that alone keeps the guides, and prints what it cost."""
        self.settled(wanted)
        homes = {guide: self.cluster.replicas(f"e2e-{guide.lower()}")[0]["spec"]["workerName"] for guide in self.guides}
        worker = homes[self.guides[0]]
        offset = len((self.cluster.directory / "logs" / f"{worker}.log").read_text())
        with AllBooks(self.cluster, self.markets) as load:
            def lost():
                return {book for _, what, book in self.events(worker, offset) if what == "Book is out of sync"}

            before = self.given()
            for guide in self.guides:
                book = f"{EXCHANGE}/{guide}@100ms"
                # One that is away was on a connection that has been cut already.
                if homes[guide] == worker and book not in lost():
                    self.cluster.fault(guide, "disconnect")
                    eventually("the loss", lambda: book in lost(), 30, pause=0.01)

            def are_back():
                away = set()
                for _, what, book in self.events(worker, offset):
                    if what == "Book is out of sync":
                        away.add(book)
                    elif what == "Book is in sync":
                        away.discard(book)
                return not away
            eventually("all books back", are_back, 600, pause=0.2)
        # The guides have no copy elsewhere, and the exchange's answer may have to wait for the next minute's weight.
        books = {f"{EXCHANGE}/{name}@100ms" for name in self.markets}
        events = [event for event in self.events(worker, offset) if event[1] == "Feed is down" or event[2] in books]
        start = min(at for at, what, _ in events if what == "Feed is down")
        away = {book for _, what, book in events if what == "Book is out of sync"}
        end = max(at for at, what, _ in events if what == "Book is in sync")
        copied = sum(1 for _, what, _ in events if what == "Copied book")
        after = self.given()
        fetched = sum(after[name] - before.get(name, 0) for name in self.markets)
        seconds = (end - start).total_seconds()
        print(COLUMNS.format(name, len(away), copied, fetched, f"{seconds:.2f} s", load.answers, len(load.failures),
                             f"{load.longest_gap * 1000:.0f} ms"), flush=True)
        return seconds, fetched, len(load.failures), len(away)


def measure(name, books, replicas):
    markets = [market(number) for number in range(6, 6 + books)]
    # Each is kept by one worker only, so the connections that bring them are those of one worker, on all its event loops.
    guides = [market(number) for number in range(6 + books, 22 + books)]
    simulator = ["--symbols", books + 21, "--rate", 5, "--levels", 5, "--depth", 1200]
    with Cluster(workers=2 if replicas > 1 else 1, simulator=simulator,
                 arguments=("--simulate",)) as cluster:
        cluster.apply(*[manifest(name, replicas=replicas) for name in markets],
                      *[manifest(name, replicas=1) for name in guides])
        run = Recovery(cluster, markets, guides)
        return run.lose(name, books * replicas + len(guides))


def main():
    books = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print(COLUMNS.format("what", "books", "copied", "snapshots", "away", "queries", "not", "longest"))
    print(COLUMNS.format("", "lost", "", "fetched", "at most", "meanwhile", "answered", "gap"), flush=True)
    seconds, fetched, unanswered, lost = measure("with a peer", books, 2)
    if len(sys.argv) > 2:
        measure("without a peer", books, 1)
    sys.exit(0 if seconds < 5 and fetched == 0 and unanswered == 0 and lost >= books else 1)


if __name__ == "__main__":
    main()
