"""Bad input gets a clear error; nothing crashes and everything else is still served."""

import http.client
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import unittest
import urllib.parse

from fathom import BINARIES, EXCHANGE, Cluster, eventually, manifest


def fathom(*arguments, timeout=60, env=None):
    """Runs the binary to its end; returns exit code and everything that it said."""
    done = subprocess.run([str(BINARIES / "fathom"), *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
    return done.returncode, done.stdout + done.stderr


class Queries(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=1, simulator=["--symbols", 5]))
        cls.cluster.apply(manifest("BTCUSDT"))
        cls.cluster.kubectl("wait", "--for=condition=Ready", "depthcaches", "--all", "--timeout=90s", timeout=120)
        cls.pids = {name: process["pid"] for name, process in [("gateway", cls.cluster.up["gateway"])]}

    def tearDown(self):
        self.assertEqual(self.cluster.levels("asks", "BTCUSDT", limit_count=1)["result"], "OK")
        self.assertFalse(self.cluster.ended())

    def refused(self, path, error_id, *words, **query):
        answer = self.cluster.get(path, **query)
        self.assertEqual((answer["result"], answer["error_id"]), ("ERROR", error_id), answer)
        for word in words:
            self.assertIn(word, answer["message"])

    def test_unknown_exchange_and_market(self):
        self.refused("/create_depthcache", "#1017", "exchange", exchange="binance.org", market="BTCUSDT")
        eventually("the list of markets is published", lambda: "fathom-markets" in self.cluster.kubectl("get", "configmaps"))
        answer = eventually("the unknown market is refused", lambda: self.cluster.get(
            "/create_depthcache", exchange=EXCHANGE, market="NOSUCHUSDT"))
        self.assertEqual(answer["error_id"], "#1017", answer)
        self.assertEqual(self.cluster.levels("asks", "NEVERMADE")["error_id"], "#7000")

    def test_replicas_and_depth(self):
        for replicas in ("0", "-1", "x"):
            self.refused("/create_depthcache", "#1017", "desired_quantity", exchange=EXCHANGE, market="ETHUSDT",
                         desired_quantity=replicas)
        for spec in ({"replicas": -1}, {"replicas": "x"}, {"depth": 0}, {"depth": 10**9}):
            cache = manifest("ETHUSDT", name="bad")
            cache["spec"].update(spec)
            done = self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(cache), check=False)
            self.assertNotEqual(done.returncode, 0, spec)
            self.assertIn(f"spec.{next(iter(spec))}", done.stderr)

    def test_an_unknown_market_by_kubectl_says_so(self):
        self.cluster.apply(manifest("NOSUCHUSDT", name="unknown"))

        def reason():
            conditions = self.cluster.cache("unknown").get("status", {}).get("conditions", [])
            return [c for c in conditions if c["type"] == "Ready" and "UnknownMarket" in c["reason"] + c["message"]]

        eventually("the condition names UnknownMarket", reason)
        self.cluster.kubectl("delete", "depthcache", "unknown")

    def test_malformed_json_numbers_and_yaml(self):
        for path in ("/create_depthcache", "/create_depthcaches"):
            connection = http.client.HTTPConnection(*self.cluster.gateway, timeout=10)
            connection.request("POST", path, body=b'{"exchange": ', headers={"Content-Type": "application/json"})
            reply = connection.getresponse()
            answer = json.loads(reply.read())
            self.assertEqual((reply.status, answer["result"]), (200, "ERROR"), answer)
            self.assertIn("JSON", answer["message"])
        for parameter in ("limit_count", "threshold_volume"):
            answer = self.cluster.levels("asks", "BTCUSDT", **{parameter: "abc"})
            self.assertEqual(answer["result"], "ERROR")
            self.assertIn(parameter, answer["message"])
        done = self.cluster.kubectl("apply", "-f", "-", stdin="a: [1\nb: }", check=False)
        self.assertNotEqual(done.returncode, 0)

    def test_long_queries(self):
        filler = "x" * (60 << 10)
        answer = self.cluster.get("/get_asks", exchange=EXCHANGE, market=filler)
        self.assertEqual(answer["result"], "ERROR")
        with socket.create_connection(self.cluster.gateway, timeout=10) as raw:
            # One MiB of query is beyond the documented bound: an error or a close, never a crash.
            try:
                raw.sendall(b"GET /get_asks?market=" + b"x" * (1 << 20) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
                first = raw.recv(64)
            except (ConnectionError, socket.timeout) as error:
                self.assertNotIsInstance(error, socket.timeout)
                first = b""
            self.assertIn(first[:12], (b"", b"HTTP/1.1 431", b"HTTP/1.1 414", b"HTTP/1.1 400"))


class CommandLine(unittest.TestCase):
    def test_a_kubeconfig_that_points_nowhere(self):
        with tempfile.TemporaryDirectory() as directory:
            missing = pathlib.Path(directory) / "none"
            code, said = fathom("controller", "--kubeconfig", missing)
            self.assertNotEqual(code, 0)
            self.assertIn(str(missing), said)

    def test_invalid_yaml_of_exchanges_names_its_place(self):
        with tempfile.TemporaryDirectory() as directory:
            bad = pathlib.Path(directory) / "exchanges.yaml"
            bad.write_text("binance.com:\n  restBaseURL: [1\n")
            code, said = fathom("up", "--data-dir", pathlib.Path(directory) / "data", "--port", 0, "--kube-port", 0,
                                "--exchanges", bad)
            self.assertNotEqual(code, 0)
            self.assertIn("exchanges.yaml", said)
            self.assertRegex(said, r"line \d|:\d+:\d+")
            bad.write_text("binance.com:\n  restBaseUrl: https://127.0.0.1\n")
            code, said = fathom("up", "--data-dir", pathlib.Path(directory) / "data", "--port", 0, "--kube-port", 0,
                                "--exchanges", bad)
            self.assertNotEqual(code, 0)
            self.assertIn("restBaseUrl", said)

    def test_ports_in_use_are_named(self):
        with tempfile.TemporaryDirectory() as directory, socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for flag in ("--port", "--kube-port"):
                other = "--kube-port" if flag == "--port" else "--port"
                code, said = fathom("up", "--simulate", "--data-dir", directory, flag, port, other, 0)
                self.assertNotEqual(code, 0)
                self.assertIn(str(port), said)
                self.assertIn(flag, said)

    def test_an_unwritable_data_directory_is_named(self):
        with tempfile.NamedTemporaryFile() as file:
            for directory in (f"{file.name}/data", "/proc/fathom"):
                code, said = fathom("up", "--data-dir", directory, "--port", 0, "--kube-port", 0)
                self.assertNotEqual(code, 0)
                self.assertIn(directory, said)

    def test_a_wrong_flag_and_a_wrong_command(self):
        self.assertEqual(fathom("up", "--wrokers", 2)[0], 2)
        self.assertEqual(fathom("start")[0], 2)
        code, said = fathom("up", "--workers", "x")
        self.assertEqual(code, 2)
        self.assertIn("--workers", said)


if __name__ == "__main__":
    unittest.main()
