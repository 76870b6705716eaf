"""Start-up of many books at once: time to the first answer of each, time to full depth, weight used, refusals."""

import argparse
import concurrent.futures
import http.client
import json
import pathlib
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Tests" / "EndToEnd"))
import fathom  # noqa: E402

parser = argparse.ArgumentParser()
parser.add_argument("--markets", type=int, default=200)
parser.add_argument("--replicas", type=int, default=1)
parser.add_argument("--workers", type=int, default=2)
parser.add_argument("--depth", type=int, default=500)
parser.add_argument("--rate", type=float, default=10, help="events per second of each market")
parser.add_argument("--limit", type=int, default=6000, help="the exchange's weight per minute")
parser.add_argument("--minutes", type=float, default=12, help="give up after so long")
options = parser.parse_args()
usable = options.limit * 85 // 100


class Weight(threading.Thread):
    """Watches what the exchange counts: the most of each minute, and refusals."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.by_minute, self.refusals, self.ending = cluster, {}, 0, threading.Event()

    def run(self):
        while not self.ending.wait(0.25):
            try:
                status = self.cluster.simulator("/status")[1]
            except (OSError, ValueError, http.client.HTTPException):
                continue
            venue = find(status, fathom.EXCHANGE)
            minute = int(time.time() // 60)
            # Near a minute's end the count may still be that of the minute before.
            if 1 < time.time() % 60 < 59.5:
                self.by_minute[minute] = max(self.by_minute.get(minute, 0), venue["used_weight"])
            self.refusals = venue.get("refusals", venue.get("refused", 0))


def find(status, name):
    return status[name] if name in status else find(status["exchanges"], name)


def wait_for_all(cluster, markets, is_done, began, what):
    """Asks for every market until `is_done(answer)`; returns how long the last one took."""
    host, port = cluster.gateway
    local = threading.local()

    def ask(market):
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection(host, port, timeout=15)
        query = urllib.parse.urlencode({"exchange": fathom.EXCHANGE, "market": market, **what})
        try:
            local.connection.request("GET", f"/get_asks?{query}")
            return is_done(json.loads(local.connection.getresponse().read()))
        except (OSError, ValueError, http.client.HTTPException):
            local.connection.close()
            return False

    missing, told = list(markets), 0.0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        while missing:
            missing = [market for market, done in zip(missing, pool.map(ask, missing)) if not done]
            now = time.monotonic() - began
            if now > options.minutes * 60:
                print(f"gave up after {now:.0f} s; {len(missing)} of {len(markets)} are missing")
                sys.exit(1)
            if now - told > 10:
                told = now
                print(f"  {now:6.1f} s: {len(markets) - len(missing)} of {len(markets)}", flush=True)
            time.sleep(0.2 if missing else 0)
    return time.monotonic() - began


arguments = ["--symbols", str(options.markets), "--rate", options.rate]
with fathom.Cluster(workers=options.workers, simulator=arguments) as cluster:
    listed = fathom.eventually(
        "the markets are listed",
        lambda: cluster.simulator(f"/{fathom.EXCHANGE}/api/v3/exchangeInfo")[1]["symbols"])
    markets = [item["symbol"] for item in listed][: options.markets]
    weight = Weight(cluster)
    weight.start()
    second = time.time() % 60
    began = time.monotonic()
    cluster.apply(*[
        fathom.manifest(market, options.replicas, depth=options.depth) for market in markets])
    applied = time.monotonic() - began
    print(f"{len(markets)} markets x {options.replicas}, {options.workers} workers, depth {options.depth}, "
          f"begun in second {second:.0f} of the minute; kubectl apply took {applied:.1f} s", flush=True)
    first = wait_for_all(
        cluster, markets, lambda answer: len(answer.get("asks", [])) >= 20, began, {"limit_count": 20})
    print(f"all answer limit_count=20 after {first:.1f} s ({first - applied:.1f} s after kubectl was done)", flush=True)
    deep = wait_for_all(
        cluster, markets, lambda answer: len(answer.get("asks", [])) >= options.depth, began,
        {"limit_count": options.depth})
    print(f"all answer {options.depth} levels after {deep:.1f} s", flush=True)
    weight.ending.set()
    weight.join()
    minutes = sorted(weight.by_minute)
    for minute in minutes:
        used = weight.by_minute[minute]
        print(f"  minute {minute - minutes[0]}: {used} of {usable} usable weight used ({used / usable:.1%})")
    # The first minute is cut by the beginning, the last one by the end.
    whole = [weight.by_minute[minute] for minute in minutes[1:-1]]
    if whole:
        print(f"in whole minutes while books waited: {sum(whole) / (usable * len(whole)):.1%} of the budget was used")
    total = sum(weight.by_minute.values())
    print(f"weight in all {total}, {total / len(markets):.1f} for each market; refusals (429 and 418): {weight.refusals}")
