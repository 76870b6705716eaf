"""A cluster whose programs the test starts and ends itself, one by one, as a Deployment would."""

import json
import pathlib
import re
import secrets
import signal
import socket
import subprocess
import urllib.error
import urllib.request
import uuid

from fathom import BINARIES, EXCHANGE, Cluster, Simulator, eventually


def unreadiness(place):
    """Why the program at this address says that it is not ready; None if it is."""
    try:
        with urllib.request.urlopen(f"http://{place}/readyz", timeout=5):
            return None
    except urllib.error.HTTPError as error:
        return error.read().decode()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Program:
    """One running program and its log."""

    def __init__(self, name, arguments, log):
        self.name, self.log = name, log
        with open(log, "ab") as output:
            self.process = subprocess.Popen([str(BINARIES / "fathom"), *map(str, arguments)], stdin=subprocess.DEVNULL,
                                            stdout=output, stderr=output)

    def signal(self, number):
        self.process.send_signal(number)

    def await_end(self, deadline):
        return self.process.wait(deadline)

    @property
    def is_running(self):
        return self.process.poll() is None

    def text(self):
        return pathlib.Path(self.log).read_text(errors="replace")


class Worker(Program):
    def __init__(self, cluster, name, node):
        self.uid = str(uuid.uuid4())
        arguments = ["worker", "--name", name, "--uid", self.uid, "--node", node, "--threads", 1, "--port", 0]
        super().__init__(name, arguments + cluster.common("worker"), cluster.directory / f"{name}.log")
        self.cluster = cluster

    @property
    def lease(self):
        return self.cluster.lease(self.name)

    @property
    def unreadiness(self):
        return unreadiness(self.lease["metadata"]["annotations"].get("fathom.dev/endpoint", ""))

    @property
    def is_ready(self):
        return self.unreadiness is None


class ByHand(Cluster):
    """API server, simulator, controllers, gateways and workers, each its own process."""

    def __init__(self, symbols=20, rate=5):
        super().__init__()
        self.simulator_arguments = ["--symbols", symbols, "--rate", rate]
        self.programs, self.made = [], 0

    def start(self):
        self.exchange = Simulator(*self.simulator_arguments)
        self.exchange.__enter__()
        self.exchanges_file = self.exchange.exchanges(self.directory, EXCHANGE)
        self.link_key = self.directory / "link.key"
        self.link_key.write_text(secrets.token_hex(32) + "\n")
        self.link_key.chmod(0o600)
        self.run("apiserver", ["apiserver", "--port", 0, "--data-dir", self.directory])
        eventually("the API answers", lambda: self.kubectl("get", "depthcaches", check=False).returncode == 0, 60)

    def stop(self, _=None):
        # What asks goes before what answers.
        for program in reversed(self.programs):
            if program.is_running:
                program.signal(signal.SIGINT)
                try:
                    program.await_end(20)
                except subprocess.TimeoutExpired:
                    program.process.kill()
                    program.await_end(10)
        self.exchange.__exit__()

    def show_logs(self):
        for log in sorted(self.directory.glob("*.log")):
            print(f"== {log.name}\n{log.read_text(errors='replace')[-3000:]}")

    def terminal(self):
        return "Fathom is up"

    def common(self, role):
        return ["--kubeconfig", self.directory / f"{role}.kubeconfig", "--exchanges", self.exchanges_file,
                "--link-key-file", self.link_key]

    def run(self, name, arguments):
        program = Program(name, arguments, self.directory / f"{name}.log")
        self.programs.append(program)
        return program

    def controller(self, name="controller"):
        return self.run(name, ["controller", "--name", name, "--port", 0, *self.common("controller")])

    def gateway_program(self, name="gateway"):
        """Starts a gateway; the newest one is the one that is asked."""
        health = free_port()
        program = self.run(name, ["gateway", "--name", name, "--port", 0, "--health-port", health,
                                  *self.common("gateway")])
        program.health = f"127.0.0.1:{health}"
        found = eventually("the gateway serves", lambda: re.search(r"Serving .*?port=(\d+)", program.text()), 60)
        program.port = self.port = int(found.group(1))
        eventually("the gateway answers", lambda: self.get("/get_depthcache_list")["result"] == "OK", 60)
        return program

    @property
    def gateway(self):
        return ("127.0.0.1", self.port)

    def worker(self, node=None, wait=True):
        """Starts a worker and waits until it is ready, as a Deployment does before it ends an old one."""
        self.made += 1
        worker = Worker(self, f"worker-{self.made}", node or f"node-{self.made % 3}")
        self.programs.append(worker)
        if wait:
            eventually(f"{worker.name} is ready", lambda: worker.is_ready, 60)
        return worker

    def lease(self, name):
        found = self.kubectl("get", "lease", name, "-o", "json", check=False)
        if found.returncode != 0:
            raise KeyError(name)
        return json.loads(found.stdout)

    def copies(self):
        """Who keeps what: {worker name: [market, ...]}."""
        found = {}
        for item in json.loads(self.kubectl("get", "depthcachereplicas", "-o", "json"))["items"]:
            found.setdefault(item["spec"]["workerName"], []).append(item["spec"]["market"])
        return found
