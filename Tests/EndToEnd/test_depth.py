"""How deep books are, how that is said, and that they are compared with the exchange's own."""

import json
import unittest

from fathom import EXCHANGE, Cluster, eventually, manifest

FUTURES = "binance.com-futures"


class Depth(unittest.TestCase):
    # Its levels never change, so that no event heals a corrupted one before it is looked for.
    QUIET = "SIM0008USDT"

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=1, simulator=["--symbols", 8, "--depth", 3000, "--quiet", 1]))

    def condition(self, name, kind):
        for condition in self.cluster.cache(name).get("status", {}).get("conditions", []):
            if condition["type"] == kind:
                return condition
        return {}

    def info(self, market, exchange=EXCHANGE):
        """What the one worker says of its book, through the gateway."""
        record = self.cluster.get("/get_depthcache_info", exchange=exchange, market=market)["depthcache_info"]
        return next(iter(record["DISTRIBUTION"].values())).get("book", {})

    def ready(self, *objects):
        self.cluster.apply(*objects)
        for item in objects:
            name = item["metadata"]["name"]
            eventually(f"{name} is ready", lambda: self.condition(name, "Ready").get("status") == "True", 90)

    def test_coverage_below_depth_is_said_of_the_cache_that_asks_for_it(self):
        deep = manifest("BTCUSDT", name="deep", depth=5000)
        deep["spec"]["exchange"] = FUTURES
        self.ready(deep)
        degraded = eventually(
            "the cache is degraded",
            lambda: (c := self.condition("deep", "Degraded")).get("reason") == "CoverageBelowDepth" and c, 60)
        self.assertEqual(degraded["status"], "True")
        self.assertIn("binance.com-futures hands out no more than 1000", degraded["message"])
        self.assertEqual(self.condition("deep", "Ready")["status"], "True")
        self.assertIn("True", self.cluster.kubectl("get", "dc", "deep"))
        side = self.info("BTCUSDT", FUTURES)["bids"]
        self.assertFalse(side["whole"])
        self.assertTrue(900 <= side["covered_levels"] <= 2000, side)
        answer = self.cluster.get("/get_bids", exchange=FUTURES, market="BTCUSDT", limit_count=5000)
        self.assertEqual(answer["complete"], False)
        self.assertEqual(len(answer["bids"]), answer["covered_levels"])
        # A depth that the exchange can show takes effect at once.
        self.cluster.kubectl("patch", "dc", "deep", "--type=merge", "-p", json.dumps({"spec": {"depth": 400}}))
        eventually("nothing is degraded any more", lambda: self.condition("deep", "Degraded").get("status") == "False", 30)

    def test_a_raised_depth_is_reached_without_an_outage(self):
        self.ready(manifest("ETHUSDT", name="raised", depth=50))
        self.cluster.kubectl("patch", "dc", "raised", "--type=merge", "-p", json.dumps({"spec": {"depth": 400}}))
        eventually("the deep levels", lambda: self.info("ETHUSDT")["asks"]["covered_levels"] >= 800, 30)
        self.assertEqual(self.info("ETHUSDT")["restarts"], 0)
        for side in ("asks", "bids"):
            eventually("the side is exact", lambda: self.cluster.audit("ETHUSDT", side), 30)

    def test_a_corrupted_level_is_found_by_a_refresh_told_and_healed(self):
        self.ready(manifest(self.QUIET, name="corrupted", depth=50, refreshIntervalSeconds=2))
        first = eventually("a comparison", lambda: self.info(self.QUIET).get("last_audit"), 30)
        self.assertEqual(first["result"], "match")
        self.assertGreater(first["bids"]["matched"], 50)
        eventually("another", lambda: self.info(self.QUIET)["last_audit"]["time"] > first["time"], 30)
        self.assertEqual(self.info(self.QUIET)["restarts"], 0)
        self.cluster.fault(self.QUIET, "corrupt", rank=60, side="bids")
        # The next refresh says "match" again within seconds, so the lasting traces are looked at: the Events and the dump.
        events = eventually(
            "Events on both objects",
            lambda: (found := [e for e in json.loads(self.cluster.kubectl("get", "events", "-o", "json"))["items"]
                               if e["reason"] == "AuditMismatch"])
            and {e["involvedObject"]["kind"] for e in found} == {"DepthCache", "DepthCacheReplica"} and found, 60)
        self.assertEqual(events[0]["type"], "Warning")
        dumps = eventually("the dump", lambda: list((self.cluster.directory / "tmp").glob("**/audit-*")), 10)
        dump = json.loads(dumps[0].read_text(encoding="utf-8"))
        self.assertEqual(dump["bids"]["drifted"], 1)
        self.assertGreater(len(dump["ours"]["bids"]), 50)
        for side in ("asks", "bids"):
            eventually("the side is exact again", lambda: self.cluster.audit(self.QUIET, side), 30)
        self.assertEqual(self.info(self.QUIET)["restarts"], 1)


if __name__ == "__main__":
    unittest.main()
