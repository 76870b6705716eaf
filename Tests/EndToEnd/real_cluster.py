"""Fathom's programs on a real kube-apiserver: every program with the permissions that the chart gives it, and Pod objects that
stand for its processes. What a kubelet and a Deployment do there, this file does here: it starts, restarts and ends processes."""

import datetime
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

from fathom import BINARIES, ROOT, Cluster, Simulator, eventually

SCRIPT = ROOT / "hack" / "real-apiserver.sh"
NAMESPACE = "fathom"
# What a release brings beside its pods: permissions, and the objects that the programs keep their state in.
STATE = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount", "Secret", "ConfigMap", "Lease"}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Container:
    """A process and the Pod that stands for it."""

    def __init__(self, cluster, component, number, node):
        self.cluster, self.component, self.node = cluster, component, node
        self.name = f"fathom-{component}-{number}"
        self.port, self.health = free_port(), free_port()
        self.process, self.wanted, self.starts = None, True, 0

    def make_pod(self):
        kubectl = self.cluster.kubectl
        kubectl("create", "-f", "-", stdin=json.dumps({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.name, "labels": {
                "app.kubernetes.io/name": "fathom", "app.kubernetes.io/component": self.component}},
            "spec": {"nodeName": self.node, "serviceAccountName": f"fathom-{self.component}",
                     "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 120,
                     "containers": [{"name": self.component, "image": "fathom"}]}}))
        kubectl("patch", "pod", self.name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": {
            "phase": "Running", "podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}}))
        self.uid = kubectl("get", "pod", self.name, "-o", "jsonpath={.metadata.uid}")

    def start(self):
        users = self.cluster.facts["users"]
        command = [
            str(BINARIES / "fathom"), self.component, "--kubeconfig",
            users[f"{NAMESPACE}/fathom-{self.component}"]["kubeconfig"], "--namespace", NAMESPACE, "--name", self.name,
            "--uid", self.uid, "--node", self.node, "--host", "127.0.0.1", "--port", str(self.port),
            "--exchanges", str(self.cluster.exchanges), "--link-key-secret", "fathom-link"]
        if self.component == "gateway":
            command += ["--health-port", str(self.health)]
        if self.component == "worker":
            command += ["--dump-dir", str(self.cluster.directory / "dumps")]
        log = open(self.cluster.directory / "logs" / f"{self.name}.log", "ab")
        with log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.starts += 1

    @property
    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def send(self, number):
        self.process.send_signal(number)

    def kill(self, comes_back=False):
        """As the kernel does it; whether a new process takes its place is the kubelet's business."""
        self.wanted = comes_back
        self.process.kill()
        self.process.wait(10)

    def drain(self):
        """As an eviction: the Pod says that it goes, the process is told, and the Pod ends with it."""
        self.wanted = False
        kubectl = self.cluster.kubectl
        kubectl("delete", "pod", self.name, "--wait=false")
        self.send(signal.SIGTERM)
        code = self.process.wait(120)
        kubectl("delete", "pod", self.name, "--force", "--grace-period=0")
        return code

    def text(self):
        return (self.cluster.directory / "logs" / f"{self.name}.log").read_text(errors="replace")


class RealCluster(Cluster):
    """A Cluster as in fathom.py, of programs that know nothing but a kubeconfig."""

    def __init__(self, workers=3, controllers=1, simulator=("--symbols", 51, "--depth", 400)):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="fathom-real-"))
        self.own_directory, self.process, self.starts = "FATHOM_KEEP" not in os.environ, None, []
        self.counts = {"controller": controllers, "worker": workers, "gateway": 1}
        self.exchange = Simulator(*simulator)
        self.containers, self.ending = {}, threading.Event()

    # Starting and stopping everything

    def api(self, command, *arguments):
        done = subprocess.run([str(SCRIPT), command, "--data-dir", str(self.directory / "api"), *arguments],
                              check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout

    def start_api(self):
        began = datetime.datetime.now(datetime.UTC)
        accounts = [f"--service-account={NAMESPACE}/fathom-{component}" for component in self.counts]
        self.facts = json.loads(self.api("start", *accounts))
        config = json.loads(pathlib.Path(self.facts["users"]["admin"]["kubeconfig"]).read_text())
        config["contexts"][0]["context"]["namespace"] = NAMESPACE
        # A server that has just started refuses what it has not read the Roles for yet.
        self.starts.append((began, datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=10)))
        (self.directory / "kubeconfig").touch(mode=0o600)
        (self.directory / "kubeconfig").write_text(json.dumps(config))

    def __enter__(self):
        try:
            return super().__enter__()
        except BaseException:
            self.stop()
            raise

    def start(self):
        for part in ("logs", "api", "dumps"):
            (self.directory / part).mkdir()
        self.exchange.__enter__()
        self.exchanges = self.exchange.exchanges(self.directory, "binance.com", "binance.com-futures")
        self.start_api()
        self.kubectl("create", "namespace", NAMESPACE)
        self.install_definitions()
        self.install_state()
        for number in range(3):
            self.kubectl("create", "-f", "-", stdin=json.dumps({
                "apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{number}", "labels": {
                    "topology.kubernetes.io/zone": f"zone-{number}"}}}))
        for component, count in self.counts.items():
            for number in range(count):
                self.add(component, number)
        self.kubelet = threading.Thread(target=self.keep, daemon=True)
        self.kubelet.start()
        eventually("the gateway answers", lambda: self.get("/test")["result"] == "OK", 60)

    def install_definitions(self):
        folder = ROOT / "manifests" / "crds"
        # 1.20 does not know rules in CEL: kubectl's validation and server-side apply refuse them, a plain apply drops them.
        self.kubectl("apply", "--validate=false", "-f", str(folder))
        self.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/depthcaches.fathom.dev",
                     "crd/depthcachereplicas.fathom.dev")

    def install_state(self):
        """The chart's permissions and state, from the rendered manifests."""
        parts = re.split(r"(?m)^---\s*$", (ROOT / "manifests" / "install.yaml").read_text())
        kept = [part for part in parts if (kind := re.search(r"(?m)^kind: (\w+)", part)) and kind[1] in STATE]
        self.kubectl("apply", "-f", "-", stdin="\n---\n".join(kept))

    def add(self, component, number):
        made = Container(self, component, number, f"node-{number % 3}")
        made.make_pod()
        made.start()
        self.containers[made.name] = made
        return made

    def keep(self):
        """Restarts what ended and is wanted, as a kubelet would."""
        while not self.ending.wait(0.2):
            for container in list(self.containers.values()):
                if container.wanted and not container.is_alive and not self.ending.wait(1):
                    container.start()

    def stop(self, number=signal.SIGTERM):
        self.ending.set()
        if hasattr(self, "kubelet"):
            self.kubelet.join(10)
        for container in self.containers.values():
            if container.is_alive:
                container.send(signal.SIGCONT)
                container.send(number)
        # Workers would serve until others had taken over; there are no others.
        end = time.monotonic() + 10
        for container in self.containers.values():
            try:
                container.process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                container.process.kill()
                container.process.wait(10)
        if (self.directory / "api" / "cluster.json").exists():
            self.api("stop")
        if hasattr(self.exchange, "process"):
            self.exchange.__exit__()

    def terminal(self):
        return ""

    # What the helpers of Cluster ask for

    def of(self, component):
        return [container for container in self.containers.values() if container.component == component]

    @property
    def up(self):
        return {"gateway": {"port": self.of("gateway")[0].port},
                "simulator": {"port": self.exchange.port, "caFile": self.exchange.ca_file}}

    def ended(self):
        return self.ending.is_set()

    # Looks at the world

    def items(self, what, *arguments):
        return json.loads(self.kubectl("get", what, "-o", "json", *arguments))["items"]

    def refusals(self):
        """What the API forbade a program to do, apart from the first seconds of a server."""
        found = []
        for container in self.containers.values():
            for line in container.text().splitlines():
                if "orbidden" not in line:
                    continue
                at = datetime.datetime.fromisoformat(line.split(" ", 1)[0])
                if not any(begin <= at <= end for begin, end in self.starts):
                    found.append(f"{container.name}: {line}")
        return found

    def all_ready(self):
        """The DepthCaches that are not yet as their spec wants them; falsy answers name them."""
        caches = self.items("depthcaches")
        late = [cache["metadata"]["name"] for cache in caches
                if cache.get("status", {}).get("readyReplicas", 0) != cache["spec"]["replicas"]]
        if late:
            raise ValueError(f"{len(late)} of {len(caches)} not ready: {late[:5]}")
        return True

    def leader(self):
        lease = json.loads(self.kubectl("get", "lease", "fathom-controller", "-o", "json"))
        return lease.get("spec", {}).get("holderIdentity")
