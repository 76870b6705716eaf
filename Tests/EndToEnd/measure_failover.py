"""Measures what the loss of a worker costs those who ask; run by hack/measure-failover.sh."""

import json
import os
import signal
import sys
import time

from fathom import EXCHANGE, Cluster, eventually, manifest
from load import FixedRate

MARKETS = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT", "SOLUSDT", *[f"SIM{number:04d}USDT" for number in range(6, 11)]]
GAPS = {"SIGKILL": 50, "SIGSTOP": 1000}
"""Milliseconds without a good answer that are borne."""
REDUNDANCY = 20
"""Seconds until every market must have two copies again."""


def copies(cluster, without=()):
    """How many synchronised copies each market has, not counting those of some incarnations."""
    found = {}
    for item in json.loads(cluster.kubectl("get", "depthcachereplicas", "-o", "json"))["items"]:
        status = item.get("status", {})
        if status.get("phase") == "Synchronized" and status.get("incarnation") not in without:
            market = item["spec"]["market"]
            found[market] = found.get(market, 0) + 1
    return found


def is_redundant(cluster, without=()):
    found = copies(cluster, without)
    return all(found.get(market, 0) >= 2 for market in MARKETS)


def measure(cluster, case, rate, seconds):
    eventually("two copies of each market", lambda: is_redundant(cluster), 120)
    victim = cluster.replicas(f"e2e-{MARKETS[0].lower()}")[0]
    incarnation, pid = victim["status"]["incarnation"], cluster.worker_pid(victim["spec"]["workerName"])
    paths = [f"/get_{side}?exchange={EXCHANGE}&market={market}&limit_count=5" for market in MARKETS for side in ("asks", "bids")]
    with FixedRate(cluster.gateway[1], paths, rate, seconds) as load:
        time.sleep(seconds / 6)
        os.kill(pid, getattr(signal, case))
        began = time.monotonic()
        try:
            eventually("two copies again", lambda: is_redundant(cluster, [incarnation]), 120, pause=0.25)
            redundant = time.monotonic() - began
            figures = load.figures(timeout=seconds + 60)
        finally:
            if case == "SIGSTOP":
                os.kill(pid, signal.SIGCONT)
    gap, limit = figures["longest_gap_ms"], GAPS[case]
    # The Lease of a frozen worker ends like that of a dead one, so redundancy has the same limit.
    is_met = figures["failed"] == 0 and gap < limit and redundant < REDUNDANCY
    print("\t".join(map(str, (case, figures["questions"], figures["failed"], figures["failovers"], f"{gap:.1f}",
                              figures["longest_ms"], figures["p50_ms"], figures["p99_ms"], f"{redundant:.1f}",
                              "met" if is_met else "NOT MET"))), flush=True)
    for words in figures["failures"]:
        print(f"\t{words}", flush=True)
    return is_met


def main():
    rate = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    cases = sys.argv[3:] or ["SIGKILL", "SIGSTOP"]
    print("\t".join(("case", "queries", "failed", "told of a failover", "longest gap ms", "slowest ms", "p50 ms", "p99 ms",
                     "two copies again s", "goals")), flush=True)
    with Cluster(workers=3, simulator=["--symbols", 10, "--rate", 10]) as cluster:
        cluster.apply(*[manifest(market, replicas=2) for market in MARKETS])
        good = [measure(cluster, case, rate, seconds) for case in cases]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
