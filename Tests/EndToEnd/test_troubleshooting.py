"""Every row of docs/troubleshooting.md: somebody does it, and sees the words that the row quotes."""

import datetime
import json
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request

from fathom import BINARIES, KUBECTL, ROOT, Cluster, eventually, manifest
from test_bad_input import fathom
from test_credentials import secret

TABLE = ROOT / "docs" / "troubleshooting.md"


def rows():
    """The quoted words of what is seen, by the name of the row."""
    found = {}
    for line in TABLE.read_text().splitlines():
        cells = re.split(r"(?<!\\)\|", line)
        if name := re.fullmatch(r" `([a-z-]+)` ", cells[1]) if len(cells) > 4 else None:
            found[name[1]] = re.findall(r"`([^`]+)`", cells[3])
    return found


def text_of(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


class Row(unittest.TestCase):
    """A test whose name is a row's."""

    @property
    def words(self):
        return rows()[self._testMethodName.removeprefix("test_").replace("_", "-")]

    def unseen(self, text):
        """The quoted words of the row that `text` does not have; `…` stands for anything."""
        return [words for words in self.words
                if not re.search(".*".join(re.escape(part.strip()) for part in words.split("…")), text, re.DOTALL)]

    def assert_seen(self, text):
        self.assertEqual(self.unseen(text), [], text[-3000:])

    def see(self, look, deadline=60):
        """Looks again and again until all words of the row are there."""
        seen = {}

        def found():
            seen["text"] = look()
            return not self.unseen(seen["text"])

        try:
            eventually("the words of the row are seen", found, deadline)
        except AssertionError:
            self.fail(f"not seen: {self.unseen(seen.get('text', ''))}\nin: {seen.get('text', '')[-3000:]}")


class Objects(Row):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=2, simulator=["--symbols", 6]))
        cls.cluster.apply(manifest("BTCUSDT"))
        eventually("a first book", lambda: cls.cluster.ready_replicas("e2e-btcusdt") == 1)

    def refused(self, cache, verb="apply"):
        done = self.cluster.kubectl(verb, "-f", "-", stdin=json.dumps(cache), check=False)
        self.assertNotEqual(done.returncode, 0, cache)
        self.assert_seen(done.stderr)

    def each_refused(self, field, *values):
        for value in values:
            cache = manifest("ETHUSDT", name="bad")
            cache["spec"][field] = value
            self.refused(cache)

    def described(self, name):
        return self.cluster.kubectl("describe", "depthcache", name) + json.dumps(self.cluster.replicas(name))

    def applied(self, cache):
        name = cache["metadata"]["name"]
        self.cluster.apply(cache)
        self.addCleanup(self.cluster.kubectl, "delete", "depthcache", name, "--ignore-not-found")
        return name

    def test_exchange_empty_or_long(self):
        self.each_refused("exchange", "", "x" * 65)

    def test_exchange_unknown(self):
        name = self.applied(manifest("BTCUSDT", name="unknown", exchange="binance.org"))
        self.see(lambda: self.described(name))
        self.assertEqual(self.ready(name)["status"], "False")

    def ready(self, name):
        return next(c for c in self.cluster.cache(name)["status"]["conditions"] if c["type"] == "Ready")

    def test_exchange_or_market_changed(self):
        for change in ({"exchange": "binance.us"}, {"market": "ETHUSDT"}):
            cache = manifest("BTCUSDT")
            cache["spec"].update(change)
            self.refused(cache)

    def test_market_empty_or_long(self):
        self.each_refused("market", "", "x" * 65)

    def test_market_unknown(self):
        name = self.applied(manifest("NOSUCHUSDT"))
        self.see(lambda: self.described(name))
        self.assertEqual(self.ready(name)["status"], "False")

    def test_market_stops_trading(self):
        # One falls silent; the other one's book goes on changing.
        names = {market: self.applied(manifest(market)) for market in ("XRPUSDT", "SIM0006USDT")}
        for market, fault in zip(names, ("halt", "cancel-only")):
            eventually("in sync", lambda: self.cluster.ready_replicas(names[market]) == 1)
            self.cluster.fault(market, fault)
        for market, name in names.items():
            self.see(lambda: self.described(name) + json.dumps(self.cluster.levels("asks", market), default=str), 150)
            self.cluster.fault(market, "resume")
        for market in names:
            eventually("the book is back", lambda: self.cluster.levels("asks", market)["result"] == "OK", 400)

    def test_market_twice(self):
        name = self.applied(manifest("BTCUSDT", name="twice"))
        self.see(lambda: self.described(name))
        self.assertEqual(self.cluster.levels("asks", "BTCUSDT")["result"], "OK")

    def test_replicas_below_one(self):
        self.each_refused("replicas", 0, -1, "x")

    def test_replicas_above_workers(self):
        name = self.applied(manifest("SOLUSDT", replicas=3))
        self.see(lambda: self.described(name))

    def test_depth_out_of_range(self):
        self.each_refused("depth", 0, 5001, "deep")

    def test_interval_out_of_range(self):
        self.each_refused("updateIntervalMilliseconds", 0, 60_001, "fast")

    def test_interval_not_offered(self):
        name = self.applied(manifest("BNBUSDT", updateIntervalMilliseconds=300))
        self.see(lambda: self.described(name))

    def test_refresh_out_of_range(self):
        self.each_refused("refreshIntervalSeconds", 0, 604_801, "often")

    def test_field_unknown(self):
        self.each_refused("depht", 5)

    def test_replica_edited(self):
        replica = self.cluster.replicas("e2e-btcusdt")[0]["metadata"]["name"]
        done = self.cluster.kubectl("patch", "depthcachereplica", replica, "--type=merge", "-p",
                                    '{"spec":{"workerName":"another"}}', check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assert_seen(done.stderr)

    def seen_of_secret(self, item):
        self.cluster.apply(item)
        name = item["metadata"]["name"]
        self.addCleanup(self.cluster.kubectl, "delete", "secret", name)

        def events():
            found = json.loads(self.cluster.kubectl("get", "events", "-o", "json"))["items"]
            return json.dumps([e for e in found if e["involvedObject"]["name"] == name], ensure_ascii=False)

        self.see(events)
        listed = eventually("it is listed", lambda: [
            entry for entry in self.cluster.get("/get_credentials_list")["credentials"] if entry["id"] == name])
        self.assertEqual(listed[0]["assigned_dcns"], [])
        self.assert_seen("MissingCredentials " + listed[0]["problem"])
        log = (self.cluster.directory / "logs" / "fathom-controller-0.log").read_text()
        self.assertIn(listed[0]["problem"], log)

    def test_secret_without_keys(self):
        self.seen_of_secret(secret("no-keys", "", other="x"))

    def test_secret_of_another_type(self):
        self.seen_of_secret(secret("opaque", "a" * 64, kind="Opaque"))

    def test_secret_of_an_unknown_group(self):
        self.seen_of_secret(secret("stranger", "a" * 64, group="binance.org"))


class Surroundings(Row):
    def test_definition_deleted(self):
        with Cluster(workers=1, simulator=["--symbols", 5]) as cluster:
            cluster.apply(manifest("BTCUSDT"))
            eventually("in sync", lambda: cluster.ready_replicas("e2e-btcusdt") == 1)
            programs = lambda: [cluster.up["controller"]["pid"], cluster.up["gateway"]["pid"],
                                *(worker["pid"] for worker in cluster.up["workers"])]
            before = programs()
            cluster.kubectl("delete", "crd", "depthcachereplicas.fathom.dev", "depthcaches.fathom.dev")
            self.see(lambda: text_of(f"http://127.0.0.1:{cluster.up['controller']['port']}/readyz"), 150)
            folder = ROOT / "Sources" / "DepthCacheAPI" / "Resources"
            cluster.kubectl("apply", "--server-side", "-f", str(folder))
            cluster.kubectl("wait", "--for=condition=Established", "crd/depthcaches.fathom.dev",
                            "crd/depthcachereplicas.fathom.dev")
            self.assertEqual(json.loads(cluster.kubectl("get", "depthcaches", "-o", "json"))["items"], [])
            cluster.apply(manifest("ETHUSDT"))
            eventually("served again", lambda: cluster.levels("asks", "ETHUSDT")["result"] == "OK", 150)
            self.assertEqual(programs(), before)

    def test_clock_wrong(self):
        with Cluster(workers=1, simulator=["--symbols", 5, "--clock-offset", 3600]) as cluster:
            cluster.apply(manifest("BTCUSDT"))
            eventually("in sync", lambda: cluster.ready_replicas("e2e-btcusdt") == 1)
            metrics = f"http://127.0.0.1:{cluster.up['workers'][0]['port']}/metrics"
            self.see(lambda: (cluster.directory / "logs" / "fathom-worker-0.log").read_text() + text_of(metrics))
            offset = re.search(r'fathom_worker_clock_offset_seconds\{exchange="binance.com"\} (\S+)', text_of(metrics))
            self.assertAlmostEqual(float(offset[1]), 3600, delta=5)
            eventually("it is served", lambda: cluster.levels("asks", "BTCUSDT")["result"] == "OK")
            cluster.audit("BTCUSDT", "asks")
            # Not even in the first moments was a book withdrawn for it.
            self.assertNotRegex(text_of(metrics), r'fathom_worker_resyncs_total\{[^}]*reason="(ClockSkew|FeedLate)"')

    def test_settings_wrong(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("worker: {thread: 4}\n")
            file.flush()
            code, said = fathom("worker", "--config", file.name, "--log-level", "loud", env={"FATHOM_PORT": "x"})
        self.assertEqual(code, 2)
        self.assert_seen(said)
        for words in ("worker.thread: unknown; did you mean worker.threads?", "FATHOM_PORT: expected", "--log-level: expected"):
            self.assertIn(words, said)

    def test_exchanges_file_wrong(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("binance.com: {restURL: https://x}\n")
            file.flush()
            for program in ("controller", "worker", "gateway", "up"):
                code, said = fathom(program, "--exchanges", file.name)
                self.assertEqual(code, 2)
                self.assert_seen(said)


class Permissions(Row):
    """Programs with the Roles of the chart, and one verb less."""

    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        data = self.directory / "data"
        log = open(self.directory / "apiserver.log", "w+")
        self.addCleanup(log.close)
        self.start("apiserver", "--data-dir", data, "--port", 0, out=log)
        self.config = eventually("the API server is there", lambda: self.admin(data))
        self.kubectl("create", "namespace", "fathom")
        self.kubectl("apply", "--server-side", "-f", str(ROOT / "manifests" / "crds"))
        parts = re.split(r"(?m)^---\s*$", (ROOT / "manifests" / "install.yaml").read_text())
        wanted = {"Role", "RoleBinding", "ServiceAccount", "Secret", "ConfigMap", "Lease"}
        self.state = [part for part in parts if (kind := re.search(r"(?m)^kind: (\w+)", part)) and kind[1] in wanted]
        self.kubectl("apply", "-f", "-", stdin="\n---\n".join(self.state))

    def admin(self, data):
        config = data / "kubeconfig"
        text_ready = config.exists() and subprocess.run(
            [KUBECTL, "--kubeconfig", str(config), "get", "--raw", "/readyz"], capture_output=True).returncode == 0
        return text_ready and config

    def start(self, *arguments, out):
        process = subprocess.Popen([str(BINARIES / "fathom"), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.send_signal, signal.SIGKILL)
        return process

    def kubectl(self, *arguments, stdin=None):
        done = subprocess.run([KUBECTL, "--kubeconfig", str(self.config), "-n", "fathom", *arguments], input=stdin,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def without(self, role, resource, verb):
        """Takes one verb from a rule of a Role."""
        found = json.loads(self.kubectl("get", "role", role, "-o", "json"))
        hit = 0
        for rule in found["rules"]:
            if resource in rule["resources"] and verb in rule["verbs"]:
                rule["verbs"].remove(verb)
                hit += 1
        self.assertGreater(hit, 0)
        found["rules"] = [rule for rule in found["rules"] if rule["verbs"]]
        self.kubectl("patch", "role", role, "--type=merge", "-p", json.dumps({"rules": found["rules"]}))

    def controller(self, *arguments):
        """Starts a controller under the ServiceAccount of the chart; returns where its log and its health are."""
        config = json.loads(self.kubectl("config", "view", "--raw", "-o", "json"))
        config["users"][0]["user"] = {"token": self.kubectl("create", "token", "fathom-controller").strip()}
        path = self.directory / "controller.json"
        path.write_text(json.dumps(config))
        self.log = self.directory / "controller.log"
        out = open(self.log, "w")
        self.addCleanup(out.close)
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]
        return self.start("controller", "--kubeconfig", path, "--namespace", "fathom", "--name", "c-0", "--port", self.port,
                          *arguments, out=out)

    def worker_lease(self):
        self.kubectl("create", "-f", "-", stdin=json.dumps({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "w-0", "labels": {"app.kubernetes.io/name": "fathom", "app.kubernetes.io/component": "worker",
                                                   "fathom.dev/worker": "w-uid"},
                         "annotations": {"fathom.dev/endpoint": "127.0.0.1:1", "fathom.dev/node": "n"}},
            "spec": {"holderIdentity": "i", "leaseDurationSeconds": 9}}))

    def renew(self):
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.kubectl("patch", "lease", "w-0", "--type=merge", "-p", json.dumps({"spec": {"renewTime": now}}))

    def test_verb_missing(self):
        self.without("fathom-controller", "depthcachereplicas", "create")
        self.worker_lease()
        self.kubectl("apply", "-f", "-", stdin=json.dumps(manifest("BTCUSDT")))
        self.controller()

        def look():
            self.renew()
            return self.log.read_text().replace('\\"', '"')

        self.see(look)
        self.assertNotIn("works again", look())
        self.kubectl("apply", "-f", "-", stdin="\n---\n".join(self.state))

        def placed():
            self.renew()
            return json.loads(self.kubectl("get", "depthcachereplicas", "-o", "json"))["items"]

        eventually("it is placed once the verb is back", placed)

    def test_verb_missing_for_reading(self):
        self.without("fathom-controller", "leases", "list")
        self.controller()
        self.see(lambda: self.readyz())

    def readyz(self):
        try:
            return text_of(f"http://127.0.0.1:{self.port}/readyz")
        except OSError as error:
            return repr(error)

    def test_link_key_missing(self):
        self.kubectl("delete", "secret", "fathom-link")
        self.controller("--link-key-secret", "fathom-link")
        self.see(lambda: self.readyz() + self.log.read_text())
        self.kubectl("create", "secret", "generic", "fathom-link")
        eventually("the key is filled in", lambda: "current" in json.loads(
            self.kubectl("get", "secret", "fathom-link", "-o", "json")).get("data", {}))
        eventually("it is ready", lambda: "link key" not in self.readyz())


class Table(unittest.TestCase):
    def test_every_row_has_a_test_and_every_test_a_row(self):
        tests = {name.removeprefix("test_").replace("_", "-") for kind in (Objects, Surroundings, Permissions)
                 for name in dir(kind) if name.startswith("test_")}
        self.assertEqual(tests, set(rows()))
        self.assertGreater(len(tests), 20)

    def test_every_row_quotes_what_is_seen(self):
        self.assertEqual([name for name, words in rows().items() if not words], [])


if __name__ == "__main__":
    unittest.main()
