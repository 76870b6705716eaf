"""docs/from-ubdcc.md and llms.txt: each claim names a test that there is, links lead somewhere, the examples work."""

import json
import re
import subprocess
import unittest

from fathom import ROOT, Cluster, manifest

PAGE = (ROOT / "docs" / "from-ubdcc.md").read_text()
GUIDE = (ROOT / "llms.txt").read_text()


def claims(text):
    """The rows of the tables whose last column names tests, as lists of cells."""
    rows, counts = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            counts = False
        elif cells[-1] == "shown by":
            counts = True
        elif counts and set(cells[-1]) != set("-"):
            rows.append(cells)
    return rows


def missing(row):
    """What of a row's last column is no test of this repository, in words; nothing if all is well."""
    named = re.findall(r"`([^`]+)`", row[-1])
    wrong, source, tests = [], None, 0
    for name in named:
        if re.fullmatch(r"[A-Za-z]+/\w+\.(swift|py)", name):
            path = ROOT / "Tests" / name
            source = path.read_text() if path.exists() else ""
            if not source:
                wrong.append(f"no file Tests/{name}")
            continue
        tests += 1
        if source is None or not (f"func `{name}`" in source or re.search(rf"def {re.escape(name)}\(", source)):
            wrong.append(f"no test {name}")
    return wrong + ([] if tests else ["no test is named"])


class Pages(unittest.TestCase):
    def test_each_claim_names_its_tests(self):
        rows = claims(PAGE)
        self.assertGreater(len(rows), 50)
        for row in rows:
            with self.subTest(claim=row[0]):
                self.assertEqual(missing(row), [])

    def test_a_claim_without_its_test_would_be_seen(self):
        text = "| a | shown by |\n|---|---|\n| x | {} |\n"
        for cell in ("nothing", "`EndToEnd/test_faults.py`", "`EndToEnd/test_faults.py` `test_nothing`", "`EndToEnd/none.py` `test_gap`",
                     "`test_gap`", "`GatewayTests/RoutingTests.swift` `equal replicas`"):
            [row] = claims(text.format(cell))
            self.assertNotEqual(missing(row), [], cell)
        [row] = claims(text.format("`EndToEnd/test_faults.py` `test_gap`"))
        self.assertEqual(missing(row), [])

    def test_what_the_pages_name_is_there(self):
        named = set(re.findall(r"(?<![A-Za-z/])(?:docs|charts|manifests|hack|Tests)/[\w./-]*\w", PAGE + GUIDE))
        self.assertGreater(len(named), 15)
        self.assertEqual([path for path in named if not (ROOT / path).exists()], [])
        readme = (ROOT / "README.md").read_text()
        for page in ("docs/from-ubdcc.md", "llms.txt"):
            self.assertIn(f"`{page}`", readme)


class Examples(unittest.TestCase):
    def test_the_examples_work(self):
        cluster = self.enterContext(Cluster(workers=2, simulator=["--symbols", 5]))
        cluster.apply(manifest("BTCUSDT", replicas=2))
        cluster.kubectl("wait", "--for=condition=Ready", "depthcaches", "--all", "--timeout=90s", timeout=120)
        lines = [line for block in re.findall(r"^```sh\n(.*?)^```", PAGE + GUIDE, re.M | re.S) for line in block.splitlines()]
        self.assertGreater(len(lines), 8)
        for line in lines:
            with self.subTest(line=line):
                done = subprocess.run(["bash", "-c", line.replace("127.0.0.1:42081", "127.0.0.1:%d" % cluster.gateway[1])],
                                      capture_output=True, text=True, timeout=60)
                answer = json.loads(done.stdout)
                self.assertEqual(answer.get("result", "OK"), "OK", answer)
                self.assertNotIn("detail", answer)


if __name__ == "__main__":
    unittest.main()
