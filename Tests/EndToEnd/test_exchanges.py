"""Every exchange of the table, live in one cluster: each book is the exchange's own, and each family's pitfalls are survived."""

import json
import time
import unittest

from fathom import Cluster, eventually, manifest

CONTRACT = "BTC-301227-60000-C"
MARKETS = {
    "binance.com": "BTCUSDT",
    "binance.com-margin": "BTCUSDT",
    "binance.com-isolated_margin": "BTCUSDT",
    "binance.com-testnet": "BTCUSDT",
    "binance.com-margin-testnet": "BTCUSDT",
    "binance.com-isolated_margin-testnet": "BTCUSDT",
    "binance.com-futures": "BTCUSDT",
    "binance.com-futures-testnet": "BTCUSDT",
    "binance.com-coin_futures": "BTCUSD_PERP",
    "binance.com-vanilla-options": CONTRACT,
    "binance.com-vanilla-options-testnet": CONTRACT,
    "binance.us": "BTCUSDT",
    "trbinance.com": "BTCUSDT",
}


def name_of(exchange, market):
    return f"{exchange}-{market}".lower().replace("_", "-")


class Exchanges(unittest.TestCase):
    """One DepthCache for each of the thirteen names, on one worker, with the exchanges' real limits."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=1, simulator=["--symbols", 4, "--depth", 300]))
        caches = [*MARKETS.items(), ("binance.com-futures", "ETHUSDT"), ("binance.com-vanilla-options", "ETH-301227-3000-C")]
        cls.cluster.apply(*[manifest(market, name=name_of(exchange, market), exchange=exchange)
                            for exchange, market in caches])
        cls.cluster.kubectl("wait", "--for=condition=Ready", "depthcaches", "--all", "--timeout=120s", timeout=150)

    def audited(self, exchange, market):
        for side in ("asks", "bids"):
            # A book that has begun anew shows its best levels first; the deep copy follows.
            eventually(f"{exchange} {market} {side} is exact and deep",
                       lambda: len(self.cluster.audit(market, side, exchange) or []) >= 200, 60)

    def replica(self, exchange, market):
        return self.cluster.replicas(name_of(exchange, market))[0]["status"]

    def logged(self, *words):
        log = next((self.cluster.directory / "logs").glob("*worker-0*")).read_text(errors="replace")
        return any(all(word in line for word in words) for line in log.splitlines())

    def venue(self, exchange):
        return self.cluster.simulator("/status")[1]["exchanges"][exchange]

    def test_1_every_book_is_the_exchanges_own(self):
        for exchange, market in MARKETS.items():
            with self.subTest(exchange=exchange):
                self.audited(exchange, market)

    def test_1_aliases_share_one_stream_and_no_request_was_refused(self):
        for exchange, status in self.cluster.simulator("/status")[1]["exchanges"].items():
            with self.subTest(exchange=exchange):
                caches = 2 if exchange in ("binance.com-futures", "binance.com-vanilla-options") else 1
                self.assertEqual((status["streams"], status["refusals"]), (caches, 0))

    def test_2_markets_are_listed_as_each_exchange_says(self):
        for exchange in ("trbinance.com", "binance.com-coin_futures", "binance.com-vanilla-options"):
            with self.subTest(exchange=exchange):
                name = f"configmap/fathom-markets-{exchange.replace('.', '-').replace('_', '-')}"

                def published():
                    return json.loads(self.cluster.kubectl("get", name, "-o", "json"))["data"]["markets"].splitlines()

                # The list is published some time after the first cache of its exchange.
                eventually("the list is there", lambda: name in self.cluster.kubectl("get", "configmaps", "-o", "name"), 20)
                self.assertIn(MARKETS[exchange], published())
                refused = self.cluster.get("/create_depthcache", exchange=exchange, market="NOSUCHMARKET")
                self.assertEqual(refused["result"], "ERROR")

    def test_3_a_stream_that_is_acknowledged_and_silent_is_found_by_itself(self):
        futures = "binance.com-futures"
        before = self.replica(futures, "BTCUSDT")
        self.cluster.fault("ETHUSDT", "silence", futures, duration=70)
        began = time.monotonic()

        def found():
            self.assertEqual(self.cluster.levels("asks", "BTCUSDT", futures, limit_count=1)["result"], "OK")
            return self.logged(f"{futures}/ETHUSDT", "StreamSilent")

        eventually("the log says that this stream is dead", found, 65)
        self.assertGreater(time.monotonic() - began, 25, "a stream may be quiet for 30 s")
        self.cluster.fault("ETHUSDT", "resume", futures)
        self.audited(futures, "ETHUSDT")
        after = self.replica(futures, "BTCUSDT")
        self.assertEqual((after["phase"], after["since"]), (before["phase"], before["since"]))

    def test_4_ids_that_begin_anew_begin_the_book_anew(self):
        testnet = "binance.com-testnet"
        old = self.cluster.levels("asks", "BTCUSDT", testnet, limit_count=1)["update_id"]
        self.cluster.fault("BTCUSDT", "idreset", testnet)

        def fresh():
            answer = self.cluster.levels("asks", "BTCUSDT", testnet, limit_count=1)
            return answer["result"] == "OK" and answer["update_id"] < old

        eventually("the book has ids of after the reset", fresh, 40)
        self.audited(testnet, "BTCUSDT")

    def test_5_a_contract_that_expires_fails_and_says_so(self):
        options, market = "binance.com-vanilla-options", "ETH-301227-3000-C"
        self.cluster.fault(market, "expire", options)
        status = eventually("the replica has failed",
                            lambda: (s := self.replica(options, market))["phase"] == "Failed" and s, 60, pause=0.3)
        self.assertIn(status["reason"], ("UnknownMarket", "MarketNotTrading"))
        answer = self.cluster.levels("asks", market, options, limit_count=1)
        self.assertEqual((answer["result"], answer["error_id"]), ("ERROR", "#6000"))
        # The next day's contract is there, and the snapshots of both lag.
        following = "ETH-301228-3000-C"
        self.cluster.apply(manifest(following, name=name_of(options, following), exchange=options))
        eventually("the next contract is ready", lambda: self.cluster.ready_replicas(name_of(options, following)), 60)
        self.audited(options, following)
        self.assertEqual(self.venue(options)["refusals"], 0)


if __name__ == "__main__":
    unittest.main()
