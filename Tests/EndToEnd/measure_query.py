"""Measures queries beside nginx; run by hack/bench-query.sh."""

import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from awake import awake, can_keep_awake
from fathom import BINARIES, EXCHANGE, Cluster, children_of, eventually, manifest
from nginx import Nginx, free_port

PEER = 515
"""Requests per second of the peer's gateway at 64 connections."""

PUNCTUAL = 0.5
"""Milliseconds, half of the goal: a run in which one request in a hundred was sent later than that tells more of the machine."""

FEWEST = 3
"""Fewer such runs tell nothing."""

SCRIPT = """
local paths, next = {}, 0
init = function()
    for line in io.lines("%s") do paths[#paths + 1] = wrk.format("GET", line) end
end
request = function() next = next %% #paths + 1; return paths[next] end
done = function(summary, latency)
    local e = summary.errors
    io.write(string.format("RESULT %%f %%f %%f %%d %%d %%f\\n", summary.requests / summary.duration * 1e6,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000,
        e.connect + e.read + e.write + e.status + e.timeout, summary.requests, summary.bytes / summary.requests))
end
"""

LIBWEBSOCKETS = r"""
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>
static unsigned char body[LWS_PRE + 65536];
static int size;
static int serve(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t count) {
    unsigned char head[LWS_PRE + 512], *p = head + LWS_PRE, *start = p, *end = head + sizeof(head) - 1;
    switch (reason) {
    case LWS_CALLBACK_HTTP:
        if (lws_add_http_common_headers(wsi, 200, "application/json", size, &p, end) ||
            lws_finalize_write_http_header(wsi, start, &p, end)) return 1;
        lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_HTTP_WRITEABLE:
        if (lws_write(wsi, body + LWS_PRE, size, LWS_WRITE_HTTP_FINAL) != size) return 1;
        return lws_http_transaction_completed(wsi) ? -1 : 0;
    default: return lws_callback_http_dummy(wsi, reason, user, in, count);
    }
}
static const struct lws_protocols protocols[] = {{"http", serve, 0, 0}, {NULL, NULL, 0, 0}};
int main(int count, char **words) {
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof(info));
    info.port = atoi(words[1]);
    info.iface = "127.0.0.1";
    info.protocols = protocols;
    size = atoi(words[2]);
    memset(body, 'x', sizeof(body));
    lws_set_log_level(LLL_ERR, NULL);
    struct lws_context *context = lws_create_context(&info);
    while (context && lws_service(context, 0) >= 0) {}
    return 1;
}
"""


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tree(pid):
    """A process and those that it started."""
    return [pid] + [below for child in children_of(pid) for below in tree(child)]


class Side:
    """Something that answers: where, what is asked of it, and whose time on a core counts."""

    def __init__(self, name, port, paths, processes):
        self.name, self.port, self.paths, self.processes, self.rows = name, port, paths, processes, []

    def wrk(self, seconds, connections, directory):
        targets = directory / f"{self.port}.txt"
        targets.write_text("".join(path + "\n" for path in self.paths))
        script = directory / f"{self.port}.lua"
        script.write_text(SCRIPT % targets)
        pids = [pid for process in self.processes for pid in tree(process)]
        before = sum(map(cpu_seconds, pids))
        done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script,
                               f"http://127.0.0.1:{self.port}"], capture_output=True, text=True, check=True)
        busy = sum(map(cpu_seconds, pids)) - before
        found = re.search(r"RESULT (\S+) (\S+) (\S+) (\d+) (\d+) (\S+)", done.stdout)
        rate, p50, p99, errors, requests, size = map(float, found.groups())
        self.rows.append({"rate": rate, "p50": p50, "p99": p99, "errors": errors, "requests": requests, "size": size,
                          "busy": busy / requests * 1e6})

    def median(self, what):
        return statistics.median(row[what] for row in self.rows)

    def total(self, what):
        return int(sum(row[what] for row in self.rows))

    @property
    def runs(self):
        return " ".join(f"{row['rate']:.0f}" for row in self.rows)


