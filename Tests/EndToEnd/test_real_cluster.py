"""The main job on a real kube-apiserver, with the permissions of the chart, through everything that happens to a cluster."""

import http.client
import json
import re
import signal
import threading
import time
import unittest

from fathom import Load, eventually, manifest
from real_cluster import NAMESPACE, RealCluster
from test_credentials import secret

MARKETS = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT", "SOLUSDT"]


class RealAPI(unittest.TestCase):
    """One cluster of three workers; each test leaves it whole."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(RealCluster(workers=3))
        cls.cluster.apply(*[manifest(market) for market in MARKETS])
        cls.cluster.kubectl("wait", "--for=condition=Ready", "depthcaches", "--all", "--timeout=120s", timeout=150)

    def tearDown(self):
        self.assertEqual(self.cluster.refusals(), [], "the chart's permissions are enough")

    def audit(self, *markets):
        """Every level is the exchange's own; the deep copies come some seconds after the first, shallow ones."""
        for market in markets:
            for side in ("asks", "bids"):
                eventually(f"{market} {side} is deep and exact", lambda: len(self.cluster.audit(market, side)) >= 300, 90)

    def test_01_applied_caches_are_placed_and_served(self):
        self.audit(*MARKETS)
        workers = {replica["spec"]["workerName"] for replica in self.cluster.items("depthcachereplicas")}
        self.assertEqual(len(workers), 3)
        table = self.cluster.kubectl("get", "depthcaches")
        self.assertIn("BTCUSDT", table)
        self.assertIn("Ready", self.cluster.kubectl("describe", "depthcache", "e2e-btcusdt"))

    def test_02_scaling_adds_and_removes_copies(self):
        self.cluster.kubectl("scale", "depthcache/e2e-btcusdt", "--replicas=3")
        eventually("three copies", lambda: self.cluster.ready_replicas("e2e-btcusdt") == 3)
        self.assertEqual(len({r["spec"]["workerName"] for r in self.cluster.replicas("e2e-btcusdt")}), 3)
        self.cluster.kubectl("scale", "depthcache/e2e-btcusdt", "--replicas=1")
        eventually("one copy", lambda: len(self.cluster.replicas("e2e-btcusdt")) == 1)
        self.audit("BTCUSDT")

    def test_03_a_killed_worker_is_replaced(self):
        name = self.cluster.replicas("e2e-ethusdt")[0]["spec"]["workerName"]
        victim = self.cluster.containers[name]
        killed = time.monotonic()
        victim.kill()
        eventually("the copy is elsewhere", lambda: [
            r for r in self.cluster.replicas("e2e-ethusdt") if r["spec"]["workerName"] != name], 40)
        print(f"moved {time.monotonic() - killed:.1f} s after the kill", flush=True)
        eventually("all books are there again", self.cluster.all_ready, 60)
        self.audit(*MARKETS)
        victim.wanted = True
        eventually("the worker is back", lambda: victim.is_alive, 10)

    def test_03b_a_drained_worker_costs_no_query(self):
        eventually("all books are there", self.cluster.all_ready, 60)
        name = self.cluster.replicas("e2e-btcusdt")[0]["spec"]["workerName"]
        path = "/get_asks?exchange=binance.com&market=BTCUSDT&limit_count=5"
        with Load(self.cluster, path, rate=50, threads=2) as load:
            eventually("answers come", lambda: load.answers > 50)
            self.cluster.add("worker", 3)
            code = self.cluster.containers[name].drain()
            del self.cluster.containers[name]
            eventually("its copies are elsewhere", lambda: all(
                r["spec"]["workerName"] != name for r in self.cluster.items("depthcachereplicas")), 60)
            seen = load.answers
            eventually("answers go on", lambda: load.answers > seen + 50)
        self.assertEqual((code, load.failures), (0, []))
        eventually("all books are there", self.cluster.all_ready, 60)

    def test_03c_the_link_key_changes_under_load(self):
        def data():
            return json.loads(self.cluster.kubectl("get", "secret", "fathom-link", "-o", "json"))["data"]
        eventually("all books are there", self.cluster.all_ready, 60)
        path = "/get_asks?exchange=binance.com&market=BTCUSDT&limit_count=5"
        with Load(self.cluster, path, rate=50, threads=2) as load:
            eventually("answers come", lambda: load.answers > 50)
            for _ in range(2):
                # After the second change the key that all links were made with opens nothing any more.
                before = data()["current"]
                self.cluster.kubectl("annotate", "secret", "fathom-link", "fathom.dev/rotate=now", "--overwrite")
                after = eventually("the key has changed", lambda: (now := data())["current"] != before and now, 60)
                self.assertEqual(after["previous"], before)
            gateway = self.cluster.of("gateway")[0]
            seen = load.answers
            eventually("answers go on", lambda: load.answers > seen + 100)
        self.assertEqual(load.failures, [])
        starts = gateway.starts
        gateway.kill(comes_back=True)
        eventually("a new gateway has new links", lambda: gateway.starts > starts
                   and self.cluster.levels("asks", "BTCUSDT", limit_count=1)["result"] == "OK", 60)

    def test_03d_credentials_are_added_changed_and_removed_under_load(self):
        eventually("all books are there", self.cluster.all_ready, 60)
        path = "/get_asks?exchange=binance.com&market=BTCUSDT&limit_count=5"
        holders = lambda: {r["spec"]["workerName"] for r in self.cluster.items("depthcachereplicas")}
        assigned = lambda: {r["spec"].get("credentialsSecretName") for r in self.cluster.items("depthcachereplicas")}
        said = lambda words: all(words in self.cluster.containers[name].text() for name in holders())

        def in_use():
            """What each worker that keeps a book says of its key."""
            found = set()
            for name in holders():
                page = http.client.HTTPConnection("127.0.0.1", self.cluster.containers[name].port, timeout=10)
                page.request("GET", "/metrics")
                found |= set(re.findall(r'fathom_worker_credentials_in_use\{group="binance.com"\} (\d)', page.getresponse().read().decode()))
                page.close()
            return found

        role = lambda: json.loads(self.cluster.kubectl("get", "role", "fathom-worker-credentials", "-o", "json")).get("rules") or []
        with Load(self.cluster, path, rate=50, threads=2) as load:
            eventually("answers come", lambda: load.answers > 50)
            self.cluster.apply(secret("first", "k" * 64))
            eventually("it is assigned", lambda: assigned() == {"first"}, 60)
            eventually("workers may read it, and it alone", lambda: [rule["resourceNames"] for rule in role()] == [["first"]], 60)
            eventually("workers use it", lambda: in_use() == {"1"}, 60)
            self.cluster.apply(secret("first", "n" * 64))
            eventually("workers use the new one", lambda: said("Assigned credentials have changed"), 60)
            self.cluster.kubectl("delete", "secret", "first")
            eventually("it is assigned no more", lambda: assigned() == {None}, 60)
            eventually("workers use none", lambda: in_use() == {"0"}, 60)
            eventually("workers may read none", lambda: role() == [], 60)
            seen = load.answers
            eventually("answers go on", lambda: load.answers > seen + 100)
        self.assertEqual(load.failures, [])
        for container in self.cluster.containers.values():
            for value in ("k" * 64, "n" * 64):
                self.assertNotIn(value, container.text())

    def test_04_the_api_server_is_away_for_a_minute(self):
        path = "/get_asks?exchange=binance.com&market=BTCUSDT&limit_count=5"
        with Load(self.cluster, path, rate=50, threads=2) as load:
            eventually("answers come", lambda: load.answers > 50)
            self.cluster.api("stop-api")
            stopped = time.monotonic()
            time.sleep(60)
            during = load.answers
            self.cluster.start_api()
            print(f"{during} answers in {time.monotonic() - stopped:.0f} s without the API", flush=True)
        self.assertEqual(load.failures, [])
        self.assertGreater(during, 2000)
        self.cluster.apply(manifest("SIM0010USDT", replicas=2))
        eventually("a new cache is served", lambda: self.cluster.ready_replicas("e2e-sim0010usdt") == 2, 90)
        eventually("all books are there", self.cluster.all_ready, 60)
        self.audit(*MARKETS)

    def test_05_history_is_compacted_while_they_are_not_looking(self):
        self.cluster.apply(manifest("SIM0011USDT"))
        eventually("the cache is served", lambda: self.cluster.ready_replicas("e2e-sim0011usdt") == 1, 60)
        gateway = self.cluster.of("gateway")[0]
        gateway.send(signal.SIGSTOP)
        try:
            self.cluster.kubectl("delete", "depthcache", "e2e-sim0011usdt")
            self.cluster.apply(manifest("SIM0012USDT"))
            eventually("the new one is kept", lambda: self.cluster.ready_replicas("e2e-sim0012usdt") == 1, 60)
            self.cluster.api("compact")
            self.cluster.api("stop-api")
            self.cluster.start_api()
        finally:
            gateway.send(signal.SIGCONT)
        eventually("the deleted one is forgotten", lambda: self.cluster.levels("asks", "SIM0011USDT").get(
            "error_id") == "#7000", 60)
        eventually("the new one is answered", lambda: self.cluster.levels("asks", "SIM0012USDT")["result"] == "OK", 60)
        self.cluster.apply(manifest("SIM0013USDT"))
        eventually("all books are there", self.cluster.all_ready, 90)
        self.audit("SIM0012USDT", "SIM0013USDT", *MARKETS)

    def test_06_the_definitions_go_and_come_back(self):
        starts = {name: container.starts for name, container in self.cluster.containers.items()}
        self.cluster.kubectl("delete", "crd", "depthcaches.fathom.dev", "depthcachereplicas.fathom.dev")
        eventually("nothing is served any more", lambda: self.cluster.levels("asks", "BTCUSDT").get(
            "error_id") in ("#7000", "#4000"), 60)
        self.cluster.install_definitions()
        self.cluster.apply(*[manifest(market) for market in MARKETS])
        eventually("all books are there again", self.cluster.all_ready, 120)
        self.audit(*MARKETS)
        self.assertEqual({name: container.starts for name, container in self.cluster.containers.items()}, starts)


