"""Exchange credentials: who gets which, where the key goes, what follows a change, and that no value shows anywhere."""

import base64
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import secrets
import ssl
import tempfile
import threading
import unittest
import urllib.parse

from fathom import EXCHANGE, Cluster, Simulator, eventually, manifest

HEADER = "X-MBX-APIKEY"


class Exchange:
    """Stands before the simulator's REST interface: notes the keys that come, and sends elsewhere when told to."""

    def __init__(self, simulator, tls_directory):
        self.simulator = simulator
        self.keys = []
        self.refused = set()
        self.redirect_to = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                outer.serve(self)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls_directory / "server.pem", tls_directory / "server.key")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def serve(self, request):
        key = request.headers.get(HEADER)
        if "/depth?" in request.path:
            self.keys.append(key)
        if key in self.refused:
            return self.reply(request, 401, b'{"code":-2015,"msg":"Invalid API-key ' + key.encode() + b'"}')
        if self.redirect_to:
            request.send_response(302)
            request.send_header("Location", f"https://127.0.0.1:{self.redirect_to.port}{request.path}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return None
        connection = http.client.HTTPSConnection("127.0.0.1", self.simulator.port, timeout=15, context=self.simulator.context)
        with contextlib.closing(connection):
            connection.request("GET", request.path)
            answer = connection.getresponse()
            return self.reply(request, answer.status, answer.read(), answer.getheaders())

    @staticmethod
    def reply(request, status, body, headers=()):
        request.send_response(status)
        for name, value in headers:
            if name.lower().startswith(("x-mbx", "retry-after")):
                request.send_header(name, value)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


def secret(name, key, value=None, group=EXCHANGE, kind="fathom.dev/binance-credentials", **data):
    """A Secret with credentials; `data` replaces the two keys."""
    texts = data or {"api-key": key, "api-secret": value or "s" + key}
    return {
        "apiVersion": "v1", "kind": "Secret", "type": kind,
        "metadata": {"name": name, "labels": {"fathom.dev/account-group": group}},
        "data": {field.replace("_", "-"): base64.b64encode(text.encode()).decode() for field, text in texts.items()},
    }


def everything(cluster):
    """All that a person can see of a cluster besides its Secrets: files, API, answers, metrics, command lines."""
    seen = {}
    for path in cluster.directory.rglob("*"):
        # The database of the API server holds the Secrets themselves; it is private to its owner.
        if path.is_file() and not path.name.startswith("state.db") and path.suffix not in (".db", ".db-wal", ".db-shm"):
            seen[str(path)] = path.read_bytes()
    kinds = "depthcaches,depthcachereplicas,configmaps,events,leases,pods,roles"
    seen["kubectl"] = cluster.kubectl("get", kinds, "-o", "yaml").encode()
    seen["describe"] = cluster.kubectl("describe", kinds).encode()
    for path in ("/get_cluster_info?debug=true", "/get_credentials_list?debug=true", "/get_depthcache_list",
                 "/get_asks?exchange=binance.com&market=BTCUSDT&debug=true"):
        connection = http.client.HTTPConnection(*cluster.gateway, timeout=15)
        connection.request("GET", path)
        seen[path] = connection.getresponse().read()
    ports = [cluster.up["gateway"].get("healthPort"), cluster.up["controller"]["port"],
             *(worker["port"] for worker in cluster.up["workers"])]
    for port in filter(None, ports):
        for path in ("/metrics", "/readyz"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
            connection.request("GET", path)
            seen[f"{port}{path}"] = connection.getresponse().read()
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes()
            if str(cluster.directory).encode() in line:
                seen[str(entry)] = line + (entry / "environ").read_bytes()
    return seen


class Credentials(unittest.TestCase):
    def setUp(self):
        directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        tls = directory / "tls"
        tls.mkdir()
        self.simulator = self.enterContext(Simulator("--symbols", 5, "--tls-dir", tls))
        self.rest, self.elsewhere = Exchange(self.simulator, tls), Exchange(self.simulator, tls)
        self.addCleanup(self.rest.close)
        self.addCleanup(self.elsewhere.close)
        file = self.simulator.exchanges(directory, EXCHANGE)
        file.write_text(file.read_text().replace(
            f"restBaseURL: https://127.0.0.1:{self.simulator.port}", f"restBaseURL: https://127.0.0.1:{self.rest.port}"))
        self.cluster = self.enterContext(Cluster(workers=2, arguments=("--exchanges", str(file), "--log-level", "debug")))
        self.values = []

    def make(self, name, **more):
        """Applies a Secret with fresh values and returns its key."""
        key, value = secrets.token_hex(32), secrets.token_hex(32)
        self.values += [key, value]
        self.cluster.apply(secret(name, key, value, **more))
        return key

    def assigned(self):
        items = json.loads(self.cluster.kubectl("get", "depthcachereplicas", "-o", "json"))["items"]
        return {item["spec"]["workerName"]: item["spec"].get("credentialsSecretName") for item in items}

    def test_keys_follow_their_secrets_and_show_nowhere(self):
        self.cluster.apply(manifest("BTCUSDT", replicas=2))
        eventually("in sync without a key", lambda: self.cluster.ready_replicas("e2e-btcusdt") == 2)
        self.assertEqual(set(self.rest.keys), {None})
        pids = [worker["pid"] for worker in self.cluster.up["workers"]]

        # Added: existing replicas get it, and requests carry it.
        first = self.make("first")
        eventually("both workers have it", lambda: set(self.assigned().values()) == {"first"})
        role = json.loads(self.cluster.kubectl("get", "role", "fathom-worker-credentials", "-o", "json"))
        self.assertEqual([rule["resourceNames"] for rule in role["rules"]], [["first"]])
        self.wait_for_first_use(first, "ETHUSDT")

        # Changed: the new value is used, the old one never again.
        second = self.make("first")
        self.wait_for_first_use(second, "BNBUSDT")
        self.assertNotIn(first, self.rest.keys)

        # Another one moves nobody; the first one removed, its workers go over to it.
        third = self.make("other")
        listed = lambda: {item["id"]: item for item in self.cluster.get("/get_credentials_list")["credentials"]}
        eventually("it is listed", lambda: "other" in listed())
        self.assertEqual(set(self.assigned().values()), {"first"})
        self.assertEqual(listed()["other"]["assigned_dcns"], [])
        self.assertEqual(len(listed()["first"]["assigned_dcns"]), 2)
        self.assertTrue(listed()["first"]["api_key_preview"].startswith(second[:4] + "*"))
        self.cluster.kubectl("delete", "secret", "first")
        eventually("both workers have the other one", lambda: set(self.assigned().values()) == {"other"})
        self.wait_for_first_use(third, "XRPUSDT")
        self.assertNotIn(second, self.rest.keys)
        # The logs are searched at the level at which programs say most.
        log = self.cluster.directory / "logs" / f"{self.cluster.up['gateway']['name']}.log"
        self.assertIn(" DEBUG ", log.read_text())

        # A redirect is not followed, with the key or without.
        self.rest.redirect_to = self.elsewhere
        self.rest.keys.clear()
        self.cluster.apply(manifest("SOLUSDT"))
        eventually("the exchange was asked", lambda: third in self.rest.keys)
        eventually("the copy says why it waits", lambda: "302" in json.dumps(self.cluster.replicas("e2e-solusdt")))
        self.assertEqual(self.elsewhere.keys, [])
        self.rest.redirect_to = None

        # Refused by the exchange, which even repeats the key: requests go on without it.
        self.rest.refused.add(third)
        eventually("in sync without the key", lambda: self.cluster.ready_replicas("e2e-solusdt") == 1, 90)
        self.assertIn(None, self.rest.keys)

        # Sent to the gateway, rightly and wrongly: that leaves no trace either.
        key, value = secrets.token_hex(32), secrets.token_hex(32)
        self.values += [key, value]
        sent = {"account_group": EXCHANGE, "api_key": key, "api_secret": value, "debug": "true"}
        added = self.ask("POST", "/add_credentials", json.dumps(sent))
        self.assertEqual(added["result"], "OK", added)
        self.assertEqual(self.ask("GET", "/add_credentials?" + urllib.parse.urlencode(sent))["error_id"], "#1030")
        self.assertEqual(self.ask("POST", "/add_credentials?" + urllib.parse.urlencode(sent), key + value)["error_id"], "#1030")
        eventually("they are listed", lambda: added["id"] in listed())
        self.assertEqual(self.ask("POST", "/remove_credentials", json.dumps({**sent, "id": added["id"]}))["result"], "OK")

        self.assertEqual(pids, [worker["pid"] for worker in self.cluster.up["workers"]], "a worker was restarted")
        seen = everything(self.cluster)
        self.assertGreater(len(seen), 15)
        for value in self.values:
            forms = [value, base64.b64encode(value.encode()).decode().rstrip("=")]
            for place, text in seen.items():
                for form in forms:
                    self.assertNotIn(form.encode(), text, f"a value shows in {place}")
        # The test would see it: the name of the Secret is in what it looked at.
        self.assertTrue(any(b"first" in text for text in seen.values()))

    def ask(self, method, path, body=None):
        """Asks the gateway and keeps the answer in a file, for the search at the end."""
        connection = http.client.HTTPConnection(*self.cluster.gateway, timeout=15)
        connection.request(method, path, body)
        answer = connection.getresponse().read()
        (self.cluster.directory / f"answer-{secrets.token_hex(4)}").write_bytes(answer)
        return json.loads(answer)

    def wait_for_first_use(self, key, market):
        """Only workers that have read the value send it, so new markets are made until both do."""
        eventually(f"workers send the key of {market}", lambda: self.try_key(key, market), 60)

    def try_key(self, key, market):
        self.rest.keys.clear()
        self.cluster.kubectl("delete", "depthcache", f"e2e-{market.lower()}", "--ignore-not-found")
        self.cluster.apply(manifest(market, replicas=2))
        eventually(f"{market} is in sync", lambda: self.cluster.ready_replicas(f"e2e-{market.lower()}") == 2)
        return self.rest.keys and set(self.rest.keys) <= {key}


if __name__ == "__main__":
    unittest.main()
