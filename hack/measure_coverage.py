"""See measure-coverage.sh."""

import argparse
import json
import pathlib
import sys
import tempfile
import threading
import time

from fathom import RECORDINGS, Cluster, Simulator, eventually, manifest
from levels import SIDES, CutBook, Tally, read, table, within_best, within_bound

RECORDING = RECORDINGS / "hftbacktest" / "spot_btcusdt_100ms_full_651s"
EXCHANGE, MARKET = "binance.com", "BTCUSDT"


class Peer:
    """The recording kept by the rule "cut to the best 1000 after each event"."""

    def __init__(self, folder):
        self.book = CutBook(json.loads((folder / "snapshot.json").read_text()))
        self.lines = open(folder / "events.jsonl")
        self.ahead = None

    def at(self, update_id):
        """The book after the last event up to `update_id`."""
        while True:
            self.ahead = self.ahead or self.next()
            if self.ahead is None or self.ahead["u"] > update_id:
                return self.book
            self.book.apply(self.ahead)
            self.ahead = None

    def next(self):
        for line in self.lines:
            if '"depth"' in line[:80]:
                return json.loads(line)["frame"]["data"]
        return None


class Run:
    def __init__(self, cluster, simulator, depth):
        self.cluster, self.simulator, self.depth = cluster, simulator, depth
        self.fathom, self.peer_near, self.peer_all = Tally(), Tally(), Tally()
        self.unanswered, self.asked, self.samples = [], 0, 0
        self.peer = Peer(RECORDING)
        self.first_deep = None
        self.ending = threading.Event()
        self.differences = []

    def sample(self):
        for side in SIDES:
            answer = self.cluster.get(f"/get_{side}", exchange=EXCHANGE, market=MARKET)
            self.asked += 1
            if answer["result"] != "OK":
                self.unanswered.append((side, answer.get("error_id")))
                continue
            book = self.simulator.get("/truth", exchange=EXCHANGE, symbol=MARKET, id=answer["update_id"])
            true, held = read(book[side]), read(answer[side])
            outcome = self.fathom.compare(held, true, within_bound(side, answer["covered_to"]))
            outside = [price for price in held if not within_bound(side, answer["covered_to"])(price)]
            if outcome[1:] != (0, 0, 0) or outside:
                self.differences.append((side, answer["update_id"], outcome, len(outside)))
            self.fathom.covered(len(held))
            peer = self.peer.at(answer["update_id"]).sides[side]
            self.peer_near.compare(peer, true, within_best(side, true, self.depth))
            self.peer_near.covered(min(len(peer), self.depth))
            self.peer_all.compare(peer, true, within_best(side, true, 1000))
            self.peer_all.covered(len(peer))
        self.samples += 1

    def watch_coverage(self):
        """The number of covered levels, four times a second."""
        while not self.ending.wait(0.25):
            for side in SIDES:
                answer = self.cluster.get(f"/get_{side}", exchange=EXCHANGE, market=MARKET, limit_count=1)
                self.asked += 1
                if answer["result"] == "OK":
                    self.fathom.covered(answer["covered_levels"])
                else:
                    self.unanswered.append((side, answer.get("error_id")))

    def go(self, seconds):
        watcher = threading.Thread(target=self.watch_coverage)
        watcher.start()
        start = time.monotonic()
        try:
            for second in range(seconds):
                time.sleep(max(0.0, start + second - time.monotonic()))
                self.sample()
                if second % 30 == 29:
                    print(f"{second + 1} s: {self.fathom.compared} levels compared, {self.fathom.share}, fewest covered "
                          f"{self.fathom.fewest}", file=sys.stderr)
        finally:
            self.ending.set()
            watcher.join()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=651)
    parser.add_argument("--depth", type=int, default=500)
    parser.add_argument("--pace", type=float, default=1)
    options = parser.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="fathom-coverage-"))
    if not RECORDING.is_dir():
        sys.exit(f"measure-coverage: no recording in {RECORDING}; FATHOM_RECORDINGS names the folder of the recordings")
    with Simulator("--symbols", 0, "--replay", RECORDING, "--pace", options.pace) as simulator:
        exchanges = simulator.exchanges(directory, EXCHANGE)
        # Nothing deeper than 1000 levels can be asked for.
        exchanges.write_text(exchanges.read_text() + "  snapshotLimits: [5, 10, 20, 50, 100, 500, 1000]\n")
        with Cluster(workers=1, arguments=("--exchanges", str(exchanges))) as cluster:
            cluster.apply(manifest(MARKET, depth=options.depth))

            def is_deep():
                answers = [cluster.get(f"/get_{side}", exchange=EXCHANGE, market=MARKET, limit_count=1) for side in SIDES]
                return all(answer["result"] == "OK" and answer["covered_levels"] >= options.depth for answer in answers)

            started = time.monotonic()
            eventually("the book covers its depth", is_deep, 120)
            print(f"covered {time.monotonic() - started:.1f} s after kubectl apply", file=sys.stderr)
            run = Run(cluster, simulator, options.depth)
            run.go(options.seconds)
    report(run, options)
    return 0 if not run.differences and not run.unanswered and run.fathom.fewest >= options.depth else 1


def report(run, options):
    rows = []
    for name, tally in (("Fathom, everything it answers", run.fathom),
                        (f"cut to 1000, the best {options.depth}", run.peer_near),
                        ("cut to 1000, the best 1000", run.peer_all)):
        rows.append([name, tally.compared, tally.matched, tally.drifted + tally.orphaned, tally.missed, tally.share,
                     f"{tally.faulty} of {tally.comparisons}", tally.fewest])
    print(f"{run.samples} seconds, {run.asked} queries, {len(run.unanswered)} of them not answered")
    print(table(["rule", "levels compared", "exact", "wrong", "missing", "exact share", "sides with a fault",
                 "fewest levels a side"], rows))
    for difference in run.differences[:10]:
        print("difference:", *difference)
    for fault in run.unanswered[:10]:
        print("not answered:", *fault)


if __name__ == "__main__":
    sys.exit(main())
