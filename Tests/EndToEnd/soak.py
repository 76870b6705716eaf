"""Queries for many minutes with a fault every minute, every answer audited; run by hack/soak.sh."""

import fcntl
import http.client
import json
import os
import pathlib
import re
import signal
import ssl
import sys
import tempfile
import threading
import time
import urllib.parse

from fathom import EXCHANGE, Cluster, eventually, manifest
from load import FixedRate

MARKETS = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT", "SOLUSDT", *[f"SIM{number:04d}USDT" for number in range(6, 21)]]
GROWTH = 1.3
"""The memory of a process at the end, beside that after the first fifth; more than this is a leak. Plus some MiB for small ones."""
SLACK = 12
FAULTS = [("gap", {}), ("SIGKILL", {}), ("disconnect", {}), ("garbage", {}), ("SIGSTOP", {}), ("idreset", {}),
          ("silence", {"duration": 40}), ("reorder", {}), ("SIGKILL", {}), ("duplicate", {})]
"""What happens, one a minute; the exchange's to one market, which may then be out of sync and say so."""
EXCUSE = 60
"""Seconds in which a market whose stream was broken may answer #6000."""
LINE = re.compile(rb"/get_(asks|bids)\?exchange=\S+&market=(\w+)&limit_count=(\d+)\t(.*)", re.S)


class Auditor(threading.Thread):
    """Reads recorded answers and compares each with the true book at its update id."""

    def __init__(self, cluster, pipe):
        super().__init__(daemon=True)
        self.cluster, self.pipe = cluster, pipe
        self.exact, self.unknown, self.wrong, self.books = 0, 0, [], {}
        self.excused, self.refusals, self.unexplained = {}, 0, []
        here = cluster.up["simulator"]
        self.port, self.context = here["port"], ssl.create_default_context(cafile=here["caFile"])
        self.connection = None

    def truth(self, market, update_id):
        key = (market, update_id)
        if key not in self.books:
            if len(self.books) > 4000:
                self.books.clear()
            self.books[key] = self.fetch(market, update_id)
        return self.books[key]

    def fetch(self, market, update_id):
        query = urllib.parse.urlencode({"exchange": EXCHANGE, "symbol": market, "id": update_id, "limit": 20})
        for _ in range(3):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context, timeout=20)
                self.connection.request("GET", f"/truth?{query}")
                reply = self.connection.getresponse()
                body = reply.read()
                return json.loads(body) if reply.status == 200 else None
            except (OSError, http.client.HTTPException):
                self.connection = None
        return None

    def run(self):
        with open(self.pipe, "rb") as lines:
            # Room for more than a second of answers, so that none is lost when this program waits for a core.
            fcntl.fcntl(lines, fcntl.F_SETPIPE_SZ, 1 << 20)
            for line in lines:
                found = LINE.fullmatch(line.rstrip(b"\n"))
                if found:
                    self.audit(found[1].decode(), found[2].decode(), int(found[3]), json.loads(found[4], parse_float=str))

    def audit(self, side, market, limit, answer):
        if answer["result"] != "OK":
            # Where all copies have lost their stream the answer is an error that says so.
            if answer.get("error_id") == "#6000" and time.monotonic() < self.excused.get(market, 0):
                self.refusals += 1
            else:
                self.unexplained.append(f"{market}: {answer.get('error_id')} {answer.get('message')}")
            return
        true = self.truth(market, answer["update_id"])
        if true is None:
            self.unknown += 1
            return
        served = [[number(price), number(quantity)] for price, quantity in answer[side]]
        expected = [[number(price), number(quantity)] for price, quantity in true[side][:limit]]
        if served == expected:
            self.exact += 1
        else:
            self.wrong.append(f"{market} {side} at {answer['update_id']}: {served[:3]} was served, {expected[:3]} is true")


