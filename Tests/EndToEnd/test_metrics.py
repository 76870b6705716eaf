"""Metrics, request ids and logs of all programs: pages that Prometheus' own parser reads, numbers that move, and docs/metrics.md."""

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from fathom import ROOT, Cluster, eventually, manifest

# Reads a page as Prometheus' own library does; prints families as JSON.
PARSER = """
import json, sys
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([[f.name, f.type, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]]
                  for f in text_string_to_metric_families(sys.stdin.read())]))
"""
PROGRAMS = {"Controller": "controller", "Gateway": "gateway", "Worker": "worker", "Embedded Kubernetes API": "apiserver"}
SHARED = {"Every program": list(PROGRAMS.values()), "Controller, worker and gateway": ["controller", "worker", "gateway"]}
SOURCES = ROOT / "Sources"


def python():
    return subprocess.run([ROOT / "hack" / "python.sh"], capture_output=True, text=True, check=True).stdout.strip()


def documented():
    """The tables of docs/metrics.md: {program: {name: (type, labels, help)}}."""
    found = {program: {} for program in PROGRAMS.values()}
    for section in re.split(r"(?m)^## ", (ROOT / "docs/metrics.md").read_text())[1:]:
        title = section.split("\n", 1)[0]
        programs = SHARED.get(title) or [PROGRAMS[title]] if title in SHARED or title in PROGRAMS else []
        for name, kind, labels, words in re.findall(r"(?m)^\| `(\w+)` \| (\w+) \| ([\w, ]*?) ?\| (.*) \|$", section):
            for program in programs:
                found[program][name] = (kind, {label for label in labels.split(", ") if label}, words)
    return found


