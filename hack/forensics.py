"""See forensics.sh."""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from fathom import BINARIES, Cluster, Simulator, eventually, manifest
from levels import SIDES, CutBook, NaiveBook, Tally, best_first, read, table, within_bound
from tape import Tape

EXCHANGE, MARKET = "binance.com", "BTCUSDT"
RULES = {"naive": NaiveBook, "cut": CutBook}
HOURS = 25


class Forensics:
    def __init__(self, cluster, simulator, tape, options):
        self.cluster, self.simulator, self.tape, self.options = cluster, simulator, tape, options
        self.tallies = {name: Tally() for name in ("naive", "cut", "fathom")}
        self.rows, self.out_of_step, self.unanswered = [], 0, {}
        self.first_mid = self.mid = None

    def answer(self, side):
        """A whole side; waits while the book resynchronises after a reconnect, and counts that."""
        def ask():
            answer = self.cluster.get(f"/get_{side}", exchange=EXCHANGE, market=MARKET)
            if answer["result"] == "OK":
                return answer
            self.unanswered[answer["error_id"]] = self.unanswered.get(answer["error_id"], 0) + 1
            return None
        return eventually(f"{side} are answered", ask, 120, 0.25)

    def audit(self, hours):
        row = {"hours": f"{hours:.2f}"}
        best = []
        for side in SIDES:
            answer = self.answer(side)
            update_id = answer["update_id"]
            book = self.simulator.get("/truth", exchange=EXCHANGE, symbol=MARKET, id=update_id)
            true = read(book[side])
            best.append(best_first(side, true)[0])
            held = read(answer[side])
            row[f"true {side}"] = len(true)
            outcome = self.tallies["fathom"].compare(held, true, within_bound(side, answer["covered_to"]))
            self.tallies["fathom"].covered(len(held))
            row[f"fathom {side}"] = (len(held), *outcome)
            books = self.tape.at(update_id)
            if not books or any(book.last_id != update_id for book in books.values()):
                self.out_of_step += 1
                continue
            for name, kept in books.items():
                held = kept.sides[side]
                farthest = best_first(side, held)[-1]
                inside = (lambda price: price <= farthest) if side == "asks" else (lambda price: price >= farthest)
                outcome = self.tallies[name].compare(held, true, inside)
                self.tallies[name].covered(len(held))
                row[f"{name} {side}"] = (len(held), *outcome)
        self.mid = sum(best) / 2
        self.first_mid = self.first_mid or self.mid
        row["mid"] = f"{100 * (self.mid / self.first_mid - 1):+.2f} %"
        self.rows.append(row)
        return row

    def events(self):
        return self.simulator.get("/status")["exchanges"][EXCHANGE]["events"]

    def go(self):
        options = self.options
        audits = [round(options.events * index / options.audits) for index in range(options.audits + 1)]
        reconnects = [round(options.events * (index + 0.5) / options.reconnects) for index in range(options.reconnects)]
        for kind, due in sorted([("audit", due) for due in audits] + [("reconnect", due) for due in reconnects],
                                key=lambda item: item[1]):
            eventually(f"{due} events", lambda: self.events() >= due, 3600, 0.5)
            if kind == "reconnect":
                self.simulator.get("/control", exchange=EXCHANGE, fault="disconnect")
                continue
            row = self.audit(HOURS * due / options.events)
            print(row["hours"], "h", row["mid"], *(f"{name} {row.get(f'{name} asks')} {row.get(f'{name} bids')}"
                                                   for name in ("naive", "cut", "fathom")), file=sys.stderr)

    def report(self):
        def share(row, name):
            outcomes = [row.get(f"{name} {side}") for side in SIDES]
            if None in outcomes:
                return ["-"] * 4
            levels, matched, drifted, orphaned, missed = (sum(column) for column in zip(*outcomes))
            return [f"{outcomes[1][0]}/{outcomes[0][0]}", f"{100 * matched / (levels + missed):.2f} %", drifted + orphaned,
                    missed]
        print(f"{self.events()} events, mid {self.rows[-1]['mid']}, {self.options.reconnects} reconnects, "
              f"{self.tape.starts} snapshots for the simple rules, truth at the end "
              f"{self.rows[-1]['true bids']}/{self.rows[-1]['true asks']} levels; "
              f"audits while the simple rules were out of step: {self.out_of_step}; "
              f"queries that got an error instead of a book: {self.unanswered or 0}")
        print(table(["hour", "mid", "naive: levels bids/asks", "exact", "wrong", "missed", "cut: levels", "exact", "wrong",
                     "missed", "Fathom: levels", "exact", "wrong", "missed"],
                    [[row["hours"], row["mid"], *share(row, "naive"), *share(row, "cut"), *share(row, "fathom")]
                     for row in self.rows]))
        print()
        print(table(["rule", "sides audited", "match", "drift", "orphaned", "missed", "match share", "sides with a fault",
                     "levels a side, fewest", "most"],
                    [[name, tally.comparisons, tally.matched, tally.drifted, tally.orphaned, tally.missed, tally.share,
                      tally.faulty, tally.fewest, tally.most] for name, tally in self.tallies.items()]))
        fathom = self.tallies["fathom"]
        return 0 if fathom.compared and fathom.matched == fathom.compared else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=900_000)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--audits", type=int, default=30)
    parser.add_argument("--reconnects", type=int, default=10)
    parser.add_argument("--depth", type=int, default=500)
    parser.add_argument("--levels", type=int, default=8, help="levels that an event changes")
    parser.add_argument("--drift", type=float, default=6,
                        help="steps of a tick per second; each takes the best level, so the price moves farther")
    options = parser.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="fathom-forensics-"))
    try:
        with Simulator("--symbols", 1, "--rate", options.rate, "--levels", options.levels, "--depth", 20_000, "--span", 30,
                       "--crowding", 1.5, "--drift", options.drift) as simulator:
            return run(options, directory, simulator)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def run(options, directory, simulator):
    exchanges = simulator.exchanges(directory, EXCHANGE)
    with Cluster(workers=1, arguments=("--exchanges", str(exchanges))) as cluster:
        recorder = subprocess.Popen(
            [str(BINARIES / "fathom"), "record", "--exchange", EXCHANGE, "--exchanges", str(exchanges), "--market", MARKET,
             "--out", str(directory / "tape"), "--snapshot-limit", "1000"], stderr=subprocess.DEVNULL)
        try:
            cluster.apply(manifest(MARKET, depth=options.depth))
            eventually("the tape has its snapshot", (directory / "tape" / "snapshot.json").exists, 60)

            def is_deep():
                answers = [cluster.get(f"/get_{side}", exchange=EXCHANGE, market=MARKET, limit_count=1) for side in SIDES]
                return all(answer["result"] == "OK" and answer["covered_levels"] >= options.depth for answer in answers)

            eventually("the book covers its depth", is_deep, 120)
            forensics = Forensics(cluster, simulator, Tape(directory / "tape", RULES), options)
            forensics.go()
            return forensics.report()
        finally:
            recorder.terminate()
            recorder.wait(20)


if __name__ == "__main__":
    sys.exit(main())