def number(text):
    """The text of a number without what does not change its value."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def memory(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


class Soak:
    def __init__(self, cluster, auditor):
        self.cluster, self.auditor, self.frozen, self.samples = cluster, auditor, None, {}

    def sample(self):
        up = self.cluster.up
        programs = {"gateway": up["gateway"]["pid"], "controller": up["controller"]["pid"],
                    "simulator": up["simulator"]["pid"], "fathom up": self.cluster.process.pid,
                    **{worker["name"]: worker["pid"] for worker in up["workers"]}}
        for name, pid in programs.items():
            try:
                # A worker that was killed and started anew is another process with another beginning.
                self.samples.setdefault((name, pid), []).append(memory(pid))
            except (OSError, TypeError):
                continue

    def fault(self, minute):
        kind, options = FAULTS[minute % len(FAULTS)]
        if kind.startswith("SIG"):
            workers = self.cluster.up["workers"]
            worker = workers[minute % len(workers)]
            os.kill(worker["pid"], getattr(signal, kind))
            if kind == "SIGSTOP":
                self.frozen = worker["pid"]
            return f"{kind} {worker['name']}"
        market = MARKETS[minute % len(MARKETS)]
        # A whole connection breaks or is silent with its streams: all of its markets may be out of sync.
        for name in MARKETS if kind in ("disconnect", "silence", "garbage") else [market]:
            self.auditor.excused[name] = time.monotonic() + EXCUSE + options.get("duration", 0)
        self.cluster.fault(market, kind, **options)
        return f"{kind} {market}"

    def thaw(self):
        if self.frozen is not None:
            os.kill(self.frozen, signal.SIGCONT)
            self.frozen = None

    def growth(self):
        """(process, MiB after the first fifth, MiB at the end, whether that is borne) of processes that lived long enough."""
        rows = []
        for (name, pid), found in self.samples.items():
            if len(found) < 24:
                continue
            early = sorted(found[len(found) // 5:len(found) // 5 + 6])[3]
            late = sorted(found[-6:])[3]
            rows.append((f"{name} ({pid})", early, late, late <= early * GROWTH + SLACK))
        return rows


def main():
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    rate = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    pipe = pathlib.Path(tempfile.mkdtemp(prefix="fathom-soak-")) / "answers"
    os.mkfifo(pipe)
    simulator = ["--symbols", len(MARKETS), "--rate", 5, "--levels", 10]
    with Cluster(workers=3, simulator=simulator) as cluster:
        cluster.apply(*[manifest(market, replicas=2) for market in MARKETS])
        for market in MARKETS:
            eventually(f"two copies of {market}", lambda: cluster.ready_replicas(f"e2e-{market.lower()}") == 2, 180)
        paths = [f"/get_{side}?exchange={EXCHANGE}&market={market}&limit_count={limit}"
                 for limit in range(1, 21) for market in MARKETS for side in ("asks", "bids")]
        auditor = Auditor(cluster, pipe)
        soak = Soak(cluster, auditor)
        auditor.start()
        print("\t".join(("minute", "fault", "answers exact", "not comparable", "wrong", "out of sync", "not explained")), flush=True)
        began = time.monotonic()
        with FixedRate(cluster.gateway[1], paths, rate, minutes * 60, record=pipe) as load:
            for step in range(minutes * 12):
                time.sleep(max(0.0, began + step * 5 - time.monotonic()))
                soak.sample()
                if step % 12 == 4 and step < (minutes - 1) * 12 + 5:
                    told = soak.fault(step // 12)
                if step % 12 == 10:
                    # Frozen for half a minute: longer than its Lease.
                    soak.thaw()
                    print("\t".join(map(str, (step // 12 + 1, told, auditor.exact, auditor.unknown, len(auditor.wrong),
                                              auditor.refusals, len(auditor.unexplained)))), flush=True)
            figures = load.figures(timeout=120)
        auditor.join(60)
    finish(soak, auditor, figures)


def finish(soak, auditor, figures):
    print("\t".join(("queries", "good", "failed", "told of a failover", "p50 ms", "p99 ms", "longest gap ms", "not recorded")))
    good = int(figures["questions"] - figures["failed"])
    print("\t".join(map(str, (figures["questions"], good, figures["failed"], figures["failovers"], figures["p50_ms"],
                              figures["p99_ms"], figures["longest_gap_ms"], figures["unrecorded"]))))
    unexplained = int(figures["failed"] - figures["refused"]) + len(auditor.unexplained)
    print(f"of the failed, out of sync (#6000): {figures['refused']}; not explained by a fault of the exchange: {unexplained}")
    print(f"answers compared: {auditor.exact} exact, {len(auditor.wrong)} wrong, {auditor.unknown} older than the exchange's memory")
    for words in auditor.wrong[:10] + auditor.unexplained[:10] + figures["failures"][:10]:
        print(f"\t{words}")
    rows = soak.growth()
    for name, early, late, is_borne in rows:
        print("\t".join((f"memory of {name}, MiB", f"{early:.1f}", f"{late:.1f}", "flat" if is_borne else "GROWS")))
    is_good = not auditor.wrong and unexplained == 0 and all(row[3] for row in rows) and auditor.exact > good * 0.8
    print("soak passed" if is_good else "soak FAILED", flush=True)
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
