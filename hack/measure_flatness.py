"""What an event costs with few and with many books, measured in turns; run by hack/measure-flatness.sh."""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

SLICE_SECONDS = 0.12


class Benchmark:
    """One `fathom-bench feed` with its simulator, which runs only while it is its turn."""

    def __init__(self, books, options):
        self.books = books
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [os.path.join(os.environ["FATHOM_BIN"], "fathom-bench"), "feed", "--json", "--pause", "--rate", "0",
             "--books", str(books), "--seconds", str(options.seconds), "--cores", options.cores],
            stdout=subprocess.PIPE, stderr=self.errors, text=True, start_new_session=True)
        self.signal(signal.SIGSTOP)

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def begin(self):
        """Lets it run alone until its books are deep, when it stops itself: all of what it measures is measured in turns."""
        # A reader of its own, as the programs write at the place of the file that they share.
        with open(f"/proc/self/fd/{self.errors.fileno()}") as errors:
            self.signal(signal.SIGCONT)
            seen = ""
            while "books are deep" not in seen and self.process.poll() is None:
                time.sleep(0.01)
                seen = seen[-40:] + errors.read()
            self.signal(signal.SIGSTOP)

    def turn(self):
        """Lets it run for a slice; false once it has ended."""
        self.signal(signal.SIGCONT)
        try:
            self.process.wait(SLICE_SECONDS)
            return False
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGSTOP)
            return True

    def figures(self):
        """Microseconds of an event, by how its TLS records are filled."""
        if self.process.returncode:
            self.errors.seek(0)
            raise SystemExit(f"fathom-bench with {self.books} books ended with {self.process.returncode}:\n"
                             + "".join(self.errors.readlines()[-5:]))
        figures = json.loads(self.process.stdout.read())
        if any(value for name, value in figures.items() if name.endswith("_resyncs")):
            self.errors.seek(0)
            lost = [line for line in self.errors if "out of sync" in line and "the worker stops" not in line]
            raise SystemExit(f"of {self.books} books some had to start over:\n" + "".join(lost[:5]))
        return {records: figures[f"books_{self.books}_{records}_nanoseconds_per_event"] / 1000
                for records in ("coalesced", "single")}


def take(options):
    """The figures with few and with many books of one take."""
    benchmarks = []
    try:
        for books in (options.few, options.many):
            benchmarks.append(Benchmark(books, options))
        # Those that take longer first: a program that was stopped for many seconds has books to look after.
        for benchmark in reversed(benchmarks):
            benchmark.begin()
        running = list(benchmarks)
        while running:
            running = [benchmark for benchmark in running if benchmark.turn()]
        return [benchmark.figures() for benchmark in benchmarks]
    finally:
        for benchmark in benchmarks:
            benchmark.signal(signal.SIGKILL)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--takes", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--few", type=int, default=10)
    parser.add_argument("--many", type=int, default=2000)
    parser.add_argument("--cores", default="0,1")
    options = parser.parse_args()
    # Else a stopped benchmark would be left behind.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    print("take", "records", f"us_{options.few}_books", f"us_{options.many}_books", "ratio", sep="\t")
    ratios = {}
    for number in range(1, options.takes + 1):
        few, many = take(options)
        for records in few:
            ratio = many[records] / few[records]
            ratios.setdefault(records, []).append(ratio)
            print(number, records, f"{few[records]:.2f}", f"{many[records]:.2f}", f"{ratio:.2f}", sep="\t", flush=True)
    for records, values in ratios.items():
        print("median", records, "", "", f"{statistics.median(values):.2f}", sep="\t")


if __name__ == "__main__":
    start = time.monotonic()
    main()
    print(f"took {time.monotonic() - start:.0f} s")