def show(*columns):
    print("\t".join(map(str, columns)), flush=True)


def verdict(is_met):
    return "met" if is_met else "NOT MET"


class Bench:
    def __init__(self, seconds, runs):
        self.seconds, self.runs = seconds, runs
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="fathom-bench-"))
        self.misses = 0

    def judge(self, is_met):
        self.misses += not is_met
        return verdict(is_met)

    def beside(self, *sides, connections=64):
        """Runs all in turn, so that whatever else the machine does meets all of them."""
        for side in sides:
            side.wrk(1, connections, self.directory)
            side.rows.clear()
        for _ in range(self.runs):
            for side in sides:
                side.wrk(self.seconds, connections, self.directory)

    def table(self, case, sides):
        for side in sides:
            show(case, side.name, f"{side.median('rate'):.0f}", f"{side.median('p50'):.2f}", f"{side.median('p99'):.2f}",
                 side.total("errors"), f"{side.median('size'):.0f}", f"{side.median('busy'):.1f}", side.runs)

    # The cases

    def load(self, cluster, paths, rate, seconds, **options):
        """Asks at a fixed rate and measures from when each request was due."""
        targets = self.directory / "rate.txt"
        targets.write_text("".join(path + "\n" for path in paths))
        command = [str(BINARIES / "fathom-bench"), "query", "--json", "--targets", str(targets), "--rate", str(rate),
                   "--seconds", str(seconds)]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        if done.stderr:
            print(done.stderr, file=sys.stderr)
        return json.loads(done.stdout)

    def mix(self, cluster, markets, cases):
        paths = [f"/get_{side}?exchange={EXCHANGE}&market={market}&limit_count={limit}"
                 for limit in range(1, 21) for market in markets for side in ("asks", "bids")]
        gateway = cluster.gateway[1]
        served = [cluster.up["gateway"]["pid"], *[worker["pid"] for worker in cluster.up["workers"]]]
        nginx = Nginx()
        for number, path in enumerate(paths):
            nginx.put(f"{number}.json", fetch(gateway, path))
        own = [f"/{number}.json" for number in range(len(paths))]
        with nginx:
            pids = [process.pid for process in nginx.processes]
            if "bare" in cases:
                self.bare(cluster, nginx)
            if "mix" in cases:
                before = good_answers(cluster)
                ours, theirs = Side("fathom", gateway, paths, served), Side("nginx proxy", nginx.proxy, own, pids)
                self.beside(ours, theirs)
                # Envelopes come with status 200 whatever they say: the gateway's own counts tell how they ended.
                good = good_answers(cluster) - before
                self.table("mix of 100 markets, 64 connections", [ours, theirs])
                ratio = ours.median("rate") / theirs.median("rate")
                show("requests/s beside nginx", f"{ratio:.2f}", "goal 1.2", self.judge(ratio >= 1.2))
                ratio = ours.median("rate") / PEER
                show("requests/s beside the peer's 515", f"{ratio:.1f}", "goal 60", self.judge(ratio >= 60))
                show("answers that were OK", good, f"asked {ours.total('requests')} and those of the first second",
                     self.judge(good >= ours.total("requests")))
            if "rate" in cases:
                if can_keep_awake():
                    with awake():
                        self.rate(cluster, paths, own, nginx, "cores kept awake", judged=True)
                self.rate(cluster, paths, own, nginx, "cores left to sleep", judged=not can_keep_awake())
            if "side" in cases:
                self.side(cluster, nginx, markets, served, pids)

    def rate(self, cluster, paths, own, nginx, how, judged):
        """1,000 requests a second. The goal is for cores that are awake; what the host takes to wake one is shown beside it."""
        woken = wake_ups(self.seconds)
        show("a sleeping program is woken late, nothing asked", how, f"p50 {woken[0]:.3f} ms", f"p99 {woken[1]:.3f} ms")
        rows = {"fathom": [], "nginx proxy": []}
        for _ in range(self.runs):
            for name, port, targets in (("fathom", cluster.gateway[1], paths), ("nginx proxy", nginx.proxy, own)):
                rows[name].append(self.load(cluster, targets, 1000, self.seconds, address=f"127.0.0.1:{port}"))
        for name, found in rows.items():
            # What was sent late was late before any server saw it: the machine woke this program late, and the servers too.
            punctual = [row for row in found if row["late_p99_ms"] < PUNCTUAL]
            failed = sum(row["failed"] for row in found)
            for which, some in ((f"all {len(found)} runs", found), (f"{len(punctual)} runs sent in time", punctual)):
                if some:
                    p50, p99, late = (statistics.median(row[what] for row in some) for what in ("p50_ms", "p99_ms", "late_p99_ms"))
                    show(f"1,000 requests/s, {how}", name, which, f"p50 {p50:.3f} ms", f"p99 {p99:.3f} ms",
                         f"sent late p99 {late:.3f} ms", f"failed {failed}", " ".join(f"{row['p99_ms']:.3f}" for row in some))
            if name == "fathom" and judged:
                p99 = statistics.median(row["p99_ms"] for row in punctual or found)
                enough = len(punctual) >= FEWEST
                show("p99 at 1,000 requests/s", f"{p99:.3f}" if enough else f"only {len(punctual)} runs could be sent in time",
                     "goal 1 ms", self.judge(enough and p99 < 1 and not failed))

    def bare(self, cluster, nginx):
        """The servers alone: libwebsockets' own HTTP, ours on its raw sockets, and nginx, with an answer of one size."""
        size = 444
        nginx.put("bare.json", b"x" * size)
        source = self.directory / "bare.c"
        source.write_text(LIBWEBSOCKETS)
        program, port = self.directory / "bare", free_port()
        subprocess.run(["cc", "-O2", "-o", program, source, "-lwebsockets"], check=True)
        server = subprocess.Popen([program, str(port), str(size)])
        try:
            eventually("the bare server answers", lambda: len(fetch(port, "/")) == size, 20)
            health = cluster.up["gateway"]["healthPort"]
            pid = cluster.up["gateway"]["pid"]
            sides = [Side("libwebsockets HTTP", port, ["/"], [server.pid]),
                     Side("fathom /readyz", health, ["/readyz"], [pid]),
                     Side("fathom /test", cluster.gateway[1], ["/test"], [pid]),
                     Side("nginx static", nginx.static, ["/bare.json"], [nginx.processes[0].pid])]
            self.beside(*sides)
            self.table("bare servers, 64 connections", sides)
        finally:
            server.terminate()
            server.wait(20)

    def side(self, cluster, nginx, markets, served, pids):
        path = f"/get_asks?exchange={EXCHANGE}&market={markets[0]}&limit_count=1000"
        body = fetch(cluster.gateway[1], path)
        levels = len(json.loads(body)["asks"])
        nginx.put("side.json", body)
        ours = Side("fathom", cluster.gateway[1], [path], served)
        theirs = Side("nginx static", nginx.static, ["/side.json"], pids)
        self.beside(ours, theirs)
        self.table(f"a side of {levels} levels, 64 connections", [ours, theirs])
        ratio = ours.median("rate") / theirs.median("rate")
        show("a full side beside nginx static", f"{ratio:.2f}", "goal 0.5", self.judge(ratio >= 0.5))

    def best(self, cluster):
        path = f"/v1/books?exchange={EXCHANGE}&markets=all&limit=1"
        books = len(json.loads(fetch(cluster.gateway[1], path))["books"])
        rows = [self.load(cluster, [path], 50, self.seconds, address=f"127.0.0.1:{cluster.gateway[1]}", expect='"books":[{')
                for _ in range(self.runs)]
        p50, p99 = (statistics.median(row[what] for row in rows) for what in ("p50_ms", "p99_ms"))
        show(f"best prices of {books} markets in one call", f"p50 {p50:.2f} ms", f"p99 {p99:.2f} ms", "goal 3 ms",
             self.judge(p50 < 3 and books == 500), " ".join(f"{row['p50_ms']:.2f}" for row in rows))


