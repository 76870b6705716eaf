#!/usr/bin/env bash
# Queries per second through one gateway and one worker, and the memory of a worker, on the simulator.
# Prints tab-separated lines. Needs release builds (make build) and wrk (Debian).
#   hack/bench-query.sh [seconds per run, default 10] [runs, default 5]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-10}
runs=${2:-5}
command -v wrk >/dev/null || { echo "bench-query: wrk is missing: apt-get install wrk" >&2; exit 1; }
fathom=.build/release/fathom
[ -x "$fathom" ] || { echo "bench-query: build first: make build" >&2; exit 1; }
kubectl=$(hack/kubectl.sh)
data=$(mktemp -d)

# start <markets> <levels>: a cluster with one worker and that many books, each changing 10 times a second.
start() {
    "$fathom" up --simulate --workers 1 --port 0 --kube-port 0 --data-dir "$data/$1" \
        --simulator-arg=--symbols --simulator-arg="$1" --simulator-arg=--rate --simulator-arg=10 \
        --simulator-arg=--depth --simulator-arg="$2" >"$data/up.log" 2>&1 &
    up=$!
    for _ in $(seq 600); do grep -q 'Fathom is up' "$data/up.log" && break; sleep 0.1; done
    port=$(sed -n 's/.*"gateway":{[^}]*"port":\([0-9]*\).*/\1/p' "$data/$1/up.json")
    for number in $(seq "$1"); do
        case $number in
            1) market=BTCUSDT ;; 2) market=ETHUSDT ;; 3) market=BNBUSDT ;; 4) market=XRPUSDT ;; 5) market=SOLUSDT ;;
            *) market=$(printf 'SIM%04dUSDT' "$number") ;;
        esac
        printf -- '---\n{"apiVersion":"fathom.dev/v1alpha1","kind":"DepthCache","metadata":{"name":"bench-%s"},"spec":{"exchange":"binance.com","market":"%s"}}\n' \
            "$number" "$market"
    done >"$data/caches.yaml"
    "$kubectl" --kubeconfig "$data/$1/kubeconfig" apply -f "$data/caches.yaml" >/dev/null
    "$kubectl" --kubeconfig "$data/$1/kubeconfig" wait --for=condition=Ready depthcaches --all --timeout=300s >/dev/null
}
finish() { kill -TERM "$up" 2>/dev/null && wait "$up" || true; }
trap 'finish; rm -rf "$data"' EXIT

cat >"$data/mix.lua" <<'LUA'
local names = { "BTCUSDT", "ETHUSDT", "BNBUSDT", "XRPUSDT", "SOLUSDT" }
for n = 6, 50 do names[n] = string.format("SIM%04dUSDT", n) end
local requests, next, threads = {}, 0, {}
setup = function(thread) table.insert(threads, thread) end
init = function()
    for n = 1, 1000 do
        local side = n % 2 == 0 and "asks" or "bids"
        requests[n] = wrk.format("GET", string.format("/get_%s?exchange=binance.com&market=%s&limit_count=%d",
            side, names[n % 50 + 1], n % 20 + 1))
    end
end
request = function() next = next % 1000 + 1; return requests[next] end
response = function(status, _, body)
    if status ~= 200 or not body:find('"result":"OK"', 1, true) then wrong = (wrong or 0) + 1 end
end
done = function(summary, latency)
    local e, refused = summary.errors, 0
    for _, thread in ipairs(threads) do refused = refused + (thread:get("wrong") or 0) end
    io.write(string.format("RESULT %.0f %.2f %.2f %d\n", summary.requests / summary.duration * 1e6,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000, refused + e.connect + e.read + e.write + e.status + e.timeout))
end
LUA

start 50 1000
echo -e "case\trequests_per_second\tp50_ms\tp99_ms\terrors"
for run in $(seq "$runs"); do
    wrk -t1 -c64 -d"${seconds}s" -s "$data/mix.lua" "http://127.0.0.1:$port" |
        sed -n "s/^RESULT \(.*\) \(.*\) \(.*\) \(.*\)/query run $run\t\1\t\2\t\3\t\4/p"
done | tee "$data/runs.tsv"
sort -t$'\t' -k2,2n "$data/runs.tsv" | awk -F'\t' '{row[NR] = $2} END {print "query median\t" row[int((NR + 1) / 2)]}'
finish

start 200 1000
worker=$(sed -n 's/.*"workers":\[{[^}]*"pid":\([0-9]*\).*/\1/p' "$data/200/up.json")
echo -e "memory of a worker with 200 books, MiB\t$(awk '/VmRSS/ {printf "%.1f", $2 / 1024}' "/proc/$worker/status")"
