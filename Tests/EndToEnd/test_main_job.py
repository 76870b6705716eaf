"""The main job: apply DepthCaches, get correct books over HTTP, lose a worker, stop and go on."""

import json
import os
import signal
import unittest

from fathom import EXCHANGE, RECORDINGS, Cluster, Load, children_of, eventually, manifest

RECORDING = RECORDINGS / "hftbacktest" / "spot_btcusdt_100ms_full_651s"
NAMED = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT", "SOLUSDT"]


@unittest.skipUnless(RECORDING.is_dir(), f"the recordings are not here: {RECORDING} (set FATHOM_RECORDINGS)")
class MainJob(unittest.TestCase):
    """51 markets on three workers: BTCUSDT as recorded, 50 synthetic ones."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(
            Cluster(workers=3, simulator=["--symbols", 51, "--depth", 400, "--replay", RECORDING]))
        cls.markets = NAMED + [f"SIM{number:04}USDT" for number in range(6, 52)]
        cls.cluster.apply(*[manifest(market, replicas=2 if market == "ETHUSDT" else 1) for market in cls.markets])
        cls.cluster.kubectl("wait", "--for=condition=Ready", "depthcaches", "--all", "--timeout=120s", timeout=150)

    def test_every_book_is_exact_at_its_update_id(self):
        for market in self.markets:
            for side in ("asks", "bids"):
                with self.subTest(market=market, side=side):
                    levels = eventually(f"{market} {side} can be audited", lambda: self.cluster.audit(market, side), 20)
                    self.assertGreaterEqual(len(levels), 300)
                    prices = [price for price, _ in levels]
                    self.assertEqual(prices, sorted(set(prices), reverse=side == "bids"))

    def test_a_limit_gives_the_best_levels(self):
        answer = self.cluster.levels("asks", "BTCUSDT", limit_count=5)
        self.assertEqual((answer["event"], answer["result"], len(answer["asks"])), ("GET_ASKS", "OK", 5))
        self.assertGreater(answer["update_id"], 50_093_239_218)

    def test_kubectl_shows_what_is_true(self):
        table = self.cluster.kubectl("get", "depthcaches")
        self.assertIn("BTCUSDT", table)
        self.assertEqual(len(table.strip().splitlines()), 1 + len(self.markets))
        self.assertIn("Ready", self.cluster.kubectl("describe", "depthcache", "e2e-btcusdt"))
        self.assertIn("replicas", self.cluster.kubectl("explain", "depthcache.spec"))
        pods = json.loads(self.cluster.kubectl("get", "pods", "-o", "json"))["items"]
        workers = [pod for pod in pods if pod["metadata"]["labels"].get("app.kubernetes.io/component") == "worker"]
        self.assertEqual(len(workers), 3)

    def test_kubectl_takes_a_list_object(self):
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}} for name in ("one", "two")]})
        self.assertIn("configmap/two created", self.cluster.kubectl("apply", "-f", "-", stdin=text))

    def test_rest_creates_lists_and_stops(self):
        done = self.cluster.get("/create_depthcache", exchange=EXCHANGE, market="SIM0007USDT", desired_quantity=1)
        self.assertEqual(done["error_id"], "#1024")
        listed = self.cluster.get("/get_depthcache_list")["depthcache_list"][EXCHANGE]
        self.assertEqual(sorted(listed), sorted(self.markets))


class Failover(unittest.TestCase):
    """A worker is killed under load; one that comes back is not believed until it has synchronised anew."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=3, simulator=["--symbols", 5]))
        cls.cluster.apply(manifest("BTCUSDT", replicas=2))
        eventually("two replicas are ready", lambda: cls.cluster.ready_replicas("e2e-btcusdt") == 2)

    def test_a_killed_worker_costs_no_request_and_redundancy_returns(self):
        cluster = self.cluster
        before = cluster.replicas("e2e-btcusdt")
        victim = before[0]["spec"]["workerName"]
        incarnations = {replica["status"]["incarnation"] for replica in before}
        path = f"/get_asks?exchange={EXCHANGE}&market=BTCUSDT&limit_count=5"
        with Load(cluster, path, rate=200) as load:
            eventually("the load runs", lambda: load.answers > 400)
            os.kill(cluster.worker_pid(victim), signal.SIGKILL)
            at_kill = load.answers

            def redundant_again():
                now = [r for r in cluster.replicas("e2e-btcusdt") if r["status"].get("phase") == "Synchronized"]
                fresh = {r["status"]["incarnation"] for r in now} - incarnations
                return cluster.ready_replicas("e2e-btcusdt") == 2 and fresh

            eventually("two replicas are ready, one of a new incarnation", redundant_again, 60)
            eventually("load went on", lambda: load.answers > at_kill + 600)
        self.assertEqual(load.failures[:3], [], f"outcomes {load.outcomes}")
        print(f"failover: {load.outcomes}, longest gap {load.longest_gap * 1000:.0f} ms")
        for side in ("asks", "bids"):
            eventually("the book can be audited", lambda: cluster.audit("BTCUSDT", side), 20)


