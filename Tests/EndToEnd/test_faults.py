"""Faults of the exchange: a broken book is never served, and is exact again afterwards."""

import threading
import time
import unittest

from fathom import EXCHANGE, Cluster, eventually, manifest


class Watcher(threading.Thread):
    """Asks for a whole side again and again; keeps every answer with its time."""

    def __init__(self, cluster, market):
        super().__init__(daemon=True)
        self.cluster, self.market, self.answers, self.ending = cluster, market, [], threading.Event()

    def run(self):
        while not self.ending.is_set():
            answer = self.cluster.levels("bids", self.market)
            self.answers.append((time.monotonic(), answer))
            time.sleep(0.02)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.join(20)


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=1, simulator=["--symbols", 8, "--rate", 10]))
        cls.markets = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT", "SOLUSDT", "SIM0006USDT", "SIM0007USDT"]
        cls.cluster.apply(*[manifest(market) for market in cls.markets])
        cls.cluster.kubectl("wait", "--for=condition=Ready", "depthcaches", "--all", "--timeout=90s", timeout=120)

    def restarts(self, market):
        return self.cluster.replicas(f"e2e-{market.lower()}")[0]["status"].get("restarts", 0)

    def inject(self, market, fault, detected_within, everywhere=False, **query):
        """Injects one fault, into one market or the whole exchange; asserts that it is seen in time, never served, healed, and that the book is exact."""
        cluster = self.cluster
        before = self.restarts(market)
        with Watcher(cluster, market) as watcher:
            eventually("the watcher runs", lambda: len(watcher.answers) > 5)
            injected = time.monotonic()
            cluster.fault(None if everywhere else market, fault, **query)
            eventually(f"{fault} of {market} is detected", lambda: self.restarts(market) > before, detected_within + 30)
            eventually(f"{market} is served again",
                       lambda: watcher.answers[-1][1]["result"] == "OK" and self.restarts(market) > before, 120)
        errors = [(at, answer) for at, answer in watcher.answers if answer["result"] != "OK"]
        for _, answer in errors:
            self.assertEqual(answer["error_id"], "#6000", answer)
        if errors:
            self.assertLessEqual(errors[0][0] - injected, detected_within, errors[0])
        # Everything that was served is checked against the exchange's own history, while that still reaches back.
        checked = 0
        for _, answer in watcher.answers:
            if answer["result"] != "OK":
                continue
            try:
                true = cluster.truth(market, answer["update_id"])["bids"]
            except KeyError:
                continue
            bound = answer["covered_to"]
            expected = [[float(p), float(q)] for p, q in true if bound is None or float(p) >= float(bound)]
            served = [[float(p), float(q)] for p, q in answer["bids"]]
            self.assertEqual(served, expected, f"{fault}: a wrong book was served at {answer['update_id']}")
            checked += 1
        self.assertGreater(checked, 5)
        for side in ("asks", "bids"):
            eventually(f"{market} is exact again", lambda: cluster.audit(market, side), 30)

    def test_gap(self):
        self.inject("BTCUSDT", "gap", detected_within=2)

    def test_disconnect(self):
        self.inject("ETHUSDT", "disconnect", detected_within=2)

    def test_garbage_frame(self):
        self.inject("BNBUSDT", "garbage", detected_within=2)

    def test_id_reset(self):
        self.inject("XRPUSDT", "idreset", detected_within=5)

    def test_silence_of_one_stream(self):
        # The connection lives; a stream silent for 30 s is probed by REST.
        self.inject("SOLUSDT", "silence", detected_within=45, duration=60)

    def test_silence_of_the_whole_connection(self):
        # Nothing at all on the connection, pongs neither: dead after 10 s.
        self.cluster.fault(None, "ping-loss", duration=20)
        self.inject("SIM0007USDT", "silence", detected_within=14, everywhere=True, duration=20)

    def test_duplicate_and_reorder_do_no_harm(self):
        for fault in ("duplicate", "reorder"):
            with self.subTest(fault=fault):
                self.cluster.fault("SIM0006USDT", fault)
                for side in ("asks", "bids"):
                    eventually("the book is exact", lambda: self.cluster.audit("SIM0006USDT", side), 30)


if __name__ == "__main__":
    unittest.main()
