"""A running local cluster, and the ways a user has to look at it: kubectl, HTTP, the terminal, signals."""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from decimal import Decimal

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("FATHOM_BIN", ROOT / ".build" / "debug"))
RECORDINGS = pathlib.Path(os.environ.get("FATHOM_RECORDINGS", ROOT / ".." / "shared" / "data" / "recordings")).resolve()
KUBECTL = os.environ.get("FATHOM_KUBECTL") or shutil.which("kubectl") or "kubectl"
EXCHANGE = "binance.com"


def eventually(what, condition, deadline=60.0, pause=0.1):
    """Waits until `condition()` is truthy and returns it; fails with `what` and the last answer otherwise."""
    end = time.monotonic() + deadline
    last = None
    while time.monotonic() < end:
        try:
            last = condition()
            if last:
                return last
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            last = repr(error)
        time.sleep(pause)
    raise AssertionError(f"not within {deadline:g} s: {what}; last: {str(last)[:2000]}")


def children_of(pid):
    """The direct children of a process, as {pid: command line}."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == pid and fields[0] != "Z":
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found


def manifest(market, replicas=1, name=None, exchange=EXCHANGE, **spec):
    """A DepthCache as kubectl takes it."""
    name = name or f"e2e-{market.lower()}"
    return {
        "apiVersion": "fathom.dev/v1alpha1",
        "kind": "DepthCache",
        "metadata": {"name": name},
        "spec": {"exchange": exchange, "market": market, "replicas": replicas, **spec},
    }


class Simulator:
    """An exchange simulator by itself, with the file that points `fathom` to it."""

    def __init__(self, *arguments):
        self.command = [str(BINARIES / "exchange-simulator"), *map(str, arguments)]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        here = json.loads(self.process.stdout.readline())
        self.port, self.ca_file = here["port"], here["caFile"]
        self.context = ssl.create_default_context(cafile=self.ca_file)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()

    def exchanges(self, directory, *names):
        """Writes the override file for these exchanges and returns its path."""
        place = f"127.0.0.1:{self.port}"
        path = pathlib.Path(directory) / "exchanges.yaml"
        path.write_text("".join(
            f"{name}:\n  restBaseURL: https://{place}/{name}\n  caFile: {self.ca_file}\n  webSocketBaseURL: "
            f"wss://{place}/{name}{'/public' if name == 'binance.com-futures' else ''}\n" for name in names))
        return path

    def get(self, path, **query):
        url = f"https://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=15, context=self.context) as reply:
            return json.loads(reply.read() or b"null")


class Cluster:
    """`fathom up` in a directory of its own, on free ports."""

    def __init__(self, workers=2, simulator=(), directory=None, arguments=("--simulate",)):
        self.own_directory = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="fathom-e2e-"))
        self.command = [str(BINARIES / "fathom"), "up", "--workers", str(workers), "--port", "0", "--kube-port", "0",
                        "--data-dir", str(self.directory), *arguments]
        for argument in simulator:
            self.command += ["--simulator-arg", str(argument)]
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.show_logs()
        self.stop()
        if self.own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    # The life of the process

    def start(self):
        (self.directory / "up.json").unlink(missing_ok=True)
        self.output = open(self.directory / "terminal.txt", "ab")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)
        eventually("up.json is written", lambda: self.ended() or (self.directory / "up.json").exists(), 120)
        if self.ended():
            raise AssertionError(f"fathom up ended with {self.process.returncode}:\n{self.terminal()}")
        eventually("the gateway answers", lambda: self.get("/test")["result"] == "OK", 60)
        eventually("all programs are ready", lambda: "Fathom is up" in self.terminal(), 60)

    @property
    def up(self):
        """Who runs where at this moment."""
        return json.loads((self.directory / "up.json").read_text())

    def ended(self):
        return self.process.poll() is not None

    def stop(self, number=signal.SIGINT):
        if self.process is None or self.ended():
            return None
        self.process.send_signal(number)
        try:
            code = self.process.wait(40)
            self.output.close()
            return code
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def terminal(self):
        return (self.directory / "terminal.txt").read_text(errors="replace")

    def show_logs(self):
        print(self.terminal()[-4000:])
        for log in sorted((self.directory / "logs").glob("*.log")):
            print(f"== {log.name}\n{log.read_text(errors='replace')[-3000:]}")

    # What a client sees

    @property
    def gateway(self):
        return ("127.0.0.1", self.up["gateway"]["port"])

    def get(self, path, timeout=15, **query):
        """A GET to the gateway; numbers are read as exact decimals."""
        url = f"http://{self.gateway[0]}:{self.gateway[1]}{path}"
        if query:
            url += "?" + urllib.parse.urlencode(query)
        with urllib.request.urlopen(url, timeout=timeout) as reply:
            return json.loads(reply.read(), parse_float=Decimal)

    def levels(self, side, market, exchange=EXCHANGE, **query):
        return self.get(f"/get_{side}", exchange=exchange, market=market, **query)

    def kubectl(self, *arguments, stdin=None, check=True, timeout=120):
        """Runs kubectl against the cluster; returns its standard output."""
        done = subprocess.run([KUBECTL, "--kubeconfig", str(self.directory / "kubeconfig"), *map(str, arguments)],
                              input=stdin, capture_output=True, text=True, timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, arguments))}: {done.stderr}{done.stdout}")
        return done.stdout if check else done

    def apply(self, *objects):
        # JSON is YAML; the comment keeps kubectl from taking several documents for one of JSON.
        text = "# applied by a test\n" + "\n---\n".join(json.dumps(item) for item in objects)
        return self.kubectl("apply", "-f", "-", stdin=text)

    def cache(self, name):
        return json.loads(self.kubectl("get", "depthcache", name, "-o", "json"))

    def ready_replicas(self, name):
        return self.cache(name).get("status", {}).get("readyReplicas", 0)

    def replicas(self, name):
        items = json.loads(self.kubectl("get", "depthcachereplicas", "-o", "json"))["items"]
        return [item for item in items if item["metadata"]["ownerReferences"][0]["name"] == name]

    def worker_pid(self, worker):
        for pid, command in children_of(self.process.pid).items():
            if " worker " in command and f"{worker} " in command + " ":
                return pid
        return None

    # What the exchange says

    def simulator(self, path, **query):
        """A GET to the simulator, over its own TLS; returns status and document."""
        here = self.up["simulator"]
        context = ssl.create_default_context(cafile=here["caFile"])
        connection = http.client.HTTPSConnection("127.0.0.1", here["port"], context=context, timeout=15)
        with contextlib.closing(connection):
            connection.request("GET", f"{path}?{urllib.parse.urlencode(query)}")
            reply = connection.getresponse()
            return reply.status, json.loads(reply.read() or b"null")

    def truth(self, market, update_id, exchange=EXCHANGE):
        status, book = self.simulator("/truth", exchange=exchange, symbol=market, id=update_id)
        if status != 200:
            raise KeyError(f"/truth of {market} at {update_id}: {status} {book}")
        return book

    def fault(self, market, kind, exchange=EXCHANGE, **query):
        """Injects a fault into one market, or with `None` into the whole exchange."""
        if market is not None:
            query["symbol"] = market
        status, done = self.simulator("/control", exchange=exchange, fault=kind, **query)
        assert status == 200, f"/control {kind}: {status} {done}"
        return done

    def audit(self, market, side, exchange=EXCHANGE):
        """Compares one whole served side with the exchange's own book at the same update id; returns the levels."""
        answer = self.levels(side, market, exchange=exchange)
        if answer["result"] != "OK":
            raise KeyError(f"{market} {side}: {answer}")
        true = [(Decimal(price), Decimal(quantity)) for price, quantity in
                self.truth(market, answer["update_id"], exchange)[side]]
        served = [(Decimal(price), Decimal(quantity)) for price, quantity in answer[side]]
        bound = answer["covered_to"]
        if bound is not None:
            bound = Decimal(bound)
            true = [level for level in true if (level[0] <= bound if side == "asks" else level[0] >= bound)]
        if served != true:
            wrong = [pair for pair in zip(served, true) if pair[0] != pair[1]]
            raise AssertionError(f"{market} {side} at {answer['update_id']}: {len(served)} served, {len(true)} true, "
                                 f"first difference {wrong[:1]}")
        return served


