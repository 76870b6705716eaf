"""Many DepthCaches in one call: all of them are created, and placed once the call is over."""

import json
import unittest
import urllib.request

from fathom import EXCHANGE, Cluster, eventually

MARKETS = [f"SIM{number:04d}USDT" for number in range(6, 306)]


class Bulk(unittest.TestCase):
    def test_all_of_one_call_get_books_and_what_was_there_keeps_its_own(self):
        simulator = ["--symbols", 310, "--rate", 1, "--depth", 100, "--weight-limit", 100_000]
        with Cluster(workers=2, simulator=simulator) as cluster:
            self.assertEqual(self.create(cluster, ["BTCUSDT"])["result"], "OK")
            self.answers(cluster, "BTCUSDT")
            self.assertEqual(self.create(cluster, MARKETS)["result"], "OK")
            self.assertIn("asks", cluster.levels("asks", "BTCUSDT", limit_count=1))
            for market in MARKETS:
                self.answers(cluster, market)
            # One that comes alone afterwards does not wait for company.
            self.assertEqual(self.create(cluster, ["ETHUSDT"])["result"], "OK")
            self.answers(cluster, "ETHUSDT")

    def answers(self, cluster, market):
        eventually(f"{market} has a book", lambda: "asks" in cluster.levels("asks", market, limit_count=1), 120)

    def create(self, cluster, markets):
        body = json.dumps({"exchange": EXCHANGE, "markets": markets}).encode()
        url = f"http://127.0.0.1:{cluster.gateway[1]}/create_depthcaches"
        asked = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=60) as reply:
            return json.load(reply)


if __name__ == "__main__":
    unittest.main()
