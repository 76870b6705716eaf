"""The command line against a running cluster: for scripts, and in a real terminal."""

import contextlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import unittest
import urllib.error
import urllib.request
from decimal import Decimal

from fathom import BINARIES, EXCHANGE, ROOT, Cluster, Load, children_of, eventually
from terminal import Terminal

FATHOM = str(BINARIES / "fathom")
KEY, SECRET = "k3yAbCdEfGhIjKlMnOpQrStUv", "s3cretZyXwVuTsRqPoNmLkJi"


def plain_environment(**more):
    """The variables of this process without those that point to a cluster."""
    base = {name: value for name, value in os.environ.items() if not name.startswith(("FATHOM_", "KUBE"))}
    return {**base, "HOME": "/nonexistent", **more}


def fathom(*arguments, stdin="", timeout=120, cwd=None, **environment):
    """Runs the binary to its end, with pipes instead of a terminal."""
    return subprocess.run([FATHOM, *map(str, arguments)], input=stdin, capture_output=True, text=True, timeout=timeout,
                          cwd=cwd, env=plain_environment(**environment))


class PassOn(http.server.BaseHTTPRequestHandler):
    """The part of a Kubernetes API that passes requests on to a Service, in front of a real gateway."""

    prefix = "/api/v1/namespaces/books/services"

    def do_GET(self):
        scheme = self.server.scheme
        through = f"{self.prefix}/{scheme}:fathom-gateway:{scheme}/proxy"
        if self.headers["authorization"] != "Bearer letmein":
            return self.answer(401, b'{"kind":"Status","code":401,"message":"who are you"}')
        if self.path.startswith(through + "/"):
            url = f"{scheme}://127.0.0.1:{self.server.gateway[1]}{self.path[len(through):]}"
            # As the real one: its own authorization stays here, other headers go on, and certificates are not looked at.
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("authorization", "host")}
            try:
                with urllib.request.urlopen(urllib.request.Request(url, headers=headers, method=self.command), timeout=70,
                                            context=ssl._create_unverified_context()) as reply:
                    status, body = 200, reply.read()
            except urllib.error.HTTPError as error:
                status, body = error.code, error.read()
            except OSError:
                status, body = 503, b'{"kind":"Status","code":503,"message":"no endpoints available"}'
            # Who asks for both sides of a book may have gone when the first was refused.
            with contextlib.suppress(BrokenPipeError):
                self.answer(status, body)
            return None
        if self.path.startswith(self.prefix + "?"):
            self.server.selectors.append(self.path)
            port = json.dumps({"items": [{"metadata": {"name": "fathom-gateway"}, "spec": {"ports": [{"name": scheme}]}}]})
            return self.answer(200, port.encode())
        return self.answer(404, b'{"kind":"Status","code":404,"reason":"NotFound","message":"not here"}')

    do_POST = do_GET

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def passed_on(gateway, scheme="http"):
    """A kubeconfig for a Kubernetes API that passes on to the gateway at this address, and the server behind it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), PassOn)
    server.gateway, server.scheme, server.selectors = gateway, scheme, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(json.dumps({
            "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "users": [{"name": "u", "user": {"token": "letmein"}}]}))
        file.flush()
        try:
            yield file.name, server
        finally:
            server.shutdown()
            server.server_close()


class Scripts(unittest.TestCase):
    """One cluster, asked by programs: tabs, JSON, exit codes."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=2, simulator=["--symbols", 8]))
        cls.here = ["--data-dir", str(cls.cluster.directory)]
        made = fathom("create", "BTCUSDT", "ETHUSDT", "--replicas", 2, "--wait", *cls.here)
        assert made.returncode == 0, made.stderr
        assert sorted(made.stdout.splitlines()) == ["all in sync", "binance.com BTCUSDT created",
                                                    "binance.com ETHUSDT created"], made.stdout

    def run_ok(self, *arguments, **options):
        done = fathom(*arguments, *self.here, **options)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        return done.stdout

    def test_get_lists_with_tabs_and_as_json(self):
        lines = [line.split("\t") for line in self.run_ok("get").splitlines()]
        self.assertEqual(lines[0], ["EXCHANGE", "MARKET", "READY", "STATE", "REASON", "AGE"])
        self.assertEqual([line[:5] for line in lines[1:3]], [["binance.com", "BTCUSDT", "2/2", "Ready", "-"],
                                                             ["binance.com", "ETHUSDT", "2/2", "Ready", "-"]])
        [row] = json.loads(self.run_ok("get", "ethusdt", "-o", "json"))
        self.assertEqual((row["market"], row["replicas"], row["ready_replicas"], row["state"]), ("ETHUSDT", 2, 2, "Ready"))
        self.assertTrue(row["name"].startswith("binance-com-ethusdt-"))
        missing = fathom("get", "NOPE", *self.here)
        self.assertEqual((missing.returncode, missing.stderr), (1, "fathom get: no DepthCache for NOPE\n"))

    def test_create_and_delete_say_what_was_refused(self):
        self.assertEqual(self.run_ok("create", "BNBUSDT"), "binance.com BNBUSDT created\n")
        again = fathom("create", "BNBUSDT", "XRPUSDT", *self.here)
        self.assertEqual((again.returncode, again.stdout), (1, "binance.com XRPUSDT created\n"))
        self.assertRegex(again.stderr, "BNBUSDT.*already exists")
        unknown = fathom("create", "NOSUCHMARKET", *self.here)
        self.assertEqual(unknown.returncode, 1)
        self.assertIn("NOSUCHMARKET", unknown.stderr)
        self.assertEqual(sorted(self.run_ok("delete", "BNBUSDT", "XRPUSDT").splitlines()),
                         ["binance.com BNBUSDT deleted", "binance.com XRPUSDT deleted"])
        gone = fathom("delete", "BNBUSDT", *self.here)
        self.assertEqual(gone.returncode, 1)
        self.assertIn("BNBUSDT", gone.stderr)

    def interrupted(self, number, first_line, *arguments):
        """The exit code after a signal, sent as soon as the first line is there."""
        with contextlib.ExitStack() as stack:
            process = stack.enter_context(subprocess.Popen(
                [FATHOM, *map(str, arguments), *self.here], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                env=plain_environment()))
            stack.callback(process.kill)
            self.assertRegex(process.stdout.readline(), first_line)
            process.send_signal(number)
            return process.wait(30)

    def test_only_what_runs_until_it_is_told_to_end_is_done_then(self):
        for number, code, market in ((signal.SIGINT, 130, "SIM0006USDT"), (signal.SIGTERM, 143, "SIM0007USDT")):
            with self.subTest(number=number):
                # More copies than workers: it would wait for long.
                create = ("create", market, "--replicas", 3, "--wait")
                self.assertEqual(self.interrupted(number, f"binance.com {market} created", *create), code)
                self.run_ok("delete", market)
                self.assertEqual(self.interrupted(number, '"BTCUSDT"', "book", "BTCUSDT", "-o", "json"), 0)

    def test_through_kubernetes_alone(self):
        where = ["--kubeconfig", self.cluster.directory / "kubeconfig"]
        self.assertEqual(fathom("create", "SOLUSDT", "--depth", 20, "--wait", *where).returncode, 0)
        [row] = json.loads(fathom("get", "SOLUSDT", "-o", "json", *where).stdout)
        self.assertEqual(self.cluster.cache(row["name"])["spec"]["depth"], 20)
        again = fathom("create", "SOLUSDT", *where)
        self.assertEqual(again.returncode, 1)
        self.assertIn("already exists", again.stderr)
        self.assertEqual(fathom("delete", "SOLUSDT", *where).stdout, "binance.com SOLUSDT deleted\n")
        self.assertEqual(fathom("delete", "SOLUSDT", *where).returncode, 1)

    def test_through_a_gateway_alone(self):
        gateway = ["--gateway", f"http://127.0.0.1:{self.cluster.gateway[1]}/"]
        self.assertIn("BTCUSDT\t2/2\tReady", fathom("get", *gateway).stdout)
        self.assertIn("ubdcc-dcn\tfathom-worker-0\t", fathom("status", *gateway).stdout)
        refused = fathom("credentials", "add", "--kubeconfig", "/nowhere/config")
        self.assertEqual(refused.returncode, 3)
        self.assertIn("/nowhere/config", refused.stderr)

    def test_through_the_service_of_a_cluster(self):
        with passed_on(self.cluster.gateway) as (kubeconfig, server):
            done = fathom("book", "BTCUSDT", "--once", "--namespace", "books", KUBECONFIG=kubeconfig, cwd="/")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(len(done.stdout.splitlines()), 21)
            elsewhere = fathom("book", "BTCUSDT", "--once", "--namespace", "other", KUBECONFIG=kubeconfig, cwd="/")
            self.assertEqual(elsewhere.returncode, 1)
            audit = fathom("audit", "--all", "--namespace", "books", KUBECONFIG=kubeconfig, cwd="/")
            self.assertRegex(audit.stdout, "binance.com +BTCUSDT +fathom-worker-[01] ", audit.stderr)
        self.assertIn("app.kubernetes.io%2Fcomponent%3Dgateway", server.selectors[0])

    def test_book_once(self):
        lines = [line.split("\t") for line in self.run_ok("book", "BTCUSDT", "--limit", 5).splitlines()]
        self.assertEqual(lines[0], ["SIDE", "PRICE", "QUANTITY"])
        self.assertEqual([line[0] for line in lines[1:]], ["ask"] * 5 + ["bid"] * 5)
        book = json.loads(self.run_ok("book", "btcusdt", "--limit", 3, "--once", "-o", "json"))
        asks, bids = ([(Decimal(price), Decimal(quantity)) for price, quantity in book[side]["levels"]]
                      for side in ("asks", "bids"))
        self.assertEqual((len(asks), len(bids)), (3, 3))
        self.assertEqual(asks, sorted(asks))
        self.assertEqual(bids, sorted(bids, reverse=True))
        self.assertEqual(Decimal(book["spread"]), asks[0][0] - bids[0][0])
        none = fathom("book", "NOPE", *self.here)
        self.assertEqual(none.returncode, 1)
        self.assertIn("#7000", none.stderr)

    def test_levels_are_those_of_the_exchange_digit_by_digit(self):
        def same():
            book = json.loads(self.run_ok("book", "ETHUSDT", "--limit", 8, "--once", "-o", "json"))
            truth = self.cluster.truth("ETHUSDT", book["asks"]["update_id"])
            self.assertEqual([[Decimal(x) for x in level] for level in book["asks"]["levels"]],
                             [[Decimal(x) for x in level] for level in truth["asks"][:8]])
            return True
        eventually("a book as the exchange had it", same, 20)

    def test_top_once(self):
        lines = [line.split("\t") for line in self.run_ok("top").splitlines()]
        self.assertEqual(lines[0], ["EXCHANGE", "MARKET", "BID", "ASK", "SPREAD", "BP", "AGE", "COVERAGE", "REPLICAS",
                                    "STATE"])
        row = dict(zip(lines[0], next(line for line in lines if line[1] == "BTCUSDT")))
        self.assertEqual(Decimal(row["SPREAD"]), Decimal(row["ASK"]) - Decimal(row["BID"]))
        self.assertEqual((row["REPLICAS"], row["STATE"]), ("2/2", "Ready"))
        rows = json.loads(self.run_ok("top", "--once", "-o", "json", "--exchange", "BINANCE.com"))
        self.assertIn("BTCUSDT", [row["market"] for row in rows])
        self.assertEqual(self.run_ok("top", "--exchange", "binance.us").count("\n"), 1)

    def test_status(self):
        lines = [line.split("\t") for line in self.run_ok("status").splitlines()]
        self.assertEqual([line[:2] for line in lines], [
            ["ROLE", "NAME"], ["ubdcc-mgmt", "fathom-controller-0"], ["ubdcc-restapi", "fathom-gateway-0"],
            ["ubdcc-dcn", "fathom-worker-0"], ["ubdcc-dcn", "fathom-worker-1"]])
        status = json.loads(self.run_ok("status", "-o", "json"))
        self.assertEqual({member["status"] for member in status["members"]}, {"running"})
        self.assertGreaterEqual(status["depthcaches"]["fully_redundant"], 2)

    def ubdcc(self, *arguments):
        """Runs the peer's own command line against the gateway."""
        try:
            ubdcc = subprocess.run([ROOT / "hack" / "ubdcc.sh"], capture_output=True, text=True, check=True).stdout.strip()
        except subprocess.CalledProcessError as error:
            self.skipTest(f"ubdcc cannot be installed: {error.stderr[-300:]}")
        return subprocess.run([ubdcc, *arguments, "--port", str(self.cluster.gateway[1])], capture_output=True, text=True, timeout=30)

    def test_the_peers_own_command_line_keeps_credentials(self):
        added = self.ubdcc("credentials", "add", "--account-group", "binance.us", "--api-key", KEY, "--api-secret", SECRET)
        self.assertRegex(added.stdout, r"^Added. id=fathom-credentials-[0-9a-f-]{36}\n$", added.stderr)
        name = added.stdout.strip().split("=")[1]
        secret = json.loads(self.cluster.kubectl("get", "secret", name, "-o", "json"))
        self.assertEqual((secret["type"], secret["metadata"]["labels"]["fathom.dev/account-group"]),
                         ("fathom.dev/binance-credentials", "binance.us"))
        listed = self.ubdcc("credentials", "list").stdout
        self.assertRegex(listed, rf"{name} +binance.us +{KEY[:4]}\*+{KEY[-2:]} +assigned=\[-\]")
        self.assertNotIn(SECRET, added.stdout + listed)
        self.assertEqual(self.ubdcc("credentials", "remove", name).stdout, "Removed.\n")
        self.assertNotEqual(self.cluster.kubectl("get", "secret", name, check=False).returncode, 0)
        again = self.ubdcc("credentials", "remove", name)
        self.assertEqual(again.returncode, 1)
        self.assertIn("(#1034)", again.stderr)
        wrong = self.ubdcc("credentials", "add", "--account-group", "kraken", "--api-key", KEY, "--api-secret", SECRET)
        self.assertIn("(#1031)", wrong.stderr)

    def test_the_peers_own_command_line_shows_the_same(self):
        theirs = self.ubdcc("status").stdout.splitlines()
        with Terminal(FATHOM, "status", *self.here) as terminal:
            self.assertEqual(terminal.wait(), 0)
            own = terminal.text.splitlines()
        # Its first row is whom it asked; behind it, every line is the same.
        self.assertEqual(theirs[:2], own[:2])
        self.assertEqual([line.rstrip() for line in theirs[3:]], [line.rstrip() for line in own[3:]])
        self.assertIn("running", theirs[2])
        self.assertIn("2 fully redundant", "\n".join(theirs))

    def test_credentials_are_read_from_standard_input_and_never_shown(self):
        self.addCleanup(lambda: [fathom("credentials", "remove", row["id"], *self.here) for row in json.loads(
            self.run_ok("credentials", "list", "-o", "json"))])
        name = self.run_ok("credentials", "add", "--account-group", "binance.us", stdin=f"{KEY}\n{SECRET}\n").strip()
        secret = json.loads(self.cluster.kubectl("get", "secret", name, "-o", "json"))
        self.assertEqual((secret["type"], secret["metadata"]["labels"]["fathom.dev/account-group"]),
                         ("fathom.dev/binance-credentials", "binance.us"))

        def listed():
            return [row for row in json.loads(self.run_ok("credentials", "list", "-o", "json")) if row["id"] == name]
        [row] = eventually("the controller lists it", listed, 30)
        self.assertEqual((row["account_group"], row["api_key_preview"][:4]), ("binance.us", KEY[:4]))
        shown = self.run_ok("credentials", "list") + json.dumps(row)
        self.assertNotIn(KEY, shown)
        self.assertNotIn(SECRET, shown)
        self.assertEqual(self.run_ok("credentials", "remove", name), f"{name} removed\n")
        self.assertEqual(fathom("credentials", "remove", name, *self.here).returncode, 1)
        # Another Secret is not for it to delete.
        self.cluster.kubectl("create", "-f", "-", stdin=json.dumps(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other"}, "data": {}}))
        self.assertEqual(fathom("credentials", "remove", "other", *self.here).returncode, 1)
        self.cluster.kubectl("get", "secret", "other")

    def test_credentials_that_cannot_be_used_are_refused(self):
        for arguments, stdin, code, words in [
            (["--api-secret", SECRET], f"{KEY}\n{SECRET}\n", 2, "unknown option --api-secret"),
            (["--account-group", "kraken"], f"{KEY}\n{SECRET}\n", 2, "--account-group: expected one of"),
            ([], f"{KEY}\n", 1, "expected two lines"), ([], "", 1, "expected two lines"),
            ([], f"{KEY}\nwith blank inside\n", 1, "key api-secret"),
        ]:
            with self.subTest(arguments=arguments, stdin=stdin):
                done = fathom("credentials", "add", *arguments, *self.here, stdin=stdin)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(words, done.stderr)
        self.assertEqual(json.loads(self.run_ok("credentials", "list", "-o", "json")), [])

    def test_no_cluster_and_no_gateway_are_said(self):
        with tempfile.TemporaryDirectory() as empty:
            for arguments in (["status"], ["get"], ["book", "BTCUSDT"], ["credentials", "list"]):
                done = fathom(*arguments, cwd=empty)
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertIn("no cluster found", done.stderr)
                self.assertIn("--gateway URL", done.stderr)
            for arguments in (["stop"], ["workers", "add"]):
                done = fathom(*arguments, cwd=empty)
                self.assertEqual((done.returncode, "no local cluster" in done.stderr), (3, True), done.stderr)
            # What a killed cluster left behind is no cluster.
            folder = pathlib.Path(empty) / ".fathom"
            folder.mkdir()
            (folder / "up.json").write_text(json.dumps({"pid": os.getpid(), "gateway": {"url": "http://127.0.0.1:1"}}))
            self.assertEqual(fathom("status", cwd=empty).returncode, 3)
        away = fathom("top", "--gateway", "http://127.0.0.1:1")
        self.assertEqual(away.returncode, 3)
        self.assertIn("http://127.0.0.1:1", away.stderr)
        self.assertEqual(fathom("top", "--gateway", "127.0.0.1:1").returncode, 2)

    def test_bash_completes(self):
        script = fathom("completion", "bash").stdout

        def complete(*words):
            asked = script + f"\nCOMP_WORDS=({' '.join(map(repr, words))}); COMP_CWORD={len(words) - 1}; _fathom\n" \
                'printf "%s\\n" "${COMPREPLY[@]}"'
            done = subprocess.run(["bash", "-u", "-c", asked], capture_output=True, text=True, timeout=20)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            return done.stdout.split()
        self.assertEqual(complete("fathom", "cre"), ["create", "credentials"])
        self.assertEqual(complete("fathom", "credentials", ""), ["add", "list", "remove"])
        self.assertEqual(complete("fathom", "book", "--on"), ["--once"])
        self.assertEqual(complete("fathom", "get", "-o", ""), ["table", "json"])
        self.assertEqual(complete("fathom", "credentials", "add", "--acc"), ["--account-group"])
        self.assertEqual(complete("fathom", "completion", "z"), ["zsh"])
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "file.yaml").touch()
            self.assertEqual(complete("fathom", "get", "--kubeconfig", folder + "/f"), [folder + "/file.yaml"])

    @unittest.skipUnless(shutil.which("zsh"), "there is no zsh; 'hack/setup.sh tests' installs it")
    def test_zsh_completes(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "file.yaml").touch()
            # What is typed goes to a function that says what it was asked.
            (pathlib.Path(folder) / ".zshrc").write_text(
                f"PS1='ready> '\nautoload -U compinit\ncompinit -u -D\nsource <({FATHOM} completion zsh)\n"
                "fathom() { print -r -- \"asked: $* .\" }\n")
            with Terminal("/usr/bin/env", f"ZDOTDIR={folder}", "zsh", "-i") as zsh:
                zsh.await_text("ready>")
                for typed, asked in (("credentials a\t", "credentials add"), ("book --on\t", "book --once"), ("get -o js\t", "get -o json"),
                                     ("credentials add --acc\t", "credentials add --account-group"), ("completion z\t", "completion zsh"),
                                     ("del\t", "delete"), (f"get --kubeconfig {folder}/f\t", f"get --kubeconfig {folder}/file.yaml")):
                    mark = zsh.type(f"fathom {typed}")
                    zsh.await_text(f"asked: {asked} .", mark)
                zsh.type("exit")
                self.assertEqual(zsh.wait(30), 0)

    def test_a_group_of_commands_explains_itself(self):
        done = fathom("workers")
        self.assertEqual(done.returncode, 2)
        self.assertIn("fathom workers add", done.stderr)
        self.assertIn("fathom workers restart", fathom("workers", "--help").stdout)


class Terminals(unittest.TestCase):
    """One cluster, looked at by people."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(workers=1, simulator=["--symbols", 5]))
        cls.here = ["--data-dir", str(cls.cluster.directory)]
        made = fathom("create", "BTCUSDT", "--wait", *cls.here)
        assert made.returncode == 0, made.stderr

    def test_book_is_live_and_leaves_the_terminal_as_it_was(self):
        with Terminal(FATHOM, "book", "BTCUSDT", "--limit", 4, "--interval", 100, *self.here) as terminal:
            terminal.await_text(r"binance.com BTCUSDT   age \d+s   coverage")
            eventually("it is drawn again", lambda: terminal.text.count("coverage") > 5, 20)
            frame = terminal.text.split("binance.com BTCUSDT")[-2].splitlines()
            self.assertEqual([line[:3] for line in frame[2:11]], ["ask"] * 4 + ["   "] + ["bid"] * 4, frame)
            self.assertEqual(len({line.index(".") for line in frame[2:6] + frame[7:11]}), 1, "points below each other")
            terminal.press("C")
            self.assertEqual(terminal.wait(), 0)
            self.assertTrue(terminal.raw.rstrip().endswith("\x1b[?25h\x1b[?1049l"))

    def test_book_shows_that_it_is_gone(self):
        with Terminal(FATHOM, "book", "ETHUSDT", "--interval", 100, *self.here) as terminal:
            self.assertEqual(terminal.wait(), 1)
            self.assertNotIn("\x1b[?1049h", terminal.raw)
        self.assertEqual(fathom("create", "ETHUSDT", "--wait", *self.here).returncode, 0)
        with Terminal(FATHOM, "book", "ETHUSDT", "--interval", 100, *self.here) as terminal:
            terminal.await_text("coverage")
            self.assertEqual(fathom("delete", "ETHUSDT", *self.here).returncode, 0)
            terminal.await_text("#7000")

    def test_top_is_live(self):
        with Terminal(FATHOM, "top", "--interval", 100, *self.here) as terminal:
            terminal.await_text(r"\d of \d books in sync")
            eventually("it is drawn again", lambda: terminal.text.count("books in sync") > 3, 20)
            self.assertRegex(terminal.text, r"binance.com +BTCUSDT +[\d.]+ +[\d.]+ +[\d.]+")
            terminal.press("C")
            self.assertEqual(terminal.wait(), 0)

    def test_credentials_are_typed_without_being_shown(self):
        with Terminal(FATHOM, "credentials", "add", *self.here) as terminal:
            terminal.await_text("API key: ")
            eventually("no echo", lambda: not terminal.echoes, 10)
            terminal.type(KEY)
            terminal.await_text("API secret: ")
            eventually("no echo", lambda: not terminal.echoes, 10)
            terminal.type(SECRET)
            self.assertEqual(terminal.wait(), 0)
            name = re.search(r"fathom-credentials-[0-9a-f-]{36}", terminal.text)[0]
            self.assertNotIn(KEY, terminal.text)
            self.assertNotIn(SECRET, terminal.text)
            self.assertTrue(terminal.echoes)
        self.assertEqual(fathom("credentials", "remove", name, *self.here).returncode, 0)

    def test_ctrl_c_at_the_prompt_leaves_a_terminal_that_shows_what_is_typed(self):
        with Terminal(FATHOM, "credentials", "add", *self.here) as terminal:
            terminal.await_text("API key: ")
            eventually("no echo", lambda: not terminal.echoes, 10)
            terminal.press("C")
            self.assertEqual(terminal.wait(), 130)
            self.assertTrue(terminal.echoes)
            self.assertIn("nothing was kept", terminal.text)


class Workers(unittest.TestCase):
    """Workers come and go under load, and the cluster is stopped by command."""

    def test_no_query_fails_while_workers_come_and_go(self):
        with Cluster(workers=2, simulator=["--symbols", 8]) as cluster:
            here = ["--data-dir", str(cluster.directory)]
            self.assertEqual(fathom("create", "BTCUSDT", "ETHUSDT", "BNBUSDT", "--wait", *here).returncode, 0)
            paths = [f"/get_asks?exchange={EXCHANGE}&market={market}&limit_count=3"
                     for market in ("BTCUSDT", "ETHUSDT", "BNBUSDT")]

            def names():
                return [worker["name"] for worker in cluster.up["workers"]]

            def run(*arguments, code=0):
                done = fathom("workers", *arguments, *here, timeout=200)
                self.assertEqual(done.returncode, code, done.stderr)
                return done
            with Load(cluster, paths[0], 20, 1) as one, Load(cluster, paths[1], 20, 1) as two, \
                    Load(cluster, paths[2], 20, 1) as three:
                loads = [one, two, three]
                added = run("add")
                self.assertEqual(added.stdout, "fathom-worker-2\n")
                self.assertIn("fathom-worker-2 is ready", added.stderr)
                removed = run("remove", "fathom-worker-0")
                self.assertEqual(removed.stdout, "fathom-worker-0\n")
                self.assertIn("fathom-worker-0 hands its copies over", removed.stderr)
                self.assertEqual(names(), ["fathom-worker-1", "fathom-worker-2"])
                self.assertEqual(len([c for c in children_of(cluster.process.pid).values() if " worker " in c]), 2)
                new = json.loads(run("restart", "-o", "json").stdout)
                self.assertEqual(names(), new)
                self.assertEqual(len(new), 2)
                before = [load.answers for load in loads]
                eventually("the load runs on", lambda: all(load.answers > count + 20 for load, count
                                                           in zip(loads, before)), 20)
            self.assertEqual([load.failures[:2] for load in loads], [[], [], []])
            print(f"{sum(load.answers for load in loads)} answers, longest gap "
                  f"{max(load.longest_gap for load in loads):.2f} s")
            pods = cluster.kubectl("get", "pods", "-o", "name").split()
            self.assertEqual(sorted(pod for pod in pods if "worker" in pod), sorted("pod/" + name for name in new))
            self.assertIn("there is no worker 'nobody'", run("remove", "nobody", code=1).stderr)
            self.assertIn("one stays", run("remove", "2", code=1).stderr)
            self.assertIn("one worker has to stay", run("remove", *new, code=1).stderr)
            self.assertEqual(fathom("workers", "add", "0", *here).returncode, 2)
            self.assertEqual(sorted(names()), sorted(new))
            stopped = fathom("stop", *here)
            self.assertEqual((stopped.returncode, stopped.stdout),
                             (0, f"Stopped the local cluster in {cluster.directory}.\n"), stopped.stderr)
            self.assertEqual(cluster.process.wait(5), 0)
            self.assertFalse((cluster.directory / "up.json").exists())
            self.assertFalse((cluster.directory / "up.sock").exists())
            self.assertEqual(fathom("stop", *here).returncode, 3)


class Console(unittest.TestCase):
    """`fathom up` in a terminal, with the peer's commands."""

    def test_the_peers_commands(self):
        with tempfile.TemporaryDirectory(prefix="fathom-e2e-") as folder, \
                Terminal(FATHOM, "up", "--simulate", "--workers", 1, "--port", 0, "--kube-port", 0, "--data-dir", folder,
                         "--simulator-arg=--symbols", "--simulator-arg=5") as terminal:
            terminal.await_text("fathom> $", deadline=120)
            self.assertIn("Type 'help'", terminal.text)
            up = lambda: json.loads((pathlib.Path(folder) / "up.json").read_text())  # noqa: E731

            def say(line, answer, deadline=60):
                mark = terminal.type(line)
                found = terminal.await_text(answer, mark, deadline)
                terminal.await_text("fathom> $", mark, deadline)
                return found
            say("help", "add-dcn")
            say("/status", r"ubdcc-mgmt +fathom-controller-0 +\d+ +running")
            say("status", r"ROLE             NAME                 PORT     STATUS     VERSION\n-{70}\n")
            say("add-dcn", "fathom-worker-1 is ready")
            say("add-dcn two", "usage: add-dcn")
            say("status", r"ubdcc-dcn +fathom-worker-1 +\d+ +running")
            say("restart nobody", "there is no worker 'nobody'")
            self.assertEqual(len(up()["workers"]), 2)
            say("restart mgmt", r"fathom-controller-0 is ready")
            say("remove-dcn 1", "fathom-worker-0 has ended", 150)
            say("remove-dcn fathom-worker-1", "one worker has to stay")
            say("dance", "Unknown command: dance")
            self.assertEqual([worker["name"] for worker in up()["workers"]], ["fathom-worker-1"])
            terminal.type("stop")
            self.assertEqual(terminal.wait(60), 0)
            self.assertFalse((pathlib.Path(folder) / "up.json").exists())
            self.assertNotIn("fathom> ", terminal.text.split("Stopping ...")[1])

    def test_the_end_of_input_and_ctrl_c_stop_the_cluster(self):
        for key in "DC":
            with self.subTest(key=key), tempfile.TemporaryDirectory(prefix="fathom-e2e-") as folder, \
                    Terminal(FATHOM, "up", "--simulate", "--workers", 1, "--port", 0, "--kube-port", 0, "--data-dir",
                             folder) as terminal:
                terminal.await_text("fathom> $", deadline=120)
                terminal.press(key)
                self.assertEqual(terminal.wait(60), 0)


if __name__ == "__main__":
    unittest.main()
