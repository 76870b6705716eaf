"""The OpenAPI document against the running gateway: schemathesis sends what the document allows and what it forbids."""

import pathlib
import re
import subprocess
import unittest

from fathom import EXCHANGE, ROOT, Cluster, eventually, manifest

HERE = pathlib.Path(__file__).parent


class Document(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=2, simulator=["--symbols", 5]))
        cls.cluster.apply(manifest("BTCUSDT", replicas=2), manifest("ETHUSDT"))
        cls.cluster.kubectl("wait", "--for=condition=Ready", "depthcaches", "--all", "--timeout=90s", timeout=120)
        # Without the lists of markets anything could be created.
        eventually("the lists of markets are published", lambda: cls.refuses_unknown_markets())

    @classmethod
    def refuses_unknown_markets(cls):
        answer = cls.cluster.get("/create_depthcache", exchange=EXCHANGE, market="NOSUCHUSDT")
        return answer["error_id"] == "#1017"

    def test_every_operation_does_as_the_document_says(self):
        python = subprocess.run([ROOT / "hack" / "python.sh"], capture_output=True, text=True, check=True).stdout.strip()
        host, port = self.cluster.gateway
        done = subprocess.run(
            [pathlib.Path(python).parent / "schemathesis", "--config-file", HERE / "schemathesis.toml", "run",
             f"http://{host}:{port}/openapi.json", "--seed", "1", "--max-examples", "30", "--continue-on-failure",
             # An audit waits for request weight, a minute at most.
             "--suppress-health-check", "all", "--request-timeout", "75"],
            capture_output=True, text=True, timeout=900, cwd=self.cluster.directory)
        self.assertEqual(done.returncode, 0, done.stdout[-20_000:] + done.stderr[-2000:])
        tested = int(re.search(r"Tested: (\d+)", done.stdout)[1])
        self.assertGreaterEqual(tested, 8, done.stdout)
        self.assertEqual(self.cluster.get("/test")["result"], "OK")


if __name__ == "__main__":
    unittest.main()
