"""Recording: what is written down leads to the exchange's own book, and the simulator can play it."""

import contextlib
import json
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest
from decimal import Decimal

from fathom import BINARIES, Simulator, eventually


def fathom(*arguments, **options):
    return subprocess.run([str(BINARIES / "fathom"), *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          **options)


class Record(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="fathom-record-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def replayed(self, exchange, folder, depth=100_000):
        done = fathom("replay", "--exchange", exchange, "--snapshot", folder / "snapshot.json", "--events",
                      folder / "events.jsonl", "--depth", depth)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def assert_same(self, replayed, true):
        for side in ("bids", "asks"):
            levels = [[(Decimal(price), Decimal(quantity)) for price, quantity in book[side]] for book in (replayed, true)]
            self.assertGreater(len(levels[0]), 100)
            self.assertEqual(levels[0], levels[1], side)

    def test_a_recording_replays_to_the_true_book_and_feeds_the_simulator(self):
        # No more than 300 levels a side: a snapshot shows all there is.
        for exchange in ("binance.com", "binance.com-futures"):
            with self.subTest(exchange=exchange), Simulator("--symbols", 2, "--rate", 20, "--depth", 240) as simulator:
                folder = self.directory / exchange
                done = fathom("record", "--exchange", exchange, "--exchanges",
                              simulator.exchanges(self.directory, exchange), "--market", "BTCUSDT", "--out", folder,
                              "--duration", 4, "--snapshot-every", 2)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(" 0 gaps", done.stderr)
                book = self.replayed(exchange, folder)
                self.assertGreater(book["applied"], 20)
                self.assertEqual(book["gaps"], 0)
                self.assert_same(book, simulator.get("/truth", exchange=exchange, symbol="BTCUSDT", id=book["final_u"]))
                self.assertTrue((folder / "snapshot-2.json").exists())
            self.replay_in_simulator(exchange, folder, book)

    def replay_in_simulator(self, exchange, folder, book):
        with Simulator("--symbols", 0, "--replay", f"{exchange}={folder}", "--pace", 4) as simulator:
            again = self.directory / f"{exchange}-again"
            done = fathom("record", "--exchange", exchange, "--exchanges",
                          simulator.exchanges(self.directory, exchange), "--market", "BTCUSDT", "--out", again,
                          "--duration", 3)
            self.assertEqual(done.returncode, 0, done.stderr)
            played = self.replayed(exchange, again)
            self.assertEqual((played["final_u"], played["book_sha256"]), (book["final_u"], book["book_sha256"]))

    def test_a_lost_connection_is_followed_by_a_snapshot_of_its_own(self):
        with Simulator("--symbols", 3, "--rate", 20, "--depth", 240) as simulator:
            folder = self.directory / "several"
            arguments = ["record", "--exchange", "binance.com", "--exchanges",
                         simulator.exchanges(self.directory, "binance.com"), "--out", folder, "--market", "BTCUSDT",
                         "--market", "ETHUSDT"]
            with open(self.directory / "progress.txt", "w") as progress:
                process = subprocess.Popen([str(BINARIES / "fathom"), *map(str, arguments)], stderr=progress)
            with contextlib.ExitStack() as stack:
                stack.callback(process.wait, 20)
                stack.callback(process.kill)
                for market in ("BTCUSDT", "ETHUSDT"):
                    eventually("a snapshot is there", (folder / market / "snapshot.json").exists, 30)
                simulator.get("/control", exchange="binance.com", fault="disconnect")
                for market in ("BTCUSDT", "ETHUSDT"):
                    eventually("another one is there", (folder / market / "snapshot-2.json").exists, 30)
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(20), 0)
                for market in ("BTCUSDT", "ETHUSDT"):
                    book = self.replayed("binance.com", folder / market)
                    self.assert_same(book, simulator.get("/truth", exchange="binance.com", symbol=market,
                                                         id=book["final_u"]))

    def test_what_cannot_be_recorded_is_said(self):
        with Simulator("--symbols", 2) as simulator:
            exchanges = simulator.exchanges(self.directory, "binance.com")
            common = ["record", "--exchange", "binance.com", "--exchanges", exchanges, "--out", self.directory / "x"]
            for arguments, words, code in ((["--market", "NOSUCH"], "Invalid symbol", 1), ([], "--market", 2),
                                           (["--market", "BTCUSDT", "--interval", "7"], "100, 1000", 2),
                                           (["--market", "BTCUSDT", "--duration", "1"], "is there already", 1)):
                done = fathom(*common, *arguments)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
