"""Measures what the replacement and the loss of connections cost; run by hack/measure-turnover.sh."""

import os
import random
import sys
import time
import urllib.request

from fathom import EXCHANGE, Cluster, Load, eventually, manifest

LIFETIME = 40
"""Seconds after which a worker replaces a connection; the simulator ends it 25 s later."""
COLUMNS = "{:<24} {:>5} {:>6} {:>12} {:>9} {:>11} {:>7} {:>8} {:>10} {:>12} {:>12}"


class AllBooks(Load):
    """Queries of all markets in random order."""

    def __init__(self, cluster, markets, rate=200):
        self.markets = markets
        super().__init__(cluster, None, rate=rate)

    @property
    def path(self):
        return f"/get_asks?exchange={EXCHANGE}&market={random.choice(self.markets)}&limit_count=1"

    @path.setter
    def path(self, _):
        pass


def market(number):
    return f"SIM{number:04d}USDT"


class Workers:
    """The metrics of all workers."""

    def __init__(self, cluster):
        self.cluster = cluster

    def sum(self, name, **labels):
        total = 0.0
        for worker in self.cluster.up["workers"]:
            with urllib.request.urlopen(f"http://127.0.0.1:{worker['port']}/metrics", timeout=10) as reply:
                text = reply.read().decode()
            for line in text.splitlines():
                if line.startswith(name) and all(f'{key}="{value}"' in line for key, value in labels.items()):
                    total += float(line.rsplit(" ", 1)[1])
        return int(total)

    def handovers(self, **labels):
        return self.sum("fathom_worker_feed_handovers_total", **labels)

    @property
    def connections(self):
        return self.sum("fathom_worker_feed_connections_total")


class Measurement:
    def __init__(self, cluster, books, feeds, markets):
        self.cluster, self.books, self.feeds, self.markets = cluster, books, feeds, markets
        self.workers = Workers(cluster)

    def row(self, name, act, is_done, deadline):
        """Asks all books until what `act` has begun is done, and prints what it cost."""
        workers = self.workers
        before = [workers.handovers(outcome="completed"), workers.handovers(outcome="abandoned"),
                  workers.sum("fathom_worker_feed_losses_total"), workers.sum("fathom_worker_resyncs_total")]
        start = time.monotonic()
        with AllBooks(self.cluster, self.markets) as load:
            act()
            eventually(name, is_done, deadline, pause=0.5)
            seconds = time.monotonic() - start
            end = load.answers + 200
            eventually("some answers more", lambda: load.answers >= end)
        after = [workers.handovers(outcome="completed"), workers.handovers(outcome="abandoned"),
                 workers.sum("fathom_worker_feed_losses_total"), workers.sum("fathom_worker_resyncs_total")]
        completed, abandoned, lost, resyncs = [new - old for new, old in zip(after, before)]
        print(COLUMNS.format(name, self.feeds, self.books, completed, abandoned, lost, resyncs, load.answers,
                             len(load.failures), f"{load.longest_gap * 1000:.0f} ms", f"{seconds:.0f} s"), flush=True)
        for failure in load.failures[:1]:
            print("    such as", str(failure)[:120])
        return resyncs == 0 and not load.failures and not abandoned

    def unsynchronized(self):
        return self.books - self.workers.sum("fathom_worker_book_synchronized")

    def planned(self):
        # Each connection that is open now is to be replaced once.
        wanted = self.workers.handovers(cause="lifetime", outcome="completed") + self.open_feeds
        return self.row("planned turnover", lambda: None,
                        lambda: self.workers.handovers(cause="lifetime", outcome="completed") >= wanted, 300)

    def shutdown(self):
        wanted = self.workers.handovers(cause="server_shutdown", outcome="completed") + self.open_feeds
        return self.row("serverShutdown", lambda: self.cluster.fault(None, "serverShutdown"),
                        lambda: self.workers.handovers(cause="server_shutdown", outcome="completed") >= wanted, 120)

    def lose_one(self):
        wanted = self.workers.connections + 1
        return self.row("loss of one connection",
                        lambda: self.cluster.fault(self.markets[0], "disconnect", count=1),
                        lambda: self.workers.connections >= wanted, 60)

    def disconnect(self):
        wanted = self.workers.connections + self.open_feeds
        return self.row("hard disconnect", lambda: self.cluster.fault(None, "disconnect"),
                        lambda: self.workers.connections >= wanted and self.unsynchronized() == 0, 120)


def measure(books, feeds):
    markets = [market(number) for number in range(6, 6 + books)]
    simulator = ["--symbols", books + 5, "--rate", 5, "--levels", 5, "--depth", 120, "--lifetime", LIFETIME + 25]
    arguments = ("--simulate", "--feeds", str(feeds))
    with Cluster(workers=2, simulator=simulator, arguments=arguments) as cluster:
        # The smallest snapshots: what is measured here is connections.
        cluster.apply(*[manifest(name, depth=20) for name in markets])
        run = Measurement(cluster, books, feeds, markets)
        eventually("all books are in sync", lambda: run.unsynchronized() == 0, 300, pause=0.5)
        lost = run.workers.sum("fathom_worker_feed_losses_total")
        run.open_feeds = run.workers.connections - run.workers.handovers() - lost
        good = [run.planned(), run.shutdown()]
        # What a single feed loses here is no fault of the replacement.
        good.append(run.lose_one() or feeds == 1)
        run.disconnect()
        return good


def main():
    os.environ["FATHOM_FEED_LIFETIME_SECONDS"] = str(LIFETIME)
    books = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    print(COLUMNS.format("what", "feeds", "books", "replacements", "abandoned", "connections", "resyncs", "queries",
                         "unanswered", "longest", "until"))
    print(COLUMNS.format("", "", "", "", "", "lost", "", "", "", "gap", "done"))
    good = [all(measure(books, int(feeds))) for feeds in sys.argv[2:] or ["1", "2"]]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
