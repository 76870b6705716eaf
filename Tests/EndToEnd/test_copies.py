"""Copies come from copies: a market's replicas spend the exchange's request weight once."""

import json
import os
import signal
import time
import unittest

from fathom import EXCHANGE, Cluster, eventually, manifest


class Copies(unittest.TestCase):
    MARKETS = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT", "SOLUSDT"] + [f"SIM{number:04}USDT" for number in range(6, 21)]

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=3, simulator=["--symbols", 24, "--rate", 5]))
        cls.cluster.apply(*[manifest(market, replicas=2) for market in cls.MARKETS])
        cls.await_all()

    @classmethod
    def await_all(cls, deadline=120):
        def are_ready():
            return [market for market in cls.MARKETS if cls.cluster.ready_replicas(f"e2e-{market.lower()}") < 2] == []
        eventually("two synchronised copies of each market", are_ready, deadline)

    def given(self):
        """The snapshots that the exchange gave: {market: [limit, ...]}."""
        return self.cluster.simulator("/snapshots")[1][EXCHANGE]

    def all_replicas(self):
        return json.loads(self.cluster.kubectl("get", "depthcachereplicas", "-o", "json"))["items"]

    def incarnation(self, replica):
        return replica.get("status", {}).get("incarnation")

    def settled(self):
        """The snapshots given, once every market had its deep one and no more are asked for."""
        last = [None, 0.0]

        def is_quiet():
            now = self.given()
            if now != last[0]:
                last[:] = [now, time.monotonic()]
            are_deep = all(max(now.get(market, [0])) >= 1000 for market in self.MARKETS)
            return are_deep and time.monotonic() - last[1] > 3 and last[0]
        return eventually("the exchange is asked no more", is_quiet, 90)

    def audit(self):
        for market in self.MARKETS:
            for side in ("asks", "bids"):
                eventually(f"{market} {side} are exact", lambda: self.cluster.audit(market, side), 30)

    def log(self, worker):
        return (self.cluster.directory / "logs" / f"{worker}.log").read_text()

    def test_1_first_copies_are_fetched_once(self):
        given = self.settled()
        for market in self.MARKETS:
            # Every limit at most once, whatever steps the depth takes.
            self.assertEqual(sorted(given[market]), sorted(set(given[market])), f"{market} was fetched twice")
        copied = sum(self.log(f"fathom-worker-{number}").count("Copied book") for number in range(3))
        self.assertGreaterEqual(copied, len(self.MARKETS))
        self.audit()

    def test_2_a_killed_workers_books_come_from_the_peers(self):
        before = self.settled()
        killed = {self.incarnation(replica) for replica in self.all_replicas() if replica["spec"]["workerName"] == "fathom-worker-1"}
        self.assertEqual(len(killed), 1)
        os.kill(self.cluster.worker_pid("fathom-worker-1"), signal.SIGKILL)
        eventually("two copies again, none of them the killed worker's", lambda: not any(
            self.incarnation(replica) in killed for replica in self.all_replicas()), 60)
        self.await_all()
        self.assertEqual(self.settled(), before, "the exchange was asked for what a peer had")
        self.audit()

    def test_3_after_an_id_reset_no_peer_is_copied(self):
        market = "ETHUSDT"
        before = self.settled()
        restarts = [replica["status"].get("restarts", 0) for replica in self.cluster.replicas(f"e2e-{market.lower()}")]
        self.cluster.fault(market, "idreset")
        eventually("both copies have started over", lambda: all(
            replica["status"].get("restarts", 0) > 0 and replica["status"]["phase"] == "Synchronized"
            for replica in self.cluster.replicas(f"e2e-{market.lower()}")), 60)
        self.assertEqual(restarts, [0, 0])
        given = self.settled()
        self.assertGreaterEqual(len(given[market]), len(before[market]) + 2, "each copy asks the exchange itself")
        eventually("exact again", lambda: self.cluster.audit(market, "bids"), 30)


if __name__ == "__main__":
    unittest.main()
