#!/usr/bin/env bash
# A worker is killed, then one is frozen, under a fixed rate of queries for markets with two copies. Prints tab-separated what became
# of the queries, the longest time without a good answer, and when every market had two synchronised copies again.
# Needs release builds (make build) and kubectl.
#   hack/measure-failover.sh [queries a second, default 2000] [seconds, default 60] [cases, default: SIGKILL SIGSTOP]
set -euo pipefail
cd "$(dirname "$0")/.."
export FATHOM_BIN=${FATHOM_BIN:-$PWD/.build/release}
[ -x "$FATHOM_BIN/fathom" ] || { echo "measure-failover: build first: make build" >&2; exit 1; }
FATHOM_KUBECTL=${FATHOM_KUBECTL:-$(hack/kubectl.sh)}
export FATHOM_KUBECTL
exec python3 Tests/EndToEnd/measure_failover.py "$@"