def wake_ups(seconds):
    """Sleeps a millisecond at a time; how much too late it wakes, median and p99, is what the machine adds to each step."""
    late, due = [], time.perf_counter()
    for _ in range(int(seconds * 1000)):
        due += 0.001
        time.sleep(max(0.0, due - time.perf_counter()))
        late.append(max(0.0, time.perf_counter() - due) * 1000)
    late.sort()
    return late[len(late) // 2], late[len(late) * 99 // 100]


def bulk(bench):
    """All markets that an exchange may have in one call, while no book is kept yet; the peer's dashboard waits ten seconds."""
    markets = names(2496)
    body = json.dumps({"exchange": EXCHANGE, "markets": markets}).encode()
    simulator = ["--symbols", len(markets), "--rate", 1, "--depth", 100, "--weight-limit", 1_000_000]
    with Cluster(workers=3, simulator=simulator) as cluster:
        began = time.monotonic()
        asked = urllib.request.Request(f"http://127.0.0.1:{cluster.gateway[1]}/create_depthcaches", data=body,
                                       headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=120) as reply:
            answer = json.load(reply)
        took = time.monotonic() - began
        last = markets[-1]
        eventually(f"{last} has a book", lambda: "asks" in cluster.levels("asks", last, limit_count=1), 300)
        show(f"{len(markets)} markets in one call", f"{took:.1f} s", "goal 10 s",
             bench.judge(took < 10 and answer["result"] == "OK"), f"the last has a book after {time.monotonic() - began:.1f} s")


def fetch(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as reply:
        return reply.read()


def good_answers(cluster):
    text = fetch(cluster.up["gateway"]["healthPort"], "/metrics").decode()
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in text.splitlines()
               if line.startswith("fathom_gateway_requests_total") and 'outcome="ok"' in line and "get_" in line)


def names(count):
    known = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT", "SOLUSDT"]
    return (known + [f"SIM{number:04d}USDT" for number in range(6, count + 1)])[:count]


@contextlib.contextmanager
def cluster_of(count, rate, levels):
    settings = pathlib.Path(tempfile.mkdtemp()) / "config.yaml"
    # One loop, as nginx has one worker process, and no answer shared by two requests.
    settings.write_text("gateway: {threads: 1, shareAnswers: off}\n")
    simulator = ["--symbols", count, "--rate", rate, "--depth", levels, "--weight-limit", 1_000_000]
    os.environ["FATHOM_CONFIG"] = str(settings)
    with Cluster(workers=1, simulator=simulator) as cluster:
        yield cluster


def create(cluster, markets, levels, **spec):
    """Creates the caches and waits until each has so many levels: the deeper snapshots belong to the start."""
    cluster.apply(*[manifest(market, **spec) for market in markets])
    for market in markets:
        eventually(f"{market} is covered",
                   lambda: len(cluster.levels("asks", market, limit_count=levels).get("asks", [])) == levels, 300)


def memory(cluster):
    pid = cluster.up["workers"][0]["pid"]
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    cases = sys.argv[3:] or ["bare", "mix", "rate", "side", "best", "memory", "bulk"]
    bench = Bench(seconds, runs)
    show("case", "server", "requests/s", "p50 ms", "p99 ms", "errors", "bytes", "core us/request", "runs")
    if {"bare", "mix", "rate", "side"} & set(cases):
        with cluster_of(100, 10, 2000) as cluster:
            # Not deeper than the queries need, so that the weight of one minute is enough to begin.
            create(cluster, names(100)[:1], 1000, depth=1000)
            create(cluster, names(100)[1:], 100, depth=100)
            bench.mix(cluster, names(100), cases)
    if {"best", "memory"} & set(cases):
        with cluster_of(500, 2, 1000) as cluster:
            markets = names(500)
            create(cluster, markets[:200], 500)
            show("memory of a worker with 200 books of 1000 + 1000 levels, MiB", f"{memory(cluster):.1f}")
            create(cluster, markets[200:], 1, depth=20)
            bench.best(cluster)
    if "bulk" in cases:
        bulk(bench)
    sys.exit(1 if bench.misses else 0)


if __name__ == "__main__":
    main()
