"""A worker that freezes: it neither answers nor closes anything, and no query waits for it to its deadline."""

import os
import signal
import unittest

from fathom import EXCHANGE, Cluster, Load, eventually, manifest


class Frozen(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=2, simulator=["--symbols", 5]))
        cls.cluster.apply(manifest("BTCUSDT", replicas=2))
        eventually("two replicas are ready", lambda: cls.cluster.ready_replicas("e2e-btcusdt") == 2)

    def test_a_frozen_worker_costs_no_query_and_is_named(self):
        cluster = self.cluster
        victim = cluster.replicas("e2e-btcusdt")[0]["spec"]["workerName"]
        pid = cluster.worker_pid(victim)
        path = f"/get_asks?exchange={EXCHANGE}&market=BTCUSDT&limit_count=5&debug=true"
        with Load(cluster, path, rate=200, threads=8) as load:
            eventually("the load runs", lambda: load.answers > 400)
            os.kill(pid, signal.SIGSTOP)
            try:
                moved = eventually("queries are moved", lambda: load.outcomes.get("#5001", 0), 30)
                answers = load.answers
                eventually("and go on while it is frozen", lambda: load.answers > answers + 400, 60)
                debug = cluster.levels("asks", "BTCUSDT", limit_count=1, debug="true")
            finally:
                os.kill(pid, signal.SIGCONT)
            answers = load.answers
            eventually("and after it", lambda: load.answers > answers + 400, 60)
        self.assertEqual(load.failures[:3], [], f"outcomes {load.outcomes}")
        print(f"frozen: {load.outcomes}, {moved} at first, longest gap {load.longest_gap * 1000:.0f} ms")
        # The answer came from the other worker, and says so; its text names the frozen one as what failed.
        used = [pod[0] for pod in debug["debug"]["used_pods"]]
        self.assertNotIn(victim, used)
        self.assertEqual(len(used), 2, used)
        self.assertNotEqual(used[1], victim)
        for answer in load.failovers:
            self.assertIn(f"pod={victim}", answer["error"])
            self.assertNotIn(victim, [pod[0] for pod in answer["debug"]["used_pods"]])


if __name__ == "__main__":
    unittest.main()