class Load:
    """An open loop of queries over keep-alive connections; counts answers by outcome."""

    def __init__(self, cluster, path, rate=200, threads=4):
        self.cluster, self.path, self.rate, self.threads = cluster, path, rate, threads
        self.outcomes, self.failures, self.longest_gap = {}, [], 0.0
        self.failovers = []
        self.lock, self.ending = threading.Lock(), threading.Event()
        self.last_answer = None

    def __enter__(self):
        self.workers = [threading.Thread(target=self.run, args=(index,), daemon=True) for index in range(self.threads)]
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for worker in self.workers:
            worker.join(30)

    def run(self, index):
        connection = http.client.HTTPConnection(*self.cluster.gateway, timeout=10)
        due = time.monotonic() + index / self.rate
        while not self.ending.is_set():
            time.sleep(max(0.0, due - time.monotonic()))
            due += self.threads / self.rate
            try:
                connection.request("GET", self.path)
                answer = json.loads(connection.getresponse().read())
                outcome = answer.get("error_id", "OK") if answer.get("result") == "OK" else answer.get("error_id")
                failed = answer.get("result") != "OK"
            except (OSError, ValueError, http.client.HTTPException, socket.timeout) as error:
                connection.close()
                answer, outcome, failed = repr(error), type(error).__name__, True
            now = time.monotonic()
            with self.lock:
                self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
                if failed:
                    self.failures.append(answer)
                else:
                    if outcome == "#5001" and len(self.failovers) < 1000:
                        self.failovers.append(answer)
                    if self.last_answer is not None:
                        self.longest_gap = max(self.longest_gap, now - self.last_answer)
                    self.last_answer = now

    @property
    def answers(self):
        with self.lock:
            return sum(self.outcomes.values())
