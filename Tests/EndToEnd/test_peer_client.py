"""The peer's own Python client, unchanged from PyPI, against a running cluster: every method of its `cluster`, in both forms."""

import asyncio
import base64
import json
import logging
import time
import unittest
import urllib.error
import urllib.request
from decimal import Decimal

import packages
from fathom import EXCHANGE, Cluster, eventually
from unicorn_binance_local_depth_cache import BinanceLocalDepthCacheManager, DepthCacheClusterNotReachableError

# It warns of every busy moment of the machine.
logging.getLogger("unicorn_binance_websocket_api").setLevel(logging.CRITICAL)
KEY, SECRET = "pEerK3yAbCdEfGhIjKlMnOpQr", "pEerS3cretZyXwVuTsRqPoNm"
OK = {"result": "OK"}


class NoRest:
    """Stands for the Binance REST client that the manager would make, and ask for the time, for nothing that `cluster` needs."""

    def stop_manager(self):
        pass


def connect(port):
    return BinanceLocalDepthCacheManager(exchange=EXCHANGE, ubdcc_address="127.0.0.1", ubdcc_port=port, ubra_manager=NoRest(),
                                         warn_on_update=False)


class Client(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fathom = cls.enterClassContext(Cluster(workers=2, simulator=["--symbols", 40, "--rate", 5]))
        manager = connect(cls.fathom.gateway[1])
        cls.addClassCleanup(manager.stop_manager)
        cls.client = manager.cluster
        for market in ("BTCUSDT", "ETHUSDT"):
            made = cls.client.create_depthcache(exchange=EXCHANGE, market=market, desired_quantity=2)
            assert made == {"event": "CREATE_DEPTHCACHE", "result": "OK"}, made
            cls.wait_until_served(market)
        eventually("all pods run", lambda: {pod["STATUS"] for pod in cls.client.get_cluster_info()["db"]["pods"].values()} == {
            "running"}, 60)
        # Without the list of markets anything could be created.
        eventually("the markets are published", lambda: "fathom-markets-binance-com" in cls.fathom.kubectl(
            "get", "configmaps", "-o", "name"), 30)

    @classmethod
    def wait_until_served(cls, market, replicas=2):
        def running():
            record = cls.client.get_depthcache_info(EXCHANGE, market)["depthcache_info"]
            return [copy["STATUS"] for copy in record["DISTRIBUTION"].values()] == ["running"] * replicas
        eventually(f"{market} runs", running, 60)

    def forms(self, method):
        """The method's two forms, as functions."""
        waiting = getattr(self.client, f"{method}_async")
        return getattr(self.client, method), lambda *arguments, **options: asyncio.run(waiting(*arguments, **options))

    def both(self, method, *arguments, **options):
        """What the method answers in its two forms, one after the other."""
        for form in self.forms(method):
            yield form(*arguments, **options)

    def check(self, answer, event, **expected):
        self.assertEqual({"event": event, "result": "OK", **expected}, {key: answer.get(key) for key in ("event", "result", *expected)})

    def refused(self, answer, error_id, *words):
        self.assertEqual((answer["result"], answer["error_id"]), ("ERROR", error_id), answer)
        for word in words:
            self.assertIn(word, answer["message"])

    def check_debug(self, answer, path, workers=0):
        """The client has put its own times in, and the pods are those of the cluster."""
        debug = answer["debug"]
        pods = self.client.get_cluster_info()["db"]["pods"]
        self.assertTrue(0 < debug["cluster_execution_time"] < debug["request_time"], debug)
        self.assertAlmostEqual(debug["transmission_time"], debug["request_time"] - debug["cluster_execution_time"])
        self.assertTrue(debug["url"].startswith(f"http://127.0.0.1:{self.fathom.gateway[1]}{path}"), debug["url"])
        roles = [pods[uid]["ROLE"] for _, uid in debug["used_pods"]]
        self.assertEqual(roles, ["ubdcc-restapi"] + ["ubdcc-dcn"] * workers)
        self.assertEqual([pods[uid]["NAME"] for _, uid in debug["used_pods"]], [name for name, _ in debug["used_pods"]])

    # Who is there

    def test_test_and_connection(self):
        for answer in self.both("get_test"):
            self.check(answer, "TEST", ubdcc_mgmt_backup=None)
            self.assertEqual(answer["app"]["name"], "ubdcc-restapi")
        self.assertEqual(list(self.both("test_connection")), [True, True])
        with self.assertRaises(DepthCacheClusterNotReachableError):
            connect(1)

    # Prices

    def test_levels_are_the_exchanges_own(self):
        for side in ("asks", "bids"):
            for options in ({}, {"limit_count": 7}, {"limit_count": 0}, {"limit_count": -5}):
                with self.subTest(side=side, **options):
                    for answer in self.both(f"get_{side}", EXCHANGE, "BTCUSDT", **options):
                        self.check(answer, f"GET_{side.upper()}")
                        true = self.truth("BTCUSDT", answer, side)
                        self.assertEqual(answer[side], true[:options["limit_count"]] if options else true)

    def truth(self, market, answer, side):
        """The exchange's own levels at the same update id, as far as the book is known, as the client's numbers."""
        bound = answer["covered_to"]
        levels = [[float(price), float(quantity)] for price, quantity in self.fathom.truth(market, answer["update_id"])[side]]
        self.assertGreater(len(levels), 100)
        return [level for level in levels if bound is None or (level[0] <= float(bound) if side == "asks" else level[0] >= float(bound))]

    def test_the_threshold_is_a_sum_of_price_times_quantity(self):
        for side in ("asks", "bids"):
            for threshold in (-1, 0, 1, 150_000, 1_000_000):
                with self.subTest(side=side, threshold=threshold):
                    for answer in self.both(f"get_{side}", EXCHANGE, "BTCUSDT", threshold_volume=threshold, limit_count=60):
                        self.check_threshold(answer, side, threshold)
            # What the client takes only as whole numbers the interface takes as the peer's does.
            for threshold in ("0.5", "1e5", "15_0000.0", "inf", "-inf", "nan"):
                with self.subTest(side=side, threshold=threshold):
                    self.check_threshold(self.fathom.levels(side, "BTCUSDT", threshold_volume=threshold, limit_count=60), side,
                                         threshold)

    def check_threshold(self, answer, side, threshold):
        levels = self.fathom.truth("BTCUSDT", answer["update_id"])[side]
        taken = [[float(price), float(quantity)] for price, quantity in below(levels, threshold)[:60]]
        self.assertEqual([[float(price), float(quantity)] for price, quantity in answer[side]], taken)

    def test_debug_of_a_book(self):
        for answer in self.both("get_asks", EXCHANGE, "ETHUSDT", limit_count=1, debug=True):
            self.check(answer, "GET_ASKS")
            self.check_debug(answer, "/get_asks?exchange=binance.com&market=ETHUSDT&limit_count=1&debug=true", workers=1)

    def test_what_is_wrong_with_a_question(self):
        for answer in self.both("get_bids", EXCHANGE, "SOLUSDT"):
            self.refused(answer, "#7000", "DepthCache 'SOLUSDT' for 'binance.com' not found!")
        for answer in self.both("get_asks", EXCHANGE, ""):
            self.refused(answer, "#1025", "Missing required parameter: market")
        for name, value in (("limit_count", "2.5"), ("limit_count", ""), ("threshold_volume", "much")):
            self.refused(self.fathom.levels("asks", "BTCUSDT", **{name: value}), "#1025", name)

    def test_out_of_sync_is_said_as_such(self):
        market = "BNBUSDT"
        self.client.create_depthcache(EXCHANGE, market)
        self.wait_until_served(market, replicas=1)
        # The snapshot that would mend the gap is long in coming.
        self.fathom.fault(market, "slowsnapshot", delay=4)
        self.fathom.fault(market, "gap")
        eventually("#6000", lambda: self.client.get_asks(EXCHANGE, market).get("error_id") == "#6000", 20, pause=0.02)
        for answer in self.both("get_asks", EXCHANGE, market, debug=True):
            self.refused(answer, "#6000", "is out of sync!")
            self.check_debug(answer, "/get_asks")
        eventually("served again", lambda: self.client.get_asks(EXCHANGE, market)["result"] == "OK", 60)
        self.check(self.client.stop_depthcache(EXCHANGE, market), "STOP_DEPTHCACHE")

    # The cluster

    def test_cluster_info(self):
        for answer in self.both("get_cluster_info", debug=True):
            self.check(answer, "GET_CLUSTER_INFO")
            self.check_debug(answer, "/get_cluster_info?debug=true")
            self.assertRegex(answer["version"], r"^\d+\.\d+\.\d+")
            db = answer["db"]
            self.assertEqual(set(db), {"credentials", "depthcaches", "nodes", "pods", "timestamp"})
            self.assertAlmostEqual(db["timestamp"], time.time(), delta=5)
            self.assertEqual(db["nodes"], {})
            self.assertEqual(sorted(pod["ROLE"] for pod in db["pods"].values()), ["ubdcc-dcn", "ubdcc-dcn", "ubdcc-restapi"])
            for uid, pod in db["pods"].items():
                keys = {"NAME", "UID", "NODE", "ROLE", "IP", "API_PORT_REST", "LAST_SEEN", "STATUS", "VERSION"}
                self.assertEqual(set(pod) - {"UBLDC_VERSION"}, keys)
                self.assertEqual((pod["UID"], pod["STATUS"], "UBLDC_VERSION" in pod), (uid, "running", pod["ROLE"] == "ubdcc-dcn"))
                self.assertLess(db["timestamp"] - pod["LAST_SEEN"], 30)
                self.assertIsInstance(pod["API_PORT_REST"], int)
            self.check_record(db["depthcaches"][EXCHANGE]["BTCUSDT"], "BTCUSDT", 2, db["pods"])

    def check_record(self, record, market, replicas, pods):
        self.assertEqual(set(record), {"CREATED_TIME", "DESIRED_QUANTITY", "DISTRIBUTION", "DISTRIBUTION_CHANGES", "EXCHANGE",
                                       "LAST_DISTRIBUTION_CHANGE", "REFRESH_INTERVAL", "MARKET", "UPDATE_INTERVAL"})
        self.assertEqual((record["EXCHANGE"], record["MARKET"], record["DESIRED_QUANTITY"]), (EXCHANGE, market, replicas))
        self.assertEqual((len(record["DISTRIBUTION"]), record["DISTRIBUTION_CHANGES"]), (replicas, replicas))
        for uid, copy in record["DISTRIBUTION"].items():
            self.assertEqual(set(copy) - {"book"}, {"CREATED_TIME", "LAST_RESTART_TIME", "POD_UID", "RESTARTS",
                                                    "SCHEDULED_START_TIME", "STATUS"})
            self.assertEqual((copy["POD_UID"], pods[uid]["ROLE"], copy["STATUS"]), (uid, "ubdcc-dcn", "running"))
            self.assertEqual(copy["SCHEDULED_START_TIME"], copy["CREATED_TIME"])

    def test_list_and_info(self):
        pods = self.client.get_cluster_info()["db"]["pods"]
        for answer in self.both("get_depthcache_list", debug=True):
            self.check(answer, "GET_DEPTHCACHE_LIST")
            self.check_debug(answer, "/get_depthcache_list")
            self.check_record(answer["depthcache_list"][EXCHANGE]["ETHUSDT"], "ETHUSDT", 2, pods)
        for answer in self.both("get_depthcache_info", EXCHANGE, "ETHUSDT", debug=True):
            self.check(answer, "GET_DEPTHCACHE_INFO")
            self.check_debug(answer, "/get_depthcache_info")
            self.check_record(answer["depthcache_info"], "ETHUSDT", 2, pods)
        for answer in self.both("get_depthcache_info", EXCHANGE, "SOLUSDT"):
            self.refused(answer, "#7000", "SOLUSDT")
        for answer in self.both("get_depthcache_info", EXCHANGE, ""):
            self.refused(answer, "#1006", "market")

    def test_a_copy_that_begins_anew_is_counted(self):
        """The peer's RESTARTS and LAST_RESTART_TIME stay 0 for ever."""
        before = time.time()
        self.fathom.fault("ETHUSDT", "gap")

        def restarted():
            record = self.client.get_depthcache_info(EXCHANGE, "ETHUSDT")["depthcache_info"]
            return [copy for copy in record["DISTRIBUTION"].values() if copy["RESTARTS"] and copy["STATUS"] == "running"]
        copies = eventually("a restart is counted", restarted, 30)
        # Kubernetes' times are whole seconds.
        for copy in copies:
            self.assertTrue(before - 1 <= copy["LAST_RESTART_TIME"] <= time.time(), copy)

    # Making and stopping

    def test_create_and_stop(self):
        for answer in self.both("create_depthcache", EXCHANGE, "BTCUSDT"):
            self.refused(answer, "#1024", "DepthCache 'BTCUSDT' for 'binance.com' already exists!")
        markets = ["SIM0010USDT", "SIM0011USDT"]
        for create, market in zip(self.forms("create_depthcache"), markets):
            answer = create(EXCHANGE, market, 1, 100, 7200, debug=True)
            self.check(answer, "CREATE_DEPTHCACHE")
            self.check_debug(answer, "/create_depthcache")
            self.assertEqual(answer["debug"]["post_body"]["market"], market)
            # It is known at once, and answers by itself a little later.
            self.assertNotEqual(self.client.get_asks(EXCHANGE, market).get("error_id"), "#7000")
            record = self.client.get_depthcache_info(EXCHANGE, market)["depthcache_info"]
            self.assertEqual((record["UPDATE_INTERVAL"], record["REFRESH_INTERVAL"]), (100, 7200))
            eventually("it is served", lambda: self.client.get_asks(EXCHANGE, market)["result"] == "OK", 60)
        for stop, market in zip(self.forms("stop_depthcache"), markets):
            answer = stop(EXCHANGE, market, debug=True)
            self.check(answer, "STOP_DEPTHCACHE")
            self.check_debug(answer, "/stop_depthcache")
            self.refused(self.client.get_asks(EXCHANGE, market), "#7000")
            self.refused(self.client.stop_depthcache(EXCHANGE, market), "#7000")

    def test_stopped_and_made_again_at_once(self):
        """With the peer such a cache stays `starting` for ever."""
        market = "SIM0012USDT"
        for interval in (None, 100, 1000):
            self.check(self.client.create_depthcache(EXCHANGE, market, update_interval=interval), "CREATE_DEPTHCACHE")
            self.wait_until_served(market, replicas=1)
            self.assertEqual(self.client.get_asks(EXCHANGE, market)["result"], "OK")
            copies = json.loads(self.fathom.kubectl("get", "depthcachereplicas", "-o", "json"))["items"]
            [speed] = [copy["status"]["updateIntervalMilliseconds"] for copy in copies if copy["spec"]["market"] == market]
            self.assertEqual(speed, interval or 100)
            self.check(self.client.stop_depthcache(EXCHANGE, market), "STOP_DEPTHCACHE")

    def test_many_at_once(self):
        many = [f"SIM{number:04d}USDT" for number in range(13, 33)]
        for create, markets in zip(self.forms("create_depthcaches"), (many[:10], many)):
            answer = create(EXCHANGE, markets, debug=True)
            self.check(answer, "CREATE_DEPTHCACHES")
            self.check_debug(answer, "/create_depthcaches")
            self.assertLessEqual(set(markets), set(self.client.get_depthcache_list()["depthcache_list"][EXCHANGE]))
        for market in many:
            eventually(f"{market} is served", lambda: self.client.get_bids(EXCHANGE, market, limit_count=1)["result"] == "OK", 90)
        # The peer's workers go on with every second one for a while.
        for market in many:
            self.check(self.client.stop_depthcache(EXCHANGE, market), "STOP_DEPTHCACHE")
        self.assertFalse(set(many) & set(self.client.get_depthcache_list()["depthcache_list"][EXCHANGE]))
        eventually("no copy is left", lambda: not set(many) & set(self.fathom.kubectl(
            "get", "depthcachereplicas", "-o", "jsonpath={.items[*].spec.market}").split()), 30)
        # The peer takes what none of its workers can ever serve, and an unknown exchange ends them one after the other.
        for answer in self.both("create_depthcaches", EXCHANGE, ["BTCUSDT", "NOSUCHUSDT"]):
            self.refused(answer, "#1017", "NOSUCHUSDT")
        for answer in self.both("create_depthcache", "mtgox", "BTCUSDT"):
            self.refused(answer, "#1017", "exchange", "mtgox")
        for answer in self.both("create_depthcache", EXCHANGE, "SIM0034USDT", update_interval=300):
            self.refused(answer, "#1017", "update_interval", "100, 1000")
        self.assertNotIn("NOSUCHUSDT", self.client.get_depthcache_list()["depthcache_list"][EXCHANGE])

    def test_clients_until_2_8_create_by_get(self):
        markets = base64.b64encode(json.dumps(["SIM0035USDT", "SIM0036USDT"]).encode()).decode()
        self.assertEqual(self.fathom.get("/create_depthcaches", exchange=EXCHANGE, markets=markets), {
            "event": "CREATE_DEPTHCACHES", "result": "OK"})
        for market in ("SIM0035USDT", "SIM0036USDT"):
            self.check(self.client.stop_depthcache(EXCHANGE, market), "STOP_DEPTHCACHE")

    # Credentials

    def test_credentials(self):
        ids = []
        for answer in self.both("add_credentials", EXCHANGE, KEY, SECRET, debug=True):
            self.check(answer, "ADD_CREDENTIALS")
            self.assertEqual(answer["debug"]["post_body"]["account_group"], EXCHANGE)
            self.check_debug(answer, "/add_credentials")
            self.silent(answer)
            ids.append(answer["id"])
        self.assertEqual(len(set(ids)), 2)
        for answer in self.both("get_credentials_list", debug=True):
            self.check(answer, "GET_CREDENTIALS_LIST")
            self.check_debug(answer, "/get_credentials_list")
            self.silent(answer)
            self.assertLessEqual(set(ids), {entry["id"] for entry in answer["credentials"]})
            for entry in answer["credentials"]:
                self.assertEqual(set(entry), {"id", "account_group", "added_timestamp", "assigned_dcns", "api_key_preview"})
                self.assertAlmostEqual(entry["added_timestamp"], time.time(), delta=60)
        workers = {uid for uid, pod in self.client.get_cluster_info()["db"]["pods"].items() if pod["ROLE"] == "ubdcc-dcn"}
        eventually("both workers use them", lambda: workers == {
            uid for entry in self.client.get_credentials_list()["credentials"] for uid in entry["assigned_dcns"]}, 30)
        for credential, remove in zip(ids, self.forms("remove_credentials")):
            answer = remove(credential, debug=True)
            self.check(answer, "REMOVE_CREDENTIALS")
            self.check_debug(answer, "/remove_credentials")
            self.assertNotIn(credential, json.dumps(self.client.get_credentials_list()))
        for answer in self.both("remove_credentials", ids[0]):
            self.refused(answer, "#1034")
        for answer in self.both("add_credentials", "kraken", KEY, SECRET):
            self.refused(answer, "#1031", "binance.com, binance.com-futures-testnet, binance.com-testnet, binance.tr, binance.us")
            self.silent(answer)
        for answer in self.both("add_credentials", EXCHANGE, KEY, ""):
            self.refused(answer, "#1030", "api_secret")
            self.silent(answer)

    def silent(self, answer):
        self.assertNotIn(KEY, json.dumps(answer))
        self.assertNotIn(SECRET, json.dumps(answer))

    # What must not be there

    def test_no_way_in_that_the_peer_has_open(self):
        for path in ("/shutdown", "/ubdcc_mgmt_backup"):
            for body in (None, b"{}"):
                with self.assertRaises(urllib.error.HTTPError) as raised:
                    urllib.request.urlopen(f"http://127.0.0.1:{self.fathom.gateway[1]}{path}", body, timeout=15)
                self.assertEqual((raised.exception.code, raised.exception.read()), (404, b'{"detail":"Not Found"}'))


def below(levels, threshold):
    """The peer's rule: a level is taken while the sum stays at or below the threshold; the best one always is."""
    limit = Decimal(str(threshold))
    taken, total = [], Decimal(0)
    for price, quantity in levels:
        volume = Decimal(price) * Decimal(quantity)
        if total and (limit.is_nan() or total + volume > limit):
            break
        taken.append((price, quantity))
        total += volume
    return taken


if __name__ == "__main__":
    unittest.main()
