"""The key of the links changes under load: no query fails, and links made afterwards use the new one."""

import json
import os
import signal
import unittest

from fathom import Cluster, Load, eventually, manifest


PATH = "/get_asks?exchange=binance.com&market=BTCUSDT&limit_count=1"


class LinkKey(unittest.TestCase):
    def setUp(self):
        self.cluster = self.enterContext(Cluster(workers=2, arguments=("--simulate", "--link-key-secret", "fathom-link")))
        self.cluster.apply(manifest("BTCUSDT", replicas=2))
        eventually("in sync", lambda: self.cluster.ready_replicas("e2e-btcusdt") == 2)

    def secret(self):
        return json.loads(self.cluster.kubectl("get", "secret", "fathom-link", "-o", "json"))

    def rotate(self):
        before = self.secret()["data"]
        self.cluster.kubectl("annotate", "secret", "fathom-link", "fathom.dev/rotate=now", "--overwrite")
        after = eventually("the key has changed",
                           lambda: (now := self.secret())["data"]["current"] != before["current"] and now, 60)
        self.assertEqual(after["data"]["previous"], before["current"])
        self.assertNotIn("fathom.dev/rotate", after["metadata"]["annotations"])

    def test_rotation_under_load_fails_no_query(self):
        self.assertEqual(set(self.secret()["data"]), {"current"})
        with Load(self.cluster, PATH) as load:
            self.rotate()
            self.rotate()
            # The first key opens nothing any more: links made now are made with the others.
            gateway = self.cluster.up["gateway"]["pid"]
            asked = load.answers
            eventually("queries go on", lambda: load.answers > asked + 200)
        self.assertEqual(load.failures, [])
        self.assertGreater(load.answers, 500)
        os.kill(gateway, signal.SIGKILL)
        eventually("a new gateway has new links", lambda: self.cluster.up["gateway"]["pid"] != gateway
                   and self.cluster.levels("asks", "BTCUSDT", limit_count=1)["result"] == "OK")

    def test_a_deleted_or_emptied_secret_drops_nothing(self):
        with Load(self.cluster, PATH) as load:
            for harm in (("delete", "secret", "fathom-link"), ("patch", "secret", "fathom-link", "-p", '{"data":{"current":null}}')):
                before = self.secret()["data"]["current"]
                self.cluster.kubectl(*harm)
                after = eventually("the Secret is filled again", lambda: "current" in self.secret()["data"] and self.secret())
                self.assertEqual(after["data"]["previous"], before)
                asked = load.answers
                eventually("queries go on", lambda: load.answers > asked + 200)
        self.assertEqual(load.failures, [])


if __name__ == "__main__":
    unittest.main()
