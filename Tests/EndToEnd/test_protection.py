"""Who may do what at a gateway, over which certificate, and how much: with the programs as they are started."""

import base64
import json
import re
import secrets
import shutil
import ssl
import subprocess
import unittest
import urllib.error
import urllib.request

from byhand import ByHand, free_port
from fathom import BINARIES, EXCHANGE, eventually, manifest
from test_command_line import fathom, passed_on
from wire import Wire, connections, held, metrics, refused

MARKET = f"exchange={EXCHANGE}&market=BTCUSDT"
# To delete what is not there needs the same right, and changes nothing.
NOTHING = f"/v1/depthcaches/{EXCHANGE}/NOSUCH"


class Protected(unittest.TestCase):
    """One cluster, and gateways beside each other with settings of their own."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(ByHand(symbols=5))
        cls.cluster.controller()
        cls.cluster.worker()
        cls.made = 0

    def gateway(self, *arguments, scheme="http"):
        """Starts a gateway and waits until it is ready; returns it with `url`."""
        type(self).made += 1
        name, health = f"gateway-{type(self).made}", free_port()
        program = self.cluster.run(name, ["gateway", "--name", name, "--port", 0, "--health-port", health, *arguments,
                                          *self.cluster.common("gateway")])
        program.health = f"127.0.0.1:{health}"
        found = eventually("the gateway serves", lambda: re.search(r"Serving .*?port=(\d+)", program.text()), 60)
        program.port = int(found.group(1))
        program.url = f"{scheme}://127.0.0.1:{program.port}"
        eventually(f"{name} is ready", lambda: urllib.request.urlopen(f"http://{program.health}/readyz", timeout=5).status == 200)
        return program

    def ask(self, gateway, path, method="GET", token=None, body=None, context=None, **headers):
        """Status, headers and document of an answer."""
        request = urllib.request.Request(gateway.url + path, json.dumps(body).encode() if body is not None else None, headers, method=method)
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=15, context=context) as reply:
                return reply.status, reply.headers, json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, error.headers, json.loads(error.read() or b"null")

    def status(self, *arguments, **more):
        return self.ask(*arguments, **more)[0]

    def fathom(self, gateway, *arguments):
        done = subprocess.run([BINARIES / "fathom", *arguments, "--gateway", gateway.url], capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr


class Tokens(Protected):
    def test_a_file_of_tokens_is_followed_and_the_command_line_sends_them(self):
        manage, read = secrets.token_hex(20), secrets.token_hex(20)
        file = self.cluster.directory / "tokens"
        file.write_text(f"manage {manage}\n")
        gateway = self.gateway("--tokens-file", file)
        self.assertEqual(self.status(gateway, "/get_cluster_info"), 200)
        status, headers, answer = self.ask(gateway, f"/create_depthcache?{MARKET}")
        self.assertEqual((status, answer["error_id"], answer["event"], answer["result"]), (401, "#1043", "CREATE_DEPTHCACHE", "ERROR"))
        self.assertEqual(headers["www-authenticate"], 'Bearer realm="fathom", scope="manage"')
        status, headers, answer = self.ask(gateway, "/v1/depthcaches", "POST", body={"exchange": EXCHANGE, "market": "ETHUSDT"})
        self.assertEqual((status, answer["status"], headers["content-type"]), (401, 401, "application/problem+json"))
        self.assertEqual(self.status(gateway, f"/create_depthcache?{MARKET}", token=manage), 200)

        code, said = self.fathom(gateway, "create", "XRPUSDT")
        self.assertEqual(code, 1, said)
        self.assertIn("--token-file", said)
        mine = self.cluster.directory / "mine"
        mine.write_text(manage + "\n")
        self.assertEqual(self.fathom(gateway, "create", "XRPUSDT", "--token-file", str(mine))[0], 0)
        self.assertEqual(self.fathom(gateway, "delete", "XRPUSDT", "--token-file", str(mine))[0], 0)

        # The token is taken back, a lesser one is given out, and a slip in between changes nothing.
        file.write_text("nonsense\n")
        eventually("the slip is told", lambda: "the last ones stay" in gateway.text())
        self.assertEqual(self.status(gateway, NOTHING, "DELETE", token=manage), 404)
        file.write_text(f"read {read}\n")
        eventually("the old token is worthless", lambda: self.status(gateway, f"/stop_depthcache?{MARKET}", token=manage) == 401)
        self.assertEqual(self.status(gateway, f"/stop_depthcache?{MARKET}", token=read), 403)
        self.assertGreaterEqual(refused(gateway.health, "token"), 4)
        for token in (manage, read):
            self.assertNotIn(token, gateway.text())

    def test_through_the_kubernetes_api_the_command_line_reaches_a_gateway_with_tls_that_wants_tokens(self):
        self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest("BNBUSDT")))
        folder = self.cluster.directory / "proxied"
        folder.mkdir()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=x",
                        "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)
        token = secrets.token_hex(20)
        (folder / "tokens").write_text(f"read {token}\n")
        (folder / "mine").write_text(token)
        gateway = self.gateway("--tls-cert-file", folder / "cert.pem", "--tls-key-file", folder / "key.pem",
                               "--tokens-file", folder / "tokens", "--anonymous", "none", scheme="https")
        where = ["--namespace", "books"]
        with passed_on(("127.0.0.1", gateway.port), "https") as (kubeconfig, server):
            refused = fathom("book", "BNBUSDT", "--once", *where, KUBECONFIG=kubeconfig, cwd="/")
            self.assertEqual(refused.returncode, 1, refused.stdout)
            self.assertIn("needs a token that may read", refused.stderr)
            self.assertIn("say --token-file FILE", refused.stderr)

            def lines():
                done = fathom("book", "BNBUSDT", "--once", *where, "--token-file", folder / "mine", KUBECONFIG=kubeconfig, cwd="/")
                if done.returncode != 0:
                    raise ValueError(done.stderr)
                return done.stdout.splitlines()
            self.assertEqual(len(eventually("the book is read", lines)), 21)
            server.gateway = ("127.0.0.1", free_port())
            away = fathom("book", "BNBUSDT", "--once", *where, KUBECONFIG=kubeconfig, cwd="/")
            self.assertIn("no gateway answers behind the Service", away.stderr)

    def test_a_secret_of_tokens_comes_changes_and_goes(self):
        gateway = self.gateway("--tokens-secret", "fathom-tokens")
        stop = NOTHING
        token, other = secrets.token_hex(20), secrets.token_hex(20)
        self.assertEqual(self.status(gateway, stop, "DELETE", token=token), 401)
        self.cluster.kubectl("create", "secret", "generic", "fathom-tokens", f"--from-literal=manage={token}")
        eventually("the token is known", lambda: self.status(gateway, stop, "DELETE", token=token) == 404)
        self.cluster.kubectl("patch", "secret", "fathom-tokens", "-p", json.dumps({"stringData": {"manage": other}}))
        eventually("the token has changed", lambda: self.status(gateway, stop, "DELETE", token=other) == 404)
        self.assertEqual(self.status(gateway, stop, "DELETE", token=token), 401)
        self.cluster.kubectl("delete", "secret", "fathom-tokens")
        eventually("the token is gone", lambda: self.status(gateway, stop, "DELETE", token=other) == 401)

    def test_nothing_without_a_token(self):
        token = secrets.token_hex(20)
        file = self.cluster.directory / "all"
        file.write_text(f"read {token}\n")
        gateway = self.gateway("--tokens-file", file, "--anonymous", "none")
        for path in ("/test", f"/get_asks?{MARKET}", "/v1/cluster", "/openapi.json"):
            self.assertEqual(self.status(gateway, path), 401)
            self.assertEqual(self.status(gateway, path, token=token), 200)
        # The ports of health and metrics are another matter.
        self.assertEqual(connections(gateway.health), 0)

    def test_all_interfaces_leave_reading_open_and_nothing_else(self):
        gateway = self.gateway("--host", "0.0.0.0")
        self.assertEqual(self.status(gateway, "/get_cluster_info"), 200)
        self.assertEqual(self.status(gateway, f"/stop_depthcache?{MARKET}"), 401)
        gateway = self.gateway("--host", "0.0.0.0", "--anonymous", "manage")
        self.assertEqual(self.status(gateway, NOTHING, "DELETE"), 404)

    def test_a_broken_file_of_tokens_ends_the_start(self):
        file = self.cluster.directory / "broken"
        file.write_text("manage short\n")
        program = self.cluster.run("refusing", ["gateway", "--port", 0, "--tokens-file", file, *self.cluster.common("gateway")])
        self.assertNotEqual(program.await_end(30), 0)
        self.assertIn("line 1: expected a token of at least 16", program.text())


class Certificates(Protected):
    def authority(self, name):
        """A certificate for 127.0.0.1, its key and its authority, from an embedded API server of its own."""
        folder = self.cluster.directory / name
        program = self.cluster.run(name, ["apiserver", "--port", 0, "--data-dir", folder])
        config = eventually("its kubeconfig", lambda: (folder / "kubeconfig").read_text(), 30)
        program.signal(2)
        program.await_end(20)
        data = base64.b64decode(re.search(r'certificate-authority-data"?: *"?([A-Za-z0-9+/=]+)', config)[1])
        (folder / "ca.pem").write_bytes(data)
        return folder

    def test_a_new_certificate_is_taken_up_without_dropping_a_connection(self):
        one, other = self.authority("one"), self.authority("other")
        cert, key = self.cluster.directory / "tls.crt", self.cluster.directory / "tls.key"

        def put(source, what="serving"):
            shutil.copy(source / "serving.pem", cert)
            shutil.copy((source if what == "serving" else one) / "serving-key.pem", key)

        put(one)
        gateway = self.gateway("--tls-cert-file", cert, "--tls-key-file", key, scheme="https")
        trust = {folder.name: ssl.create_default_context(cafile=str(folder / "ca.pem")) for folder in (one, other)}
        self.assertEqual(self.status(gateway, "/test", context=trust["one"]), 200)
        self.assertGreater(metrics(gateway.health)["fathom_gateway_certificate_expiry_timestamp_seconds"], 1.7e9)
        code, said = self.fathom(gateway, "status", "--ca-file", str(one / "ca.pem"))
        self.assertEqual(code, 0, said)
        self.assertNotEqual(self.fathom(gateway, "status", "--ca-file", str(other / "ca.pem"))[0], 0)

        with Wire(("127.0.0.1", gateway.port)) as open_one:
            open_one.socket = trust["one"].wrap_socket(open_one.socket, server_hostname="127.0.0.1")
            request = b"GET /test HTTP/1.1\r\nHost: localhost\r\n\r\n"
            open_one.send(request)
            self.assertEqual(open_one.answer()[0], 200)
            # A certificate whose key has not come: the old one stays.
            put(other, "mixed")
            failed = 'fathom_gateway_certificate_reloads_total{outcome="failed"}'
            eventually("the failure is counted", lambda: metrics(gateway.health)[failed] >= 1)
            self.assertIn("Certificate cannot be read, the last one stays", gateway.text())
            self.assertEqual(self.status(gateway, "/test", context=trust["one"]), 200)
            put(other)
            eventually("the new one is served", lambda: self.status(gateway, "/test", context=trust["other"]) == 200)
            with self.assertRaises(urllib.error.URLError):
                self.status(gateway, "/test", context=trust["one"])
            open_one.send(request)
            self.assertEqual(open_one.answer()[0], 200)
        self.assertEqual(metrics(gateway.health)['fathom_gateway_certificate_reloads_total{outcome="ok"}'], 1)

    def test_plain_requests_and_rubbish_get_no_answer_and_harm_nobody(self):
        folder = self.authority("third")
        gateway = self.gateway("--tls-cert-file", folder / "serving.pem", "--tls-key-file", folder / "serving-key.pem", scheme="https")
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 70000, b"\0" * 3):
            with Wire(("127.0.0.1", gateway.port)) as wire:
                wire.send(data)
                wire.socket.shutdown(1)
                self.assertTrue(wire.is_ended())
                self.assertNotIn(b"HTTP/1.1", wire.rest)
        self.assertEqual(self.status(gateway, "/test", context=ssl.create_default_context(cafile=str(folder / "ca.pem"))), 200)
        eventually("no connection is left", lambda: connections(gateway.health) == 0)


class Limits(Protected):
    def test_a_client_that_asks_too_often_is_told_when_to_come_back(self):
        gateway = self.gateway("--request-rate", 5, "--trusted-proxies", "127.0.0.0/8")

        def flood(path, client):
            answers = [self.ask(gateway, path, **{"X-Forwarded-For": client}) for _ in range(30)]
            return [answer for answer in answers if answer[0] == 429]

        (status, headers, answer), *_ = flood("/get_cluster_info", "203.0.113.1")
        self.assertEqual((headers["retry-after"], answer["error_id"], answer["event"]), ("1", "#1044", "GET_CLUSTER_INFO"))
        (status, headers, answer), *_ = flood("/v1/cluster", "203.0.113.2")
        self.assertEqual((headers["retry-after"], answer["status"], headers["content-type"]), ("1", 429, "application/problem+json"))
        self.assertEqual(self.status(gateway, "/get_cluster_info", **{"X-Forwarded-For": "203.0.113.3"}), 200)
        self.assertGreater(refused(gateway.health, "rate"), 10)
        # One line a minute, however many are refused.
        self.assertEqual(gateway.text().count("limit=rate"), 1)

    def test_a_header_says_who_the_client_is_only_for_a_trusted_proxy(self):
        gateway = self.gateway("--request-rate", 5)
        statuses = {self.status(gateway, "/test", **{"X-Forwarded-For": f"203.0.113.{number}"}) for number in range(30)}
        self.assertEqual(statuses, {200, 429})

    def test_connections_of_one_client_and_of_all(self):
        for arguments, limit in ((("--max-connections", 3), "connections"), (("--max-connections-per-client", 3), "client_connections")):
            gateway = self.gateway(*arguments)
            place = ("127.0.0.1", gateway.port)
            wires = [Wire(place) for _ in range(3)]
            eventually("three are open", lambda: connections(gateway.health) == 3)
            with Wire(place) as further:
                self.assertTrue(further.is_ended())
            self.assertEqual(refused(gateway.health, limit), 1)
            for wire in wires:
                wire.send(b"GET /test HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertEqual(wire.answer()[0], 200)
                wire.socket.close()
            eventually("there is room again", lambda: self.status(gateway, "/test") == 200)

    def test_sizes_and_times_are_what_the_settings_say(self):
        gateway = self.gateway("--max-header-bytes", 4096, "--max-body-bytes", 1024, "--request-timeout-seconds", 1, "--idle-timeout-seconds", 1)
        place = ("127.0.0.1", gateway.port)
        for data, status in ((b"GET /?" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", 431), (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n", 413),
                             (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab", 408), (b"GET / HT", 408)):
            with Wire(place) as wire:
                wire.send(data)
                self.assertEqual(wire.answer()[0], status)
                self.assertTrue(wire.is_ended())
        with Wire(place) as idle:
            self.assertTrue(idle.is_ended())

    def test_memory_for_slow_clients_is_bounded(self):
        gateway = self.gateway("--max-held-mib", 1, "--max-body-bytes", 1 << 20)
        place = ("127.0.0.1", gateway.port)
        head = b"POST /create_depthcaches HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\n\r\n"
        with Wire(place) as one, Wire(place) as other:
            for wire in (one, other):
                wire.send(head + b" " * 800000)
            eventually("one is refused", lambda: refused(gateway.health, "memory") >= 1)
            self.assertEqual(self.status(gateway, "/test"), 200)
        eventually("it is given back", lambda: held(gateway.health) == 0)


class Pages(Protected):
    def test_pages_of_other_origins_are_let_in_by_name(self):
        board, other = "https://board.example", "https://other.example"
        gateway = self.gateway("--cors-origins", board)
        answer = self.ask(gateway, "/test", Origin=board)
        self.assertEqual((answer[0], answer[1]["access-control-allow-origin"], answer[1]["vary"]), (200, board, "origin"))
        self.assertIsNone(self.ask(gateway, "/test", Origin=other)[1]["access-control-allow-origin"])
        status, headers, _ = self.ask(gateway, "/v1/depthcaches", "OPTIONS", Origin=board, **{"Access-Control-Request-Method": "POST"})
        self.assertEqual((status, headers["access-control-allow-origin"]), (204, board))
        self.assertIn("authorization", headers["access-control-allow-headers"])
        delete = NOTHING
        self.assertEqual(self.status(gateway, delete, "DELETE", Origin=board, **{"Sec-Fetch-Site": "cross-site"}), 404)
        self.assertEqual(self.status(gateway, delete, "DELETE", Origin=other), 403)

    def test_without_the_setting_no_page_is_let_in(self):
        gateway = self.gateway()
        status, headers, _ = self.ask(gateway, "/get_cluster_info", "OPTIONS", Origin="https://board.example",
                                      **{"Access-Control-Request-Method": "GET"})
        self.assertEqual((status, headers["access-control-allow-origin"]), (405, None))


class Settings(Protected):
    def test_settings_that_cannot_be_are_told_all_at_once(self):
        program = self.cluster.run("wrong", ["gateway", "--tokens-file", self.cluster.link_key, "--tokens-secret", "x",
                                             "--tls-cert-file", self.cluster.link_key,
                                             "--cors-origins", "board.example", "--trusted-proxies", "10.0.0.0/40", "--anonymous", "all",
                                             *self.cluster.common("gateway")])
        self.assertEqual(program.await_end(30), 2)
        for words in ("exclude each other", "--tls-key-file", "'board.example'", "'10.0.0.0/40'", "'all'"):
            self.assertIn(words, program.text())


if __name__ == "__main__":
    unittest.main()
