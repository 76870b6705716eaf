"""The examples of docs/rest.md do what the page says, against a running cluster."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from fathom import ROOT, Cluster, manifest

PAGE = (ROOT / "docs" / "rest.md").read_text()


def examples(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=2, simulator=["--symbols", 5]))
        cls.cluster.apply(manifest("BTCUSDT", replicas=2), manifest("ETHUSDT"))
        cls.cluster.kubectl("wait", "--for=condition=Ready", "depthcaches", "--all", "--timeout=90s", timeout=120)

    def run_example(self, text, *command, suffix, env=None):
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory) / f"example{suffix}"
            file.write_text(text.replace("127.0.0.1:42081", "127.0.0.1:%d" % self.cluster.gateway[1]))
            done = subprocess.run([*command, str(file)], capture_output=True, text=True, timeout=300,
                                  env={**os.environ, **(env or {})}, cwd=directory)
        self.assertEqual(done.returncode, 0, text + done.stdout + done.stderr)
        return done.stdout

    def test_curl(self):
        book, conditional, many, caches = examples("sh")
        self.assertEqual(len(json.loads(self.run_example(book, "bash", suffix=".sh"))["bids"]), 2)
        # The book may have changed between the two requests.
        self.assertIn(self.run_example(conditional, "bash", "-eu", suffix=".sh"), ("304\n", "200\n"))
        answers = self.run_example(many, "bash", suffix=".sh").replace("}{", "}\n{").splitlines()
        for answer in map(json.loads, answers):
            self.assertEqual((len(answer["books"]), answer["problems"]), (2, []))
        said = self.run_example(caches, "bash", suffix=".sh").replace("}{", "}\n{").splitlines()
        created, told, changed, listed = map(json.loads, said)
        self.assertEqual((created["replicas"], told["market"], changed["replicas"]), (1, "XRPUSDT", 2))
        self.assertEqual(sorted(cache["market"] for cache in listed["depthcaches"]), ["BTCUSDT", "ETHUSDT"])

    def test_python(self):
        for example in examples("python"):
            update_id, bid, ask, spread = self.run_example(example, sys.executable, suffix=".py").split()
            self.assertEqual(float(spread) > 0, float(bid) < float(ask))
            self.assertGreater(int(update_id), 0)

    @unittest.skipUnless(shutil.which("node"), "needs node")
    def test_javascript(self):
        for example in examples("javascript"):
            lines = self.run_example(example, "node", suffix=".mjs").splitlines()
            self.assertEqual(sorted(line.split()[0] for line in lines), ["BTCUSDT", "ETHUSDT"])
            self.assertNotIn("undefined", "".join(lines))

    @unittest.skipUnless(shutil.which("go"), "needs go")
    def test_go(self):
        for example in examples("go"):
            with tempfile.TemporaryDirectory() as cache:
                said = self.run_example(example, "go", "run", suffix=".go", env={"GOCACHE": cache, "GOFLAGS": "-mod=mod"})
            ids = [int(line.split()[0]) for line in said.splitlines()]
            self.assertEqual((len(ids), ids), (3, sorted(ids)))

    def test_the_page_names_every_path(self):
        for path in self.cluster.get("/openapi.json")["paths"]:
            self.assertIn(f"`{path}`", PAGE)


if __name__ == "__main__":
    unittest.main()
