"""Workers, gateways and controllers come and go, and no query fails."""

import contextlib
import http.client
import json
import signal
import time
import unittest

from byhand import ByHand, unreadiness
from fathom import EXCHANGE, Load, eventually, manifest

# One copy each, which is where a gap would show, and two.
SINGLE = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT", "SOLUSDT", "SIM0006USDT"]
DOUBLE = ["SIM0007USDT", "SIM0008USDT", "SIM0009USDT"]


@contextlib.contextmanager
def steady_load(test, cluster, rate=12):
    """Asks for every market all the time; fails the test if any answer is not OK."""
    paths = {market: f"/get_asks?exchange={EXCHANGE}&market={market}&limit_count=3" for market in SINGLE + DOUBLE}
    with contextlib.ExitStack() as stack:
        loads = {market: stack.enter_context(Load(cluster, path, rate=rate, threads=1))
                 for market, path in paths.items()}
        eventually("the load runs", lambda: all(load.answers > 5 for load in loads.values()), 30)
        yield loads
        before = {market: load.answers for market, load in loads.items()}
        eventually("and runs on", lambda: all(load.answers > before[market] + 10 for market, load in loads.items()), 30)
    failures = {market: load.failures[:3] for market, load in loads.items() if load.failures}
    answers = sum(load.answers for load in loads.values())
    longest = max(load.longest_gap for load in loads.values())
    print(f"{answers} answers, {sum(len(load.failures) for load in loads.values())} failures, longest gap {longest:.2f} s")
    test.assertEqual(failures, {})


