"""`/v1` as a client sees it: books against the exchange's own, conditions, problems, DepthCaches, the cluster."""

import contextlib
import http.client
import json
import time
import unittest
import urllib.parse
from decimal import Decimal

from fathom import EXCHANGE, Cluster, eventually, manifest

MARKETS = ["BTCUSDT", "ETHUSDT", "BNBUSDT"]


class V1(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=2, simulator=["--symbols", 5, "--rate", 20]))
        cls.cluster.apply(*(manifest(market, replicas=2) for market in MARKETS))
        cls.cluster.kubectl("wait", "--for=condition=Ready", "depthcaches", "--all", "--timeout=90s", timeout=120)
        for market in MARKETS:
            eventually("both copies are in sync", lambda: cls.cluster.ready_replicas(f"e2e-{market.lower()}") == 2)

    def call(self, path, method="GET", body=None, headers=None, **query):
        """Returns status, headers and document."""
        connection = http.client.HTTPConnection(*self.cluster.gateway, timeout=15)
        with contextlib.closing(connection):
            if query:
                path += "?" + urllib.parse.urlencode(query)
            connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers or {})
            reply = connection.getresponse()
            text = reply.read()
            return reply.status, dict((name.lower(), value) for name, value in reply.getheaders()), \
                json.loads(text) if text else None

    def book(self, market, **query):
        status, headers, book = self.call(f"/v1/books/{EXCHANGE}/{market}", **query)
        self.assertEqual(status, 200, book)
        return headers, book

    def check(self, book, limit=None):
        """Both sides must be the exchange's own at the one update id that the answer names."""
        truth = self.cluster.truth(book["market"], book["update_id"])
        for side in ("bids", "asks"):
            bound = book["coverage"][side]["to"]
            true = [level for level in truth[side] if bound is None or
                    (Decimal(level[0]) >= Decimal(bound) if side == "bids" else Decimal(level[0]) <= Decimal(bound))]
            if limit is None:
                self.assertEqual(len(true), book["coverage"][side]["levels"])
            else:
                true = true[:limit]
            # As text: every digit as the exchange sent it.
            self.assertEqual(book[side], [list(level[:2]) for level in true], (book["market"], side))

    def test_both_sides_are_the_exchanges_own_at_one_update_id(self):
        for _ in range(20):
            for market in MARKETS:
                _, book = self.book(market)
                self.check(book)
                self.assertLess(Decimal(book["bids"][0][0]), Decimal(book["asks"][0][0]))
                self.assertGreaterEqual(book["received_time"], book["event_time"] - 1000)
                self.assertLess(book["age"], 15_000)

    def test_limit_and_threshold(self):
        _, book = self.book("BTCUSDT", limit=3)
        self.check(book, limit=3)
        _, book = self.book("BTCUSDT", threshold="0.00000001")
        self.check(book, limit=1)
        _, book = self.book("BTCUSDT", threshold="100000")
        for side in ("bids", "asks"):
            true = self.cluster.truth("BTCUSDT", book["update_id"])[side]
            total, fitting = Decimal(0), 0
            for price, quantity in true:
                total += Decimal(price) * Decimal(quantity)
                if total > 100000 and fitting > 0:
                    break
                fitting += 1
            self.assertEqual(book[side], [list(level) for level in true[:fitting]])

    def test_many_and_all(self):
        status, _, answer = self.call("/v1/books", markets="all", limit=1)
        self.assertEqual(status, 200)
        self.assertEqual((sorted(book["market"] for book in answer["books"]), answer["problems"]), (sorted(MARKETS), []))
        for book in answer["books"]:
            self.check(book, limit=1)
        status, _, answer = self.call("/v1/books", markets="ethusdt,NOSUCH,BTCUSDT", exchange=EXCHANGE, limit=5)
        self.assertEqual([book["market"] for book in answer["books"]], ["ETHUSDT", "BTCUSDT"])
        for book in answer["books"]:
            self.check(book, limit=5)
        self.assertEqual([(problem["market"], problem["status"], problem["error_id"]) for problem in answer["problems"]],
                         [("NOSUCH", 404, "#7000")])

    def test_a_book_that_has_not_changed_is_not_sent_again(self):
        path = f"/v1/books/{EXCHANGE}/BTCUSDT"

        def unchanged():
            _, headers, _ = self.call(path, limit=1)
            status, again, body = self.call(path, headers={"If-None-Match": headers["etag"]}, limit=1)
            if status == 304:
                self.assertIsNone(body)
                self.assertEqual(again["etag"], headers["etag"])
                self.assertNotIn("content-length", again)
            return status == 304

        eventually("two requests within one state", unchanged, 30, pause=0.01)
        _, headers, book = self.call(path, limit=1)

        def changed():
            status, again, now = self.call(path, headers={"If-None-Match": headers["etag"]}, limit=1)
            return status == 200 and (again["etag"], now) if status == 200 else None

        tag, now = eventually("the book changes", changed)
        self.assertNotEqual(tag, headers["etag"])
        self.assertGreater(now["update_id"], book["update_id"])

    def test_no_step_back_between_copies(self):
        least = 0
        for _ in range(200):
            _, book = self.book("ETHUSDT", limit=1, min_update_id=least)
            self.assertGreaterEqual(book["update_id"], least)
            least = book["update_id"]
        # Waited for: an id that the next events bring.
        _, book = self.book("ETHUSDT", limit=1, min_update_id=least + 1)
        self.assertGreater(book["update_id"], least)
        begun = time.monotonic()
        status, headers, problem = self.call(f"/v1/books/{EXCHANGE}/ETHUSDT", min_update_id=2**62)
        self.assertEqual((status, problem["error_id"]), (409, "#6001"), problem)
        self.assertGreaterEqual(problem["update_id"], least)
        self.assertEqual(headers["retry-after"], "1")
        self.assertGreater(time.monotonic() - begun, 0.5)

    def test_problems_name_the_parameter(self):
        path = f"/v1/books/{EXCHANGE}/BTCUSDT"
        for query, name in ((dict(limit="0"), "limit"), (dict(threshold="-1"), "threshold"), (dict(depth=3), "depth"),
                            (dict(min_update_id="x"), "min_update_id")):
            status, headers, problem = self.call(path, **query)
            self.assertEqual((status, headers["content-type"], problem["parameter"]), (400, "application/problem+json", name))
            self.assertIn("expected", problem["detail"])
        status, _, problem = self.call(f"/v1/books/{EXCHANGE}/NEVERMADE")
        self.assertEqual((status, problem["error_id"]), (404, "#7000"))

    def test_head_and_options(self):
        path = f"/v1/books/{EXCHANGE}/BTCUSDT"
        status, headers, body = self.call(path, "HEAD")
        self.assertEqual((status, body), (200, None))
        self.assertGreater(int(headers["content-length"]), 100)
        self.assertIn("etag", headers)
        status, headers, _ = self.call(path, "OPTIONS")
        self.assertEqual((status, headers["allow"]), (204, "GET, HEAD, OPTIONS"))
        status, headers, problem = self.call(path, "DELETE")
        self.assertEqual((status, headers["allow"], problem["error_id"]), (405, "GET, HEAD, OPTIONS", "#1041"))

    def test_the_life_of_a_depthcache(self):
        status, headers, cache = self.call("/v1/depthcaches", "POST", {"exchange": EXCHANGE, "market": "XRPUSDT"})
        self.assertEqual((status, cache["replicas"]), (201, 1), cache)
        place = headers["location"]
        self.assertEqual(place, f"/v1/depthcaches/{EXCHANGE}/XRPUSDT")
        try:
            self.assertEqual(self.call("/v1/depthcaches", "POST", {"exchange": EXCHANGE, "market": "XRPUSDT"})[0], 409)
            eventually("it is ready", lambda: self.call(place)[2]["ready_replicas"] == 1)
            status, _, cache = self.call(place, "PATCH", {"replicas": 2})
            self.assertEqual((status, cache["replicas"]), (200, 2))
            copies = eventually("both copies are in sync", lambda: [
                copy["worker"] for copy in self.call(place)[2]["copies"] if copy["in_sync"]][1:])
            self.assertTrue(copies)
            self.assertIn("XRPUSDT", [cache["market"] for cache in self.call("/v1/depthcaches")[2]["depthcaches"]])
            self.check(self.book("XRPUSDT")[1])
        finally:
            self.assertEqual(self.call(place, "DELETE")[0], 204)
        self.assertEqual(self.call(place)[0], 404)
        self.assertNotIn("xrpusdt", self.cluster.kubectl("get", "depthcaches", "-o", "name"))

    def test_an_unknown_market_is_not_created(self):
        eventually("the list of markets is published", lambda: "fathom-markets" in self.cluster.kubectl("get", "configmaps"))
        status, _, problem = eventually("it is refused", lambda: (lambda answer: answer if answer[0] == 422 else None)(
            self.call("/v1/depthcaches", "POST", {"exchange": EXCHANGE, "market": "NOSUCHUSDT"})))
        self.assertEqual((problem["error_id"], problem["parameter"]), ("#1017", "market"))

    def test_the_cluster(self):
        status, _, told = self.call("/v1/cluster")
        self.assertEqual(status, 200)
        self.assertEqual([worker["link"] for worker in told["workers"]], ["up", "up"])
        self.assertTrue(told["kubernetes"]["reachable"])
        self.assertGreaterEqual(told["depthcaches"]["ready"], len(MARKETS))


if __name__ == "__main__":
    unittest.main()