class Page:
    """One program's metrics at one moment."""

    def __init__(self, text, parser):
        self.text = text
        done = subprocess.run([parser, "-c", PARSER], input=text, capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(f"the parser refuses the page: {done.stderr[-1500:]}")
        self.families = {}
        for name, kind, words, samples in json.loads(done.stdout):
            # The parser takes `_total` off the names of counters.
            full = name + "_total" if kind == "counter" else name
            self.families[full] = (kind, words, samples)

    def samples(self, name, **labels):
        return [value for _, _, samples in self.families.values() for sample, own, value in samples
                if sample == name and all(own.get(key) == wanted for key, wanted in labels.items())]

    def sum(self, name, **labels):
        return sum(self.samples(name, **labels))


class Documentation(unittest.TestCase):
    def test_every_metric_of_the_code_has_its_row_and_every_row_its_metric(self):
        made = set()
        for path in SOURCES.rglob("*.swift"):
            if path.name != "BookProgress.swift":
                made |= set(re.findall(r'"((?:fathom|process|apiserver)_[a-z_]+)"', path.read_text()))
        rows = {name for table in documented().values() for name in table}
        self.assertGreater(len(rows), 50)
        self.assertEqual(made, rows)


class Metrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.python = python()
        settings = {"FATHOM_LOG_FORMAT": "json", "FATHOM_LOG_LEVEL": "debug"}
        os.environ.update(settings)
        cls.cluster = cls.enterClassContext(Cluster(workers=2, simulator=("--symbols", 6, "--rate", 20)))
        for name in settings:
            del os.environ[name]
        cls.cluster.apply(manifest("BTCUSDT", 2), manifest("ETHUSDT"))
        eventually("both are ready", lambda: cls.cluster.ready_replicas("e2e-btcusdt") == 2
                   and cls.cluster.ready_replicas("e2e-ethusdt") == 1)

    # Where to read

    def text(self, program, index=0):
        up = self.cluster.up
        if program == "apiserver":
            return self.cluster.kubectl("get", "--raw", "/metrics")
        port = {"controller": lambda: up["controller"]["port"], "gateway": lambda: up["gateway"]["healthPort"],
                "worker": lambda: up["workers"][index]["port"]}[program]()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
            self.assertEqual(reply.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
            return reply.read().decode()

    def page(self, program, index=0):
        return Page(self.text(program, index), self.python)

    def workers(self, name, **labels):
        return sum(self.page("worker", index).sum(name, **labels) for index in range(2))

    def ask(self, path, **headers):
        connection = http.client.HTTPConnection(*self.cluster.gateway, timeout=15)
        try:
            connection.request("GET", path, headers=headers)
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read()
        finally:
            connection.close()

    def log(self, name):
        lines = (self.cluster.directory / "logs" / f"{name}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def lines(self, ids):
        """The gateway's lines by request id; None until all of `ids` are there."""
        found = {line.get("request_id"): line for line in self.log("fathom-gateway-0")}
        return found if ids <= found.keys() else None

    # The pages

    def test_every_page_is_sound(self):
        for program in PROGRAMS.values():
            with self.subTest(program=program):
                page = self.page(program)
                for name in page.families:
                    self.assertEqual(page.text.count(f"# HELP {name} "), 1, name)
                    self.assertEqual(page.text.count(f"# TYPE {name} "), 1, name)
                series = [line.rsplit(" ", 1)[0] for line in page.text.splitlines() if not line.startswith("#")]
                self.assertEqual(len(series), len(set(series)), "a series is there twice")
                for name, (kind, words, samples) in page.families.items():
                    self.assertIn(kind, ("counter", "gauge", "histogram"), name)
                    self.assertTrue(words.endswith("."), f"{name}: {words}")
                    self.assertEqual(name.endswith("_total"), kind == "counter", name)
                    if kind == "histogram":
                        self.check_histogram(name, samples)
                        self.assertTrue(name.endswith("_seconds"), name)

    def check_histogram(self, name, samples):
        groups = {}
        for sample, labels, value in samples:
            key = json.dumps({label: text for label, text in labels.items() if label != "le"}, sort_keys=True)
            groups.setdefault(key, {}).setdefault(sample, []).append((labels.get("le"), value))
        for key, group in groups.items():
            buckets = group[f"{name}_bucket"]
            self.assertEqual(buckets[-1][0], "+Inf", f"{name}{key}")
            bounds = [float(bound) for bound, _ in buckets]
            counts = [count for _, count in buckets]
            self.assertEqual(bounds, sorted(set(bounds)), f"{name}{key}")
            self.assertEqual(counts, sorted(counts), f"{name}{key}: not cumulative")
            self.assertEqual(counts[-1], group[f"{name}_count"][0][1], f"{name}{key}")
            self.assertGreaterEqual(group[f"{name}_sum"][0][1], 0, f"{name}{key}")

    def test_every_family_is_as_the_page_of_documentation_says(self):
        tables = documented()
        for program, table in tables.items():
            for name, (kind, words, samples) in self.page(program).families.items():
                with self.subTest(program=program, metric=name):
                    self.assertIn(name, table)
                    self.assertEqual(table[name][0], kind)
                    self.assertEqual(table[name][2], words)
                    for _, labels, _ in samples:
                        self.assertEqual(set(labels) - {"le"}, table[name][1])

    def test_nothing_that_a_client_sent_becomes_a_label(self):
        for path in ("/get_asks?exchange=quuxexchange&market=quuxmarket", "/quuxpath", "/v1/books/quuxexchange/quuxmarket"):
            self.ask(path, **{"X-Request-Id": "quuxid", "Host": "quuxhost"})
            self.ask(path, **{"X-Request-Id": "quuxid"})
        connection = http.client.HTTPConnection(*self.cluster.gateway, timeout=15)
        connection.request("QUUXMETHOD", "/get_asks")
        connection.getresponse().read()
        connection.close()
        self.assertNotIn("quux", self.text("gateway").lower())
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        request = urllib.request.Request(f"{self.cluster.up['kubernetes']['url']}/quuxpath", method="QUUXMETHOD")
        with self.assertRaises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=10, context=context)
        self.assertNotIn("quux", self.text("apiserver").lower())
        self.assertGreater(self.page("apiserver").sum("apiserver_request_total", verb="other"), 0)

    # What moves

    def moves(self, what, read, act, by=1):
        before = read()
        act()
        eventually(f"{what} moves by {by} from {before}", lambda: read() >= before + by, 30)

    def test_queries_move_requests_and_their_durations(self):
        def gateway(name, **labels):
            return lambda: self.page("gateway").sum(name, **labels)
        for endpoint, path in (("get_asks", "/get_asks?exchange=binance.com&market=BTCUSDT"), ("v1_book", "/v1/books/binance.com/BTCUSDT")):
            with self.subTest(endpoint=endpoint):
                for name in ("fathom_gateway_requests_total", "fathom_gateway_request_duration_seconds_count"):
                    self.moves(name, gateway(name, endpoint=endpoint), lambda: [self.ask(path) for _ in range(5)], 5)
        self.moves("rejected", gateway("fathom_gateway_rejected_total", code="404"), lambda: self.ask("/nothing"))
        self.moves("link requests", lambda: self.workers("fathom_worker_link_request_duration_seconds_count", kind="book"),
                   lambda: self.ask("/get_bids?exchange=binance.com&market=ETHUSDT"))

    def test_a_forced_resync_moves_its_reason_and_the_requests_to_the_exchange(self):
        count = lambda name, **labels: (lambda: self.workers(name, **labels))
        resyncs = count("fathom_worker_resyncs_total", exchange="binance.com")
        asked = count("fathom_worker_exchange_requests_total", purpose="synchronize", outcome="ok")
        before = asked()
        self.moves("resyncs", resyncs, lambda: self.cluster.fault("ETHUSDT", "idreset"))
        eventually("a snapshot is fetched", lambda: asked() > before, 60)
        self.assertGreater(self.workers("fathom_worker_exchange_request_duration_seconds_count"), 0)
        eventually("in sync again", lambda: self.cluster.ready_replicas("e2e-ethusdt") == 1, 90)

    def test_the_feed_moves_messages_bytes_and_lag(self):
        for name in ("feed_messages_total", "feed_bytes_total", "feed_lag_seconds_count"):
            self.moves(name, lambda: self.workers(f"fathom_worker_{name}", exchange="binance.com"), lambda: None)
        self.assertGreater(self.workers("fathom_worker_covered_levels", market="BTCUSDT"), 100)

    def test_an_applied_cache_moves_reconciles_writes_and_calls_and_goes_again(self):
        controller = lambda name, **labels: (lambda: self.page("controller").sum(name, **labels))
        reads = [controller("fathom_controller_reconciles_total", result="done"), controller("fathom_controller_writes_total"),
                 controller("fathom_controller_pass_duration_seconds_count"),
                 controller("fathom_kubernetes_requests_total", method="POST", code="201"),
                 controller("fathom_kubernetes_request_duration_seconds_count", method="PATCH")]
        before = [read() for read in reads]
        self.cluster.apply(manifest("SIM0006USDT"))
        eventually("it is ready", lambda: self.cluster.ready_replicas("e2e-sim0006usdt") == 1)
        for read, old in zip(reads, before):
            self.assertGreater(read(), old)
        shown = lambda: "SIM0006USDT" in self.text("worker", 0) + self.text("worker", 1)
        eventually("the book has series", shown)
        self.cluster.kubectl("delete", "depthcache", "e2e-sim0006usdt")
        eventually("its series are gone", lambda: not shown(), 60)
        self.assertGreater(self.page("gateway").sum("fathom_kubernetes_watches"), 0)

    def test_a_frozen_worker_shows_in_links_loops_logs_and_debug(self):
        path = "/get_asks?exchange=binance.com&market=BTCUSDT&limit_count=1&debug=true"
        before = time.monotonic()
        status, headers, body = self.ask(path)
        elapsed = time.monotonic() - before
        debug = json.loads(body)["debug"]
        self.assertTrue(0 < debug["cluster_execution_time"] <= elapsed, (debug, elapsed))
        names = {pod for pod, _ in debug["used_pods"]}
        self.assertEqual(len(names), 2)
        self.assertIn("fathom-gateway-0", names)
        name = self.cluster.up["workers"][0]["name"]
        pid = self.cluster.worker_pid(name)
        suspect = self.page("gateway").sum("fathom_link_changes_total", state="suspect")
        failovers = self.page("gateway").sum("fathom_gateway_failovers_total")
        stalls = self.page("worker").sum("fathom_loop_stalls_total")
        # Two workers, and as many links to each as the gateway has loops.
        links = self.page("gateway").sum("fathom_links", state="up")
        self.assertTrue(links >= 2 and links % 2 == 0, links)
        os.kill(pid, signal.SIGSTOP)
        try:
            slow = None
            for number in range(6):
                began = time.monotonic()
                _, headers, body = self.ask(path, **{"X-Request-Id": f"frozen-{number}"})
                took, answer = time.monotonic() - began, json.loads(body)
                self.assertEqual(answer["result"], "OK")
                self.assertEqual(headers["X-Request-Id"], f"frozen-{number}")
                self.assertLessEqual(answer["debug"]["cluster_execution_time"], took)
                # The pod that answered, not the one that was asked first.
                self.assertNotIn(name, {pod for pod, _ in answer["debug"]["used_pods"]})
                if answer.get("error_id") == "#5001" and slow is None:
                    slow = (number, answer["debug"]["cluster_execution_time"], took)
            self.assertIsNotNone(slow, "no query met the frozen worker")
            # What the wait for the frozen worker took is in the number, and little else.
            self.assertLess(slow[2] - slow[1], 0.2, slow)
        finally:
            time.sleep(1.5)  # long enough to be a stall
            os.kill(pid, signal.SIGCONT)
        eventually("the stall is counted", lambda: self.page("worker").sum("fathom_loop_stalls_total") > stalls, 30)
        page = self.page("gateway")
        self.assertGreater(page.sum("fathom_link_changes_total", state="suspect"), suspect)
        self.assertGreater(page.sum("fathom_gateway_failovers_total"), failovers)
        lines = [line for line in self.log("fathom-gateway-0") if line.get("request_id") == f"frozen-{slow[0]}"]
        self.assertEqual([(line["level"], line["outcome"]) for line in lines], [("warning", "failover")])
        self.assertIn(name, lines[0]["reason"])
        eventually("the links are up again", lambda: self.page("gateway").sum("fathom_links", state="up") == links, 60)

    # Request ids

    def test_ids_of_clients_come_back_and_wrong_ones_are_replaced(self):
        path = "/get_asks?exchange=binance.com&market=BTCUSDT&limit_count=1"
        self.assertEqual(self.ask(path, **{"X-Request-Id": "abc-123_./:=+Z"})[1]["X-Request-Id"], "abc-123_./:=+Z")
        self.assertEqual(self.ask("/nothing", **{"X-Request-Id": "x" * 64})[1]["X-Request-Id"], "x" * 64)
        for wrong in ("x" * 65, "with space", 'quote"', "semi;colon", "<b>", "ä".encode().decode("latin-1")):
            with self.subTest(id=wrong):
                own = self.ask("/nothing", **{"X-Request-Id": wrong})[1]["X-Request-Id"]
                self.assertRegex(own, r"^[0-9a-f]{6}-[0-9a-z]+$")
        # A control byte makes the whole request unreadable.
        self.assertEqual(self.ask("/nothing", **{"X-Request-Id": "\x01"})[0], 400)
        first, second = (self.ask("/nothing")[1]["X-Request-Id"] for _ in range(2))
        self.assertNotEqual(first, second)

    def test_the_log_has_each_request_at_debug_and_no_parameter(self):
        self.ask("/get_bids?exchange=binance.com&market=ETHUSDT&api_secret=verysecret", **{"X-Request-Id": "logged-1"})
        self.ask("/get_bids?exchange=binance.com&market=NOSUCH", **{"X-Request-Id": "logged-2"})
        self.ask("/v1/books/binance.com/ETHUSDT?limit=verysecret", **{"X-Request-Id": "logged-3"})
        # `fathom up` copies what its programs say into their files, a moment later.
        wanted = {"logged-1", "logged-2", "logged-3"}
        lines = eventually("all three are written down", lambda: self.lines(wanted))
        self.assertEqual(lines["logged-3"]["outcome"], "bad_request")
        self.assertEqual({key: lines["logged-1"][key] for key in ("component", "method", "path", "status", "outcome", "client")},
                         {"component": "requests", "method": "GET", "path": "/get_bids", "status": "200", "outcome": "ok",
                          "client": "127.0.0.1"})
        self.assertEqual(lines["logged-2"]["outcome"], "not_found")
        for log in (self.cluster.directory / "logs").glob("*.log"):
            self.assertNotIn("verysecret", log.read_text(errors="replace"))


if __name__ == "__main__":
    unittest.main()