class TwoControllers(unittest.TestCase):
    """The leader dies while it places 200 caches."""

    def test_nothing_is_lost_doubled_or_left_over(self):
        with RealCluster(workers=3, controllers=2, simulator=("--symbols", 210, "--depth", 100)) as cluster:
            eventually("somebody leads", cluster.leader, 60)
            names = [f"SIM{number:04}USDT" for number in range(6, 206)]
            # Placing follows at once: it is in the middle while kubectl still applies.
            applying = threading.Thread(target=cluster.apply, args=[manifest(m, depth=50) for m in names])
            applying.start()
            eventually("placing has begun", lambda: len(cluster.items("depthcachereplicas")) >= 20, 60, pause=0.01)
            first = cluster.leader()
            killed = time.monotonic()
            cluster.containers[first.split("_")[0]].kill()
            begun = len(cluster.items("depthcachereplicas"))
            eventually("the other one leads", lambda: cluster.leader() not in (first, ""), 30)
            takeover = time.monotonic() - killed
            applying.join(120)
            eventually("all are served", cluster.all_ready, 240, pause=1)
            replicas = cluster.items("depthcachereplicas")
            caches = {cache["metadata"]["uid"]: cache["metadata"]["name"] for cache in cluster.items("depthcaches")}
            owners = [replica["metadata"]["ownerReferences"][0]["uid"] for replica in replicas]
            print(f"{begun} of {len(names)} placed when the leader died; takeover after {takeover:.1f} s; "
                  f"{len(replicas)} replicas of {len(caches)} caches", flush=True)
            self.assertEqual(len(caches), len(names))
            self.assertEqual(sorted(owners), sorted(caches), "each cache has exactly one replica")
            self.assertLess(takeover, 15)
            self.assertLess(begun, len(names), "the leader was killed too late for this test to mean anything")
            lease = json.loads(cluster.kubectl("get", "lease", "fathom-controller", "-o", "json"))
            self.assertGreaterEqual(lease["spec"]["leaseTransitions"], 1)
            self.assertEqual(lease["metadata"]["namespace"], NAMESPACE)


if __name__ == "__main__":
    unittest.main()
