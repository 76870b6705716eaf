"""Requests that no client should send: each ends in an answer or a close, and nobody else notices."""

import hashlib
import json
import random
import resource
import socket
import struct
import time
import unittest
import urllib.parse

from fathom import EXCHANGE, Cluster, Load, eventually, manifest
from wire import Wire, ask, connections, held, metrics, refused, resident, well_formed

ASKS = f"/get_asks?exchange={EXCHANGE}&market=BTCUSDT&limit_count=2"
GET = f"GET {ASKS} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


class Hostile(unittest.TestCase):
    """A cluster with one book; after each test it answers, all processes are the same, and no connection is left."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=1, simulator=["--symbols", 5]))
        cls.cluster.apply(manifest("BTCUSDT", depth=1000))
        cls.cluster.kubectl("wait", "--for=condition=Ready", "depthcaches", "--all", "--timeout=90s", timeout=120)
        cls.front = cls.cluster.up["gateway"]
        cls.health = f"127.0.0.1:{cls.front['healthPort']}"
        cls.pids = {name: cls.cluster.up[name]["pid"] for name in ("gateway", "controller")}
        cls.pids["worker"] = cls.cluster.up["workers"][0]["pid"]

    def tearDown(self):
        self.assertEqual(self.cluster.levels("asks", "BTCUSDT", limit_count=1)["result"], "OK")
        up = self.cluster.up
        now = {"gateway": up["gateway"]["pid"], "controller": up["controller"]["pid"], "worker": up["workers"][0]["pid"]}
        self.assertEqual(now, self.pids, "a program has ended and was started again")
        eventually("no connection is left", lambda: connections(self.health) == 0)
        self.assertEqual(held(self.health), 0)

    def ask(self, data, **options):
        return ask(self.cluster.gateway, data, **options)


class Framing(Hostile):
    def test_requests_in_single_bytes_and_many_in_one_piece(self):
        with Wire(self.cluster.gateway) as wire:
            for byte in GET:
                wire.send(bytes([byte]))
            self.assertEqual(json.loads(wire.answer()[2])["result"], "OK")
            body = json.dumps({"exchange": EXCHANGE, "market": "NOSUCH"}).encode()
            head = f"POST /v1/depthcaches HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            for byte in head + body:
                wire.send(bytes([byte]))
            self.assertIn(wire.answer()[0], (400, 422))
            wire.send(GET * 300)
            for _ in range(300):
                self.assertEqual(wire.answer()[0], 200)

    def test_what_is_too_large_is_refused(self):
        for data, status, limit in [
            (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (200 << 10) + b"\r\n\r\n", 431, "head_size"),
            (b"GET /?" + b"x" * (200 << 10) + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431, "head_size"),
            (b"POST /create_depthcaches HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n", 413, "body_size"),
        ]:
            before = refused(self.health, limit)
            answer = self.ask(data)
            # While a client still sends, the refusal may be lost with the connection.
            if answer is not None or status == 413:
                self.assertEqual(answer[0], status)
                self.assertIsNone(well_formed(*answer))
            eventually(f"{limit} is counted", lambda: refused(self.health, limit) == before + 1, 10)

    def test_what_could_be_read_in_two_ways_is_refused_and_ends_the_connection(self):
        """Whoever hides a request in another one is a danger to all behind the same proxy."""
        hidden = GET
        for head in [
            "Content-Length: 4\r\nTransfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nContent-Length: 4",
            "Content-Length: 4\r\nContent-Length: 40", "Content-Length: 4\r\ncontent-length: 4", "Content-Length: 4, 4",
            "Content-Length: +4", "Content-Length: 0x4", "Content-Length: ", "Content-Length : 4", "Transfer-Encoding: xchunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding:\tchunked", " Content-Length: 4",
            "A: b\rContent-Length: 4", "\rContent-Length: 40", "\rTransfer-Encoding: chunked", "A: b\0c", "A: b\x01c", "A\0: b", "no colon", ": nameless", "A: b\r\n folded",
        ]:
            with self.subTest(head=head), Wire(self.cluster.gateway) as wire:
                wire.send(f"POST /create_depthcaches HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode() + b"0\r\n\r\n" + hidden)
                status, headers, body = wire.answer()
                self.assertIn(status, (400, 411))
                self.assertIsNone(well_formed(status, headers, body))
                self.assertEqual(headers["connection"], "close")
                self.assertTrue(wire.is_ended())
                self.assertNotIn(b"HTTP/1.1 200", wire.rest)

    def test_what_is_no_request_is_refused_or_closed(self):
        random_bytes = random.Random(7)
        pieces = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0" * 64, b"GET\r\n\r\n",
                  b"GET / HTTP/3.0\r\n\r\n", b"GET /\x7f HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1 \r\n\r\n", b"\xff\xfe\r\n\r\n"]
        pieces += [random_bytes.randbytes(random_bytes.randrange(1, 3000)) + b"\r\n\r\n" for _ in range(200)]
        for piece in pieces:
            with Wire(self.cluster.gateway) as wire:
                wire.send(piece)
                wire.socket.shutdown(socket.SHUT_WR)
                answer = wire.answer()
                if answer is not None:
                    self.assertIn(answer[0], (400, 404, 405), piece[:80])

    def test_half_closed_connections(self):
        with Wire(self.cluster.gateway) as wire:
            wire.send(GET[:20])
            wire.socket.shutdown(socket.SHUT_WR)
            self.assertIsNone(wire.answer())
        with Wire(self.cluster.gateway) as wire:
            wire.socket.shutdown(socket.SHUT_WR)
            self.assertIsNone(wire.answer())
        # Gone without a word, in the middle of anything.
        for cut in range(0, len(GET), 7):
            wire = Wire(self.cluster.gateway)
            wire.send(GET[:cut])
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wire.socket.close()


class Slowness(Hostile):
    def test_slow_senders_are_cut_off(self):
        """They trickle for as long as they are let, and others do not wait for them."""
        before = refused(self.health, "slow_sender")
        with Wire(self.cluster.gateway) as head, Wire(self.cluster.gateway) as body, Load(self.cluster, ASKS, rate=50) as load:
            body.send(b"POST /create_depthcaches HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
            head.send(b"GET / HTTP/1.1\r\nX: ")

            def trickle():
                head.send(b"x")
                body.send(b" ")
                return refused(self.health, "slow_sender") >= before + 2

            eventually("both are cut off", trickle, 40, pause=0.2)
            for wire in (head, body):
                answer = wire.answer()
                self.assertTrue(answer is None or answer[0] == 408)
        self.assertEqual(load.failures, [])

    def test_slow_readers_are_cut_off_and_slow_nobody_down(self):
        before = refused(self.health, "slow_reader")
        whole = f"GET /v1/books/{EXCHANGE}/BTCUSDT HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() * 5000
        wires = [Wire(self.cluster.gateway, receive_buffer=4096) for _ in range(4)]
        with Load(self.cluster, ASKS, rate=50) as load:
            for wire in wires:
                wire.socket.settimeout(1)
                try:
                    wire.send(whole)
                except TimeoutError:
                    pass
            eventually("all are cut off", lambda: refused(self.health, "slow_reader") >= before + 4, 60)
        for wire in wires:
            wire.socket.close()
        # A worker on a busy machine may find its own loop late, and says so; that is no slow reader's doing.
        self.assertEqual([failure for failure in load.failures if "LoopStalled" not in str(failure)], [])
        self.assertLess(load.longest_gap, 5)


class Crowd(Hostile):
    def test_5000_idle_connections_while_queries_are_answered(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < 6000:
            self.skipTest(f"needs 6000 descriptors, has {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 6000), hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        memory = resident(self.pids["gateway"])
        with Load(self.cluster, ASKS, rate=100) as load:
            crowd = [socket.create_connection(self.cluster.gateway, timeout=30) for _ in range(5000)]
            eventually("all are open", lambda: connections(self.health) >= 5000, 30)
            reached = load.answers
            eventually("queries go on", lambda: load.answers >= reached + 300, 60)
            grown = resident(self.pids["gateway"]) - memory
            for each in crowd:
                each.close()
        self.assertEqual(load.failures, [])
        self.assertLess(grown, 100, "MiB for 5000 connections")


class Parameters(Hostile):
    """Every parameter of every endpoint gets values that no client should send."""

    NASTY = ["", "None", "null", "0", "-1", "1", "2.5", "1e400", "nan", "inf", "-0", "٣", "9" * 400, "0x10", "true", "a" * 300, "BTCUSDT",
             EXCHANGE, "binance.org", "../../etc", "%00", "%", "%zz", "%c3%28", "<script>", "'\"\\", "{}", "[]", "a,b,,c", ",", "all", "é漢🙂",
             "\u202e", "a b", "a+b", "a&b=c", "#", "a;b", "$(x)", "\n", "\r\nX: y", "{\"a\":1}", "-9223372036854775809", "18446744073709551616"]
    PATHS = ["/create_depthcache", "/create_depthcaches", "/get_asks", "/get_bids", "/get_depthcache_info", "/stop_depthcache",
             "/get_cluster_info", "/get_depthcache_list", "/get_credentials_list", "/add_credentials", "/remove_credentials", "/test",
             "/ubdcc_add_credentials", "/v1/audits", "/shutdown", "/ubdcc_mgmt_backup", "/nothing", "/v1/", "/v1/nothing", "/v1/books",
             "/v1/depthcaches", "/v1/cluster", "/openapi.json"]
    NAMES = ["exchange", "market", "markets", "desired_quantity", "update_interval", "refresh_interval", "limit_count", "threshold_volume",
             "debug", "id", "account_group", "api_key", "api_secret", "limit", "threshold", "min_update_id", "replicas", "depth", "unknown"]

    def target(self, rng):
        if rng.random() < 0.35:
            names = [rng.choice([EXCHANGE, *self.NASTY]), rng.choice(["ETHUSDT", *self.NASTY])]
            path = rng.choice(["/v1/books/", "/v1/depthcaches/"]) + "/".join(urllib.parse.quote(name, safe=rng.choice(["", "/"])) for name in names)
        else:
            path = rng.choice(self.PATHS)
        pairs = [(rng.choice(self.NAMES), rng.choice(self.NASTY)) for _ in range(rng.randrange(6))]
        if rng.random() < 0.5:
            pairs = [("exchange", EXCHANGE), ("market", rng.choice(["ETHUSDT", "XRPUSDT"]))] + pairs
        query = "&".join(f"{name}={value if rng.random() < 0.1 and value.isascii() and value.isprintable() and ' ' not in value else urllib.parse.quote(value)}"
                         for name, value in pairs)
        return f"{path}?{query}" if query else path

    def body(self, rng):
        if rng.random() < 0.3:
            return rng.choice([b"", b"{", b"[]", b"null", b"1", b'"x"', b"{\"a\":}", b"\xff\xfe", b"[" * 5000, b'{"a":' * 3000, b"{}x", rng.randbytes(200)])
        values = [*self.NASTY, None, True, 1, -1, 2.5, 1e308, [], {}, [None], ["ETHUSDT", 5], ["ETHUSDT"] * 50, {"a": {"b": []}}, 10**30]
        document = {rng.choice(self.NAMES): rng.choice(values) for _ in range(rng.randrange(7))}
        if rng.random() < 0.5:
            document |= {"exchange": EXCHANGE, "market": "ETHUSDT"}
        return json.dumps(document).encode()

    def test_thousands_of_random_requests_are_answered_well(self):
        seed = 20261121
        rng = random.Random(seed)
        wire, memory, statuses = None, None, {}
        documented_5xx = {503: {"#4000", "#5000", "#6000", "#9000", "#1014"}, 500: set(), 504: set()}
        for number in range(6000):
            if number == 1000:
                memory = resident(self.pids["gateway"])
            wire = wire or Wire(self.cluster.gateway)
            method = rng.choice(["GET", "GET", "GET", "POST", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "TRACE", "X"])
            body = self.body(rng) if method in ("POST", "PATCH", "PUT") else b""
            target = self.target(rng)
            extra = rng.choice(["", "", "", "If-None-Match: *\r\n", "If-None-Match: \"x\"\r\n", "Authorization: Bearer x\r\n", "Origin: null\r\n",
                                "X-Forwarded-For: 1.2.3.4\r\n", "Expect: 100-continue\r\n" if body else "", "Accept: nothing\r\n"])
            head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{extra}"
            if body:
                head += f"Content-Length: {len(body)}\r\n"
            what = f"request {number} of seed {seed}: {method} {target} {body[:200]!r}"
            wire.send(head.encode() + b"\r\n" + body)
            answer = wire.answer(head_only=method == "HEAD")
            while answer and answer[0] == 100:
                answer = wire.answer()
            self.assertIsNotNone(answer, what)
            status, headers, text = answer
            statuses[status] = statuses.get(status, 0) + 1
            if method != "HEAD" and not (status == 204 and method == "OPTIONS"):
                self.assertIsNone(well_formed(*answer), what)
            if status >= 500:
                self.assertIn(status, documented_5xx, what)
                if text:
                    self.assertIn(json.loads(text)["error_id"], documented_5xx[status], what)
            if headers.get("connection") == "close":
                wire.socket.close()
                wire = None
        if wire:
            wire.socket.close()
        self.assertGreater(statuses[200], 500, statuses)
        self.assertGreater(statuses[400], 100, statuses)
        self.assertLess(resident(self.pids["gateway"]) - memory, 40, "MiB grown over 5000 requests")
        # What was made by the way goes again, so that the others find one book.
        for cache in json.loads(self.cluster.kubectl("get", "depthcaches", "-o", "json"))["items"]:
            if cache["spec"]["market"] != "BTCUSDT":
                self.cluster.kubectl("delete", "depthcache", cache["metadata"]["name"])


def masked(payload, opcode=2):
    """A frame of a WebSocket client."""
    key = b"\x01\x02\x03\x04"
    length = len(payload)
    size = bytes([0x80 | length]) if length < 126 else b"\xfe" + struct.pack(">H", length) if length < 1 << 16 else b"\xff" + struct.pack(">Q", length)
    return bytes([0x80 | opcode]) + size + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


class WorkerLink(Hostile):
    """The worker's port, at which gateways and other workers ask."""

    def setUp(self):
        self.place = ("127.0.0.1", self.cluster.up["workers"][0]["port"])

    def link(self):
        wire = Wire(self.place)
        wire.send(b"GET /link/v1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        while b"\r\n\r\n" not in wire.rest:
            self.assertTrue(wire.receive())
        self.assertIn(b" 101 ", wire.rest)
        wire.rest = wire.rest.partition(b"\r\n\r\n")[2]
        return wire

    @staticmethod
    def frame(kind, payload=b"", number=0, length=None):
        return struct.pack("<IBQ", 9 + len(payload) if length is None else length, kind, number) + payload

    @staticmethod
    def hello(name=b"intruder", version=1):
        texts = b"".join(struct.pack("<H", len(text)) + text for text in (name, b"uid", b"incarnation"))
        return bytes([version]) + hashlib.sha256(b"nonce").digest() + b"\x02" + texts

    def test_malformed_frames_end_their_link_and_nothing_else(self):
        rng = random.Random(11)
        hello = self.frame(1, self.hello())
        messages = [
            [b""], [b"\0"], [hello[:10]], [self.frame(1, length=0)], [self.frame(1, length=0xFFFFFFFF)], [self.frame(1, length=9 + (9 << 20))],
            [self.frame(1, b"\x01" * 9000)], [self.frame(1, self.hello(version=2))], [self.frame(1, self.hello(b"x" * 3000))],
            [self.frame(16, b"\x01\x00" * 20, 1)], [self.frame(3, b"\0" * 32)], [self.frame(6)], [hello, hello], [hello, self.frame(3)],
            [hello, self.frame(3, b"\0" * 32)], [hello, self.frame(3, b"\xff" * 64)], [hello, self.frame(3, b"\0" * 31)],
            [hello, self.frame(16, b"\x01\x00" * 20, 1)], [hello + self.frame(3, b"\0" * 32) + self.frame(16, b"x", 1)],
        ]
        messages += [[rng.randbytes(rng.randrange(1, 2000))] for _ in range(100)]
        with Load(self.cluster, ASKS, rate=50) as load:
            for message in messages:
                with self.subTest(message=[part[:40] for part in message]), self.link() as wire:
                    for part in message:
                        wire.send(masked(part))
                    wire.send(masked(b"text", opcode=1))
                    self.assertTrue(wire.is_ended())
                    # No welcome, and no answer of the application.
                    self.assertNotIn(b"result", wire.rest)
            for raw in [b"\x82\x05hello", b"\xc2\x80\0\0\0\0", b"\x80\x80\0\0\0\0", b"\x82\xff" + b"\xff" * 8 + b"\0\0\0\0", rng.randbytes(5000)]:
                with self.link() as wire:
                    wire.send(raw)
                    wire.socket.shutdown(socket.SHUT_WR)
                    self.assertTrue(wire.is_ended())
        self.assertEqual(load.failures, [])
        self.assertGreater(metrics("%s:%d" % self.place)["fathom_worker_refused_links_total"], 100)
        log = "".join(path.read_text() for path in (self.cluster.directory / "logs").glob("*worker*"))
        self.assertIn("Refused link with a wrong key", log)

    def test_a_silent_link_is_ended(self):
        with self.link() as wire:
            start = time.monotonic()
            self.assertTrue(wire.is_ended())
            self.assertLess(time.monotonic() - start, 20)


if __name__ == "__main__":
    unittest.main()