class Rolling(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(ByHand())
        cls.cluster.controller()
        cls.workers = [cls.cluster.worker() for _ in range(3)]
        cls.cluster.gateway_program()
        cls.cluster.apply(*[manifest(market) for market in SINGLE],
                          *[manifest(market, replicas=2) for market in DOUBLE])
        cls.await_ready()

    @classmethod
    def await_ready(cls, deadline=120):
        def missing():
            items = json.loads(cls.cluster.kubectl("get", "depthcaches", "-o", "json"))["items"]
            return [item["metadata"]["name"] for item in items
                    if item.get("status", {}).get("readyReplicas", 0) < item["spec"]["replicas"]]
        eventually("every copy is synchronised", lambda: missing() == [], deadline)

    def end(self, *workers):
        """Ends workers as Kubernetes does, and waits until they are gone."""
        for worker in workers:
            worker.signal(signal.SIGTERM)
        return workers

    def await_gone(self, workers, deadline=100):
        for worker in workers:
            self.assertEqual(worker.await_end(deadline), 0, worker.text()[-2000:])
            self.assertIn("has handed everything over", worker.text())
            with self.assertRaises(KeyError):
                worker.lease

    def assert_one_copy_a_worker(self):
        for worker, markets in self.cluster.copies().items():
            self.assertEqual(len(markets), len(set(markets)), worker)

    def test_0_a_worker_is_sent_its_own_replicas_only(self):
        for worker in type(self).workers:
            found = self.cluster.kubectl("get", "depthcachereplicas", "-l", f"fathom.dev/worker={worker.uid}", "-o",
                                         "jsonpath={.items[*].spec.market}").split()
            self.assertEqual(sorted(found), sorted(self.cluster.copies()[worker.name]))

    def test_1_rollout_restart_costs_no_query(self):
        old, new = type(self).workers, []
        with steady_load(self, self.cluster):
            for worker in old:
                # maxSurge 1, maxUnavailable 0: the next one is started as soon as this one is told to go.
                new.append(self.cluster.worker())
                self.end(worker)
            self.await_gone(old)
            self.await_ready()
        type(self).workers = new
        self.assertEqual(set(self.cluster.copies()), {worker.name for worker in new})
        self.assert_one_copy_a_worker()

    def test_2_new_workers_get_their_share_by_moves(self):
        with steady_load(self, self.cluster):
            new = [self.cluster.worker() for _ in range(2)]
            type(self).workers += new
            names = {worker.name for worker in new}
            eventually("each new worker has copies", lambda: names <= set(self.cluster.copies()), 150)
            self.await_ready()
        self.assert_one_copy_a_worker()
        conditions = {item["reason"] for name in SINGLE
                      for item in self.cluster.cache(f"e2e-{name.lower()}")["status"]["conditions"]}
        self.assertNotIn("WorkerLost", conditions)

    def test_3_scaling_down_and_draining_cost_no_query(self):
        going, staying = type(self).workers[:3], type(self).workers[3:]
        with steady_load(self, self.cluster):
            self.end(*going)
            self.await_gone(going)
            self.await_ready()
        type(self).workers = staying
        self.assertEqual(set(self.cluster.copies()), {worker.name for worker in staying})

    def test_4_a_gateway_says_goodbye(self):
        first = self.cluster.gateway_program("gateway-1")
        connection = http.client.HTTPConnection("127.0.0.1", first.port, timeout=10)
        path = f"/get_asks?exchange={EXCHANGE}&market=BTCUSDT&limit_count=1"

        def ask():
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.getheader("connection"), json.loads(reply.read())["result"]
        self.assertEqual(ask(), (None, "OK"))
        began = time.monotonic()
        first.signal(signal.SIGTERM)
        eventually("it is unready at once", lambda: "stopping" in (unreadiness(first.health) or ""), 3, pause=0.01)
        eventually("answers end their connections", lambda: ask()[0] == "close", 3, pause=0.01)
        answers = 0
        while first.is_running and time.monotonic() - began < 8:
            connection = http.client.HTTPConnection("127.0.0.1", first.port, timeout=10)
            self.assertEqual(ask(), ("close", "OK"))
            answers += 1
            time.sleep(0.1)
        self.assertGreater(answers, 40)
        self.assertEqual(first.await_end(20), 0)
        self.assertGreater(time.monotonic() - began, 9.5)
        self.cluster.gateway_program("gateway-2")

    def test_5_a_standby_takes_over(self):
        leader = next(program for program in self.cluster.programs if program.name == "controller")
        standby = self.cluster.controller("controller-2")
        eventually("the standby waits", lambda: "Another controller leads" in standby.text(), 30)
        with steady_load(self, self.cluster):
            leader.signal(signal.SIGKILL)
            began = time.monotonic()
            self.cluster.apply(manifest("SIM0010USDT"))
            eventually("the standby acts", lambda: self.cluster.replicas("e2e-sim0010usdt"), 40)
            print(f"taken over after {time.monotonic() - began:.1f} s")
            self.assertLess(time.monotonic() - began, 15)

    def test_6_a_lost_worker_is_seen_even_if_it_was_the_only_one(self):
        for number in (2, 1):
            lost = type(self).workers.pop()
            began = time.monotonic()
            lost.signal(signal.SIGKILL)
            type_, claim = ("Ready", ("False", "WorkerLost")) if number == 1 else ("Degraded", ("True", "TooFewWorkers"))

            def conditions():
                found = self.cluster.cache("e2e-sim0007usdt")["status"]["conditions"]
                return {item["type"]: (item["status"], item["reason"]) for item in found}
            eventually("it is seen", lambda: conditions()[type_] == claim, 40)
            print(f"worker lost, {number - 1} left: seen after {time.monotonic() - began:.1f} s")
            self.assertLess(time.monotonic() - began, 15)

    def test_7_probes_tell_whether_data_flows(self):
        gateway = self.cluster.gateway_program("gateway-3")
        eventually("the gateway misses the workers", lambda: "no link to any" in (unreadiness(gateway.health) or ""), 20)
        self.cluster.exchange.get("/control", exchange=EXCHANGE, fault="503", duration=10, count=10000)
        worker = self.cluster.worker(wait=False)
        type(self).workers.append(worker)
        eventually("the worker says that nothing flows", lambda: "none of" in (worker.unreadiness or ""), 20)
        eventually("the gateway has a link", lambda: unreadiness(gateway.health) is None, 20)
        eventually("data flows", lambda: worker.is_ready, 60)


if __name__ == "__main__":
    unittest.main()
