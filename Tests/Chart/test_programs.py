"""The programs as the chart starts them: its settings are theirs, and its Roles are enough."""

import contextlib
import json
import pathlib
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

import yaml

from chart import COMPONENTS, ROOT, VALUE_SETS, named, render, values
from test_install import Cluster

sys.path.insert(0, str(ROOT / "Tests/EndToEnd"))
from fathom import BINARIES, Simulator, eventually


def files(data, folder):
    """Writes a release's settings as they are mounted at /etc/fathom, with the paths of this folder."""
    for name, content in data.items():
        (pathlib.Path(folder) / name).write_text(content.replace("/etc/fathom", str(folder)))


class Settings(unittest.TestCase):
    def test_the_programs_take_the_settings_of_every_set_of_values(self):
        for name in VALUE_SETS:
            with self.subTest(values=name), tempfile.TemporaryDirectory() as folder:
                files(named(render(values(name)), "ConfigMap", "fathom-config")["data"], folder)
                done = subprocess.run([BINARIES / "fathom", "configuration", "--check", f"{folder}/config.yaml"], capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Running(Cluster):
    """Pods are objects here, and processes of this machine stand for them, each with the account of its Deployment."""

    accounts = [f"a/fathom-{component}" for component in COMPONENTS]

    def pod(self, component, number):
        """Makes the Pod that the Deployment would make; returns it."""
        template = json.loads(self.kubectl("get", "-n", "a", f"deployment/fathom-{component}", "-o", "json"))["spec"]["template"]
        pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**template["metadata"], "name": f"fathom-{component}-{number}"}}
        return json.loads(self.kubectl("create", "-n", "a", "-o", "json", "-f", "-", stdin=json.dumps(pod)))

    def start(self, component, number, folder):
        """Starts the process of a pod, with the pod's arguments, environment and settings."""
        pod = self.pod(component, number)
        here = pathlib.Path(folder, pod["metadata"]["name"])
        here.mkdir()
        data = json.loads(self.kubectl("get", "-n", "a", "configmap/fathom-config", "-o", "json"))["data"]
        settings = yaml.safe_load(data["config.yaml"])
        own = settings[component]
        # Pods have addresses and folders of their own, processes of one machine have not.
        own.update({"host": "127.0.0.1", "port": free_port(), "logFormat": "text"})
        own.update({"healthPort": free_port()} if component == "gateway" else {"dumpDir": str(here)} if component == "worker" else {})
        files({**data, "config.yaml": yaml.safe_dump(settings)}, here)
        (container,) = pod["spec"]["containers"]
        facts = {"metadata.name": pod["metadata"]["name"], "metadata.uid": pod["metadata"]["uid"], "metadata.namespace": "a",
                 "spec.nodeName": f"node-{number}", "status.podIP": "127.0.0.1"}
        environment = {entry["name"]: entry["value"] if "value" in entry else facts[entry["valueFrom"]["fieldRef"]["fieldPath"]]
                       for entry in container["env"]}
        environment["FATHOM_CONFIG"] = environment["FATHOM_CONFIG"].replace("/etc/fathom", str(here))
        environment["KUBECONFIG"] = self.facts["users"][f"a/fathom-{component}"]["kubeconfig"]
        log = self.enterContext(open(here / "log", "w"))
        process = subprocess.Popen([BINARIES / "fathom", *container["args"]], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        self.addCleanup(self.end, process)
        return own

    def end(self, process):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()

    def test_the_roles_are_enough_for_all_that_the_programs_do(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        exchange = self.enterContext(Simulator("--symbols", 5))
        overrides = yaml.safe_load(exchange.exchanges(folder, "binance.com").read_text())
        overrides["binance.com"]["caFile"] = "/etc/fathom/simulator.pem"
        self.install("fathom", "a", exchanges=overrides, exchangeCertificates={"simulator.pem": pathlib.Path(exchange.ca_file).read_text()},
                     auth={"credentialEndpoints": True})
        self.kubectl("wait", "--for=condition=Established", "crd", "depthcaches.fathom.dev", "depthcachereplicas.fathom.dev", "--timeout=30s")
        self.kubectl("create", "-n", "a", "-f", "-", stdin=json.dumps({
            "apiVersion": "v1", "kind": "Secret", "type": "fathom.dev/binance-credentials",
            "metadata": {"name": "keys", "labels": {"fathom.dev/account-group": "binance.com"}},
            "stringData": {"api-key": "key-of-the-test", "api-secret": "secret-of-the-test"}}))
        self.start("controller", 0, folder)
        token = secrets.token_hex(24)
        self.kubectl("create", "-n", "a", "secret", "generic", "fathom-tokens", f"--from-literal=manage={token}")
        for number in range(2):
            self.start("worker", number, folder)
        gateway = self.start("gateway", 0, folder)["port"]

        def ask(path, body=None, token=token, **query):
            url = f"http://127.0.0.1:{gateway}{path}?{urllib.parse.urlencode(query)}"
            request = urllib.request.Request(url, json.dumps(body).encode() if body else None)
            if token:
                request.add_header("Authorization", f"Bearer {token}")
            with urllib.request.urlopen(request, timeout=10) as reply:
                return json.loads(reply.read())

        market = {"exchange": "binance.com", "market": "BTCUSDT"}
        try:
            eventually("the cache is made", lambda: ask("/create_depthcache", desired_quantity=2, **market)["result"] == "OK")
            with self.assertRaises(urllib.error.HTTPError) as refused:
                ask("/stop_depthcache", token=None, **market)
            self.assertEqual(refused.exception.code, 401)
            eventually("the book answers", lambda: ask("/get_asks", token=None, limit_count=5, **market)["result"] == "OK")
            eventually("two copies", lambda: self.kubectl(
                "get", "-n", "a", "depthcaches", "-o", "jsonpath={.items[0].status.readyReplicas}") == "2")
            eventually("markets are published", lambda: "BTCUSDT" in self.kubectl(
                "get", "-n", "a", "configmap/fathom-markets-binance-com", "-o", "jsonpath={.data.markets}"))
            eventually("workers may read the credentials", lambda: "keys" in self.kubectl(
                "get", "-n", "a", "role/fathom-worker-credentials", "-o", "jsonpath={.rules[*].resourceNames}"))
            eventually("an Event tells of it", lambda: self.kubectl("get", "-n", "a", "events", "-o", "name"))
            added = ask("/add_credentials", {"account_group": "binance.us", "api_key": "added-key", "api_secret": "secret-of-the-test"})
            self.assertEqual(added["result"], "OK", added)
            eventually("the controller lists them", lambda: added["id"] in self.kubectl(
                "get", "-n", "a", "configmap/fathom-credentials", "-o", "jsonpath={.data}"))
            self.assertEqual(ask("/remove_credentials", id=added["id"])["result"], "OK")
            self.assertEqual(ask("/stop_depthcache", **market)["result"], "OK")
            eventually("the copies are deleted", lambda: self.kubectl("get", "-n", "a", "depthcachereplicas", "-o", "name") == "")
        finally:
            logs = {path.parent.name: path.read_text() for path in pathlib.Path(folder).glob("*/log")}
        self.assertEqual(len(logs), 4)
        for name, text in logs.items():
            refused = [line for line in text.splitlines() if "forbidden" in line.lower() or "403" in line]
            self.assertEqual(refused, [], name)
            self.assertNotIn("secret-of-the-test", text)
