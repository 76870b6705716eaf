"""docs/install.md: its commands are run, in their order, on a real kube-apiserver."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import kubernetes_1_20
from chart import ROOT
from test_install import script

# What needs a node, and what test_image.py runs.
ELSEWHERE = ("hack/build-image.sh", "ctr ")


def commands(text):
    """The indented lines of the page, one shell script for each block."""
    text = re.sub(r"```.*?```", "", text, flags=re.S)
    return [re.sub(r"(?m)^ {4,6}", "", block).strip() for block in re.findall(r"(?:^ {4,}\S.*\n)+", text, re.M)]


class Commands(unittest.TestCase):
    def test_every_command_of_the_page_runs(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        script("real-apiserver.sh", "start", "--data-dir", folder / "cluster")
        self.addCleanup(script, "real-apiserver.sh", "stop", "--data-dir", folder / "cluster")
        (folder / "bin").mkdir()
        (folder / "bin/helm").symlink_to(ROOT / "hack/helm.sh")
        (folder / "bin/kubectl").symlink_to(script("kubectl.sh").strip())
        for name in ("charts", "manifests"):
            shutil.copytree(ROOT / name, folder / name)
            kubernetes_1_20.adapt(folder / name / "fathom" if name == "charts" else folder / name)
        for name in ("hack/package-chart.sh", "hack/package_chart.py", "hack/python.sh", "hack/requirements.txt", "hack/constraints.txt",
                     "Sources/fathom/Main.swift"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        (folder / ".cache").symlink_to(ROOT / ".cache")
        environment = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "KUBECONFIG": str(folder / "cluster/kubeconfigs/admin")}
        found = [block for block in commands((ROOT / "docs/install.md").read_text()) if not block.startswith(ELSEWHERE)]
        self.assertEqual(len(found), 9, found)
        for block in found:
            with self.subTest(command=block):
                done = subprocess.run(["bash", "-ec", block], cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
