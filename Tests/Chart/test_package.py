"""The packed chart: what Helm finds in the folder."""

import functools
import http.server
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import unittest

import helm_python
import yaml

from chart import ROOT, render


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Package(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def pack(self, root=ROOT, time="1700000000"):
        return subprocess.run([root / "hack/package-chart.sh", self.folder], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              env={**os.environ, "SOURCE_DATE_EPOCH": time})

    def copied(self, **versions):
        """The repository's chart and scripts under other versions."""
        root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        for part in ("charts", "hack", ".cache"):
            (root / part).symlink_to(ROOT / part) if part == ".cache" else shutil.copytree(ROOT / part, root / part)
        (root / "Sources/fathom").mkdir(parents=True)
        (root / "Sources/fathom/Main.swift").write_text(f'static let version = "{versions["program"]}"\n')
        about = yaml.safe_load((root / "charts/fathom/Chart.yaml").read_text())
        about.update(version=versions["chart"], appVersion=versions["chart"])
        (root / "charts/fathom/Chart.yaml").write_text(yaml.safe_dump(about))
        return root

    def test_helm_takes_a_version_from_the_folder(self):
        self.assertEqual(self.pack(self.copied(chart="0.0.9", program="0.0.9")).returncode, 0)
        done = self.pack()
        self.assertEqual(done.returncode, 0, done.stderr)
        version = yaml.safe_load((ROOT / "charts/fathom/Chart.yaml").read_text())["version"]
        index = yaml.safe_load((self.folder / "index.yaml").read_text())
        self.assertEqual([each["version"] for each in index["entries"]["fathom"]], [version, "0.0.9"])
        # The file itself…
        with helm_python.Chart.load(self.folder / f"fathom-{version}.tgz") as chart:
            self.assertEqual(chart.version, version)
            rendered = [thing for path, text in sorted(chart.render({}, name="fathom", namespace="fathom").items()) if path.endswith(".yaml")
                        for thing in yaml.safe_load_all(text) if thing]
        self.assertEqual(rendered, render())
        # …and the folder behind any web server, by version.
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=self.folder))
        threading.Thread(target=server.serve_forever).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        for wanted in (version, "0.0.9"):
            place = self.folder / f"pulled-{wanted}"
            place.mkdir()
            helm_python.pull("fathom", repo_url=f"http://127.0.0.1:{server.server_port}", version=wanted, destination=place)
            (pulled,) = place.glob("*.tgz")
            self.assertEqual(pulled.read_bytes(), (self.folder / f"fathom-{wanted}.tgz").read_bytes())

    def test_the_same_files_give_the_same_bytes(self):
        self.pack()
        first = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        self.assertEqual(self.pack().returncode, 0)
        self.assertEqual({path.name: path.read_bytes() for path in self.folder.iterdir()}, first)

    def test_a_published_version_is_not_written_over(self):
        self.pack()
        done = self.pack(time="1800000000")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("a version is published once", done.stderr)

    def test_versions_that_differ_are_refused(self):
        done = self.pack(self.copied(chart="0.2.0", program="0.1.0"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("version 0.2.0", done.stderr)