class RestartedWorker(unittest.TestCase):
    """A worker that is killed and comes back at once under its old name starts from nothing, and nobody says otherwise."""

    def test_it_is_not_believed_until_it_has_synchronised_anew(self):
        with Cluster(workers=1, simulator=["--symbols", 5]) as cluster:
            cluster.apply(manifest("BTCUSDT"))
            eventually("the copy is ready", lambda: cluster.ready_replicas("e2e-btcusdt") == 1)
            old = cluster.replicas("e2e-btcusdt")[0]["status"]["incarnation"]
            # No snapshot can be had, so the worker that comes back cannot synchronise until this ends.
            cluster.fault(None, "503", duration=8, count=10000)
            os.kill(cluster.worker_pid("fathom-worker-0"), signal.SIGKILL)
            holder = "jsonpath={.spec.holderIdentity}"
            eventually("a new incarnation holds the Lease",
                       lambda: cluster.kubectl("get", "lease", "fathom-worker-0", "-o", holder) not in ("", old), 30)
            answers = [cluster.levels("asks", "BTCUSDT", limit_count=1) for _ in range(20)]
            self.assertEqual([answer for answer in answers if answer["result"] == "OK"], [])
            eventually("the old status counts no more", lambda: cluster.ready_replicas("e2e-btcusdt") == 0, 10)
            eventually("it is believed again", lambda: cluster.ready_replicas("e2e-btcusdt") == 1, 60)
            fresh = cluster.replicas("e2e-btcusdt")[0]["status"]["incarnation"]
            self.assertNotEqual(fresh, old)
            eventually("and exact", lambda: cluster.audit("BTCUSDT", "asks"), 20)


class StopAndContinue(unittest.TestCase):
    """Ctrl-C leaves nothing behind, and a second start goes on with the same caches."""

    def test_a_second_start_continues(self):
        with Cluster(workers=1, simulator=["--symbols", 5]) as cluster:
            cluster.apply(manifest("ETHUSDT"))
            eventually("the book is served", lambda: cluster.levels("asks", "ETHUSDT")["result"] == "OK")
            uid = cluster.cache("e2e-ethusdt")["metadata"]["uid"]
            children = children_of(cluster.process.pid)
            self.assertGreaterEqual(len(children), 5, children)
            self.assertEqual(cluster.stop(signal.SIGINT), 0)
            alive = [pid for pid in children if os.path.exists(f"/proc/{pid}")]
            self.assertEqual(alive, [])
            self.assertEqual([path.name for path in cluster.directory.glob("*.tmp*")], [])

            cluster.start()
            self.assertEqual(cluster.cache("e2e-ethusdt")["metadata"]["uid"], uid)
            eventually("the book is served again", lambda: cluster.levels("asks", "ETHUSDT")["result"] == "OK")
            self.assertEqual(cluster.stop(signal.SIGTERM), 0)


if __name__ == "__main__":
    unittest.main()
