"""`fathom audit`: books are compared with the exchange's own on demand, and the exit code says how they fared."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

from fathom import BINARIES, EXCHANGE, Cluster, eventually, manifest


class Audit(unittest.TestCase):
    MARKETS = ["BTCUSDT", "ETHUSDT", "BNBUSDT"]
    #: Never changes by itself, so that no event heals what was corrupted.
    QUIET = "SIM0008USDT"

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=2, simulator=["--symbols", 8, "--rate", 10, "--quiet", 1]))
        cls.cluster.apply(*[manifest(market, replicas=2) for market in cls.MARKETS])
        eventually("two synchronised copies of each market", lambda: all(
            cls.cluster.ready_replicas(f"e2e-{market.lower()}") == 2 for market in cls.MARKETS), 90)

    def fathom(self, *arguments, **environment):
        base = {name: value for name, value in os.environ.items() if not name.startswith(("FATHOM_", "KUBE"))}
        return subprocess.run([str(BINARIES / "fathom"), "audit", *arguments], capture_output=True, text=True, timeout=180,
                              env={**base, "HOME": "/nonexistent", **environment})

    def here(self, *arguments):
        return self.fathom("--data-dir", str(self.cluster.directory), *arguments)

    def test_one_market(self):
        done = self.here("--exchange", EXCHANGE, "--market", "BTCUSDT", "-o", "json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rows = json.loads(done.stdout)
        self.assertEqual([row["outcome"] for row in rows], ["exact", "exact"])
        self.assertEqual({row["worker"] for row in rows}, {"fathom-worker-0", "fathom-worker-1"})
        for row in rows:
            self.assertGreater(row["update_id"], 0)
            for side in ("asks", "bids"):
                self.assertGreaterEqual(row[side]["match"], 50)
                self.assertEqual([row[side][name] for name in ("drift", "orphaned", "missed")], [0, 0, 0])

    def test_all_markets_as_a_table(self):
        done = self.here("--all")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), 1 + 2 * len(self.MARKETS))
        self.assertTrue(lines[0].startswith("EXCHANGE"), lines[0])
        self.assertEqual(sum(" exact " in line for line in lines), 2 * len(self.MARKETS), done.stdout)

    def test_a_book_that_differs(self):
        self.cluster.apply(manifest(self.QUIET, replicas=2))
        eventually("two copies", lambda: self.cluster.ready_replicas(f"e2e-{self.QUIET.lower()}") == 2, 90)
        one = ("--exchange", EXCHANGE, "--market", self.QUIET, "-o", "json")
        eventually("both books are deep", lambda: all(
            row["outcome"] == "exact" and row["bids"]["match"] > 400 for row in json.loads(self.here(*one).stdout)), 90, pause=1)
        # A level changes at the exchange and no event tells of it.
        self.cluster.fault(self.QUIET, "corrupt", rank=200, side="bids")
        done = self.here(*one)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        for row in json.loads(done.stdout):
            self.assertEqual(row["outcome"], "mismatch", row)
            self.assertEqual(sum(row["bids"][name] for name in ("drift", "orphaned", "missed")), 1, row)
            self.assertEqual(sum(row["asks"][name] for name in ("drift", "orphaned", "missed")), 0, row)
        # Both started over from the exchange, not from each other.
        eventually("both are exact again", lambda: self.here(*one).returncode == 0, 60, pause=1)
        self.cluster.kubectl("delete", "dc", f"e2e-{self.QUIET.lower()}")
        eventually("its copies are gone", lambda: not self.cluster.replicas(f"e2e-{self.QUIET.lower()}"), 60)

    def test_what_cannot_be_done_is_said(self):
        gateway = f"http://127.0.0.1:{self.cluster.gateway[1]}"
        unknown = self.fathom("--gateway", gateway, "--exchange", EXCHANGE, "--market", "NOSUCHCOIN")
        self.assertEqual(unknown.returncode, 2, unknown.stdout)
        self.assertIn("There is no DepthCache", unknown.stdout)
        by_variable = self.fathom("--exchange", EXCHANGE, "--market", "NOSUCHCOIN", FATHOM_GATEWAY=gateway)
        self.assertEqual((by_variable.returncode, by_variable.stdout), (2, unknown.stdout), by_variable.stderr)
        away = self.fathom("--gateway", "http://127.0.0.1:1", "--all")
        self.assertEqual(away.returncode, 2, away.stderr)
        nowhere = self.fathom("--data-dir", str(self.cluster.directory / "nowhere"), "--all")
        self.assertEqual(nowhere.returncode, 2)
        self.assertIn("no cluster found", nowhere.stderr)
        # What a killed cluster left behind is no cluster.
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "up.json").write_text(json.dumps({"pid": os.getpid(), "gateway": {"url": gateway}}))
            killed = self.fathom("--data-dir", folder, "--all")
            self.assertEqual((killed.returncode, "no cluster found" in killed.stderr), (2, True), killed.stderr)
        self.assertEqual(self.here().returncode, 2)

    def test_pages_elsewhere_cannot_spend_request_weight(self):
        url = f"http://127.0.0.1:{self.cluster.gateway[1]}/v1/audits?exchange={EXCHANGE}&market=BTCUSDT"
        for headers, method, status in [({}, "GET", 405), ({"Sec-Fetch-Site": "cross-site"}, "POST", 403),
                                        ({"Origin": "https://example.org"}, "POST", 403)]:
            request = urllib.request.Request(url, method=method, headers=headers)
            with self.assertRaises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=15)
            self.assertEqual(refused.exception.code, status)
            refused.exception.close()


if __name__ == "__main__":
    unittest.main()
