"""The two API servers that the suite runs against: a real kube-apiserver and the one embedded in Fathom."""

import atexit
import contextlib
import functools
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from client import Client, Kubectl, eventually

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("FATHOM_BIN", ROOT / ".build" / "debug"))
CHOSEN = os.environ.get("FATHOM_CONFORMANCE", "embedded")


class RealServer:
    """kube-apiserver, kube-controller-manager and etcd, built from Debian's sources by hack/real-apiserver.sh."""

    name = "real"

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="fathom-conformance-"))
        self.start()

    def script(self, *arguments):
        command = [str(ROOT / "hack" / "real-apiserver.sh"), *arguments, "--data-dir", str(self.directory)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout

    def start(self):
        facts = json.loads(self.script("start"))
        self.url, self.authority = facts["server"], facts["certificateAuthority"]
        self.token, self.kubeconfig = facts["users"]["admin"]["token"], facts["users"]["admin"]["kubeconfig"]

    def forget_history(self, client):
        """Compacts etcd, and begins with an empty cache: one that is still filled may answer from it."""
        self.script("compact")
        self.script("stop-api")
        self.start()

    def stop(self):
        self.script("stop")


class EmbeddedServer:
    """`fathom apiserver`; it keeps few changes, so that a test can push the old ones out."""

    name = "embedded"
    kept = 200

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="fathom-conformance-"))
        self.start()

    def start(self):
        facts = self.directory / "apiserver.json"
        facts.unlink(missing_ok=True)
        with open(self.directory / "log.txt", "ab") as log:
            self.process = subprocess.Popen(
                [str(BINARIES / "fathom"), "apiserver", "--data-dir", str(self.directory), "--port", "0",
                 "--keep-revisions", str(self.kept)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually("the embedded API is up", lambda: self.process.poll() is not None or facts.exists(), 30)
        if self.process.poll() is not None:
            raise AssertionError((self.directory / "log.txt").read_text())
        self.url, self.authority = json.loads(facts.read_text())["url"], str(self.directory / "ca.pem")
        self.token = json.loads((self.directory / "tokens.json").read_text())["admin"]
        self.kubeconfig = self.directory / "kubeconfig"

    def forget_history(self, client):
        path = "/api/v1/namespaces/default/configmaps"
        client.post(path, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "history"}})
        for number in range(self.kept * 2):
            client.patch(f"{path}/history", {"data": {"n": str(number)}})
        client.delete(f"{path}/history")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


@functools.cache
def server():
    """The server of this run; started with the first test, stopped with the last."""
    made = {"real": RealServer, "embedded": EmbeddedServer}[CHOSEN]()

    def finish():
        made.stop()
        if "FATHOM_KEEP" not in os.environ:
            shutil.rmtree(made.directory, ignore_errors=True)

    atexit.register(finish)
    return made


numbers = itertools.count(1)


class Conformance(unittest.TestCase):
    """A test in a namespace of its own, as the admin."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.server = server()
        cls.api = Client(cls.server.url, cls.server.authority, cls.server.token)
        cls.minor = int(re.match(r"\d+", cls.api.get("/version").body["minor"]).group())
        cls.kubectl_cache = cls.server.directory / "kubectl-cache"

    def setUp(self):
        words = re.sub(r"[^a-z0-9]+", "-", self._testMethodName.removeprefix("test_"))[:40].strip("-")
        self.namespace = f"{words}-{next(numbers)}"
        made = self.api.post("/api/v1/namespaces", {
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        self.assertEqual(made.code, 201, made)
        self.addCleanup(self.api.delete, f"/api/v1/namespaces/{self.namespace}")
        self.kubectl = Kubectl(self.server.kubeconfig, self.kubectl_cache)

    def needs(self, minor, what):
        """Skips where the server is too old; the embedded one behaves as current versions do."""
        if self.minor < minor:
            self.skipTest(f"{what} came with Kubernetes 1.{minor}, this server is 1.{self.minor}")

    # Short forms

    def core(self, plural, name=None):
        return f"/api/v1/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def group(self, group, plural, name=None):
        """A path in a named group, for example `apps/v1`."""
        return f"/apis/{group}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def config_map(self, name, data=None, **metadata):
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data or {}}

    def make_pod(self, name, **spec):
        """A Pod that nobody runs; it needs the account that each namespace gets a moment after it is made."""
        eventually("the default account", lambda: self.api.get(self.core("serviceaccounts", "default")).code == 200)
        return self.made(self.api.post(self.core("pods"), {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **spec.pop("metadata", {})},
            "spec": {"automountServiceAccountToken": False, "containers": [{"name": "c", "image": "none"}], **spec}}))

    def made(self, answer):
        """The object that a successful request answered."""
        self.assertIn(answer.code, (200, 201), answer)
        return answer.body

    def make(self, name, data=None, **metadata):
        return self.made(self.api.post(self.core("configmaps"), self.config_map(name, data, **metadata)))

    def refused(self, answer, code, reason):
        self.assertEqual((answer.code, answer.body.get("kind"), answer.reason), (code, "Status", reason), answer)
        return answer

    def gone(self, path):
        return self.api.get(path).code == 404


def installed(api, definition):
    """Installs a CustomResourceDefinition, or brings it up to date, and waits until it is served."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    name, spec = definition["metadata"]["name"], definition["spec"]
    answer = api.post(path, definition)
    if answer.code == 409:
        answer = api.patch(f"{path}/{name}", {"spec": spec})
    assert answer.code in (200, 201), answer
    served = [version["name"] for version in spec["versions"] if version["served"]]
    eventually(f"{name} is served", lambda: all(
        api.get(f"/apis/{spec['group']}/{version}/{spec['names']['plural']}").code == 200 for version in served))
    # Discovery follows the serving a moment later; kubectl reads it.
    eventually(f"{name} is discovered", lambda: any(
        entry["name"] == spec["names"]["plural"]
        for entry in api.get(f"/apis/{spec['group']}/{served[0]}").body["resources"]))


@contextlib.contextmanager
def scratch():
    with tempfile.TemporaryDirectory(prefix="fathom-conformance-") as folder:
        yield pathlib.Path(folder)
