#!/usr/bin/env bash
# A fixed rate of queries for many minutes with a fault every minute: the exchange's, killed and frozen workers. Every answer is
# compared with the simulator's true book at the answer's update id, and the memory of every process is watched.
# Prints a table; fails on a wrong answer, on a failed query that no fault explains, and on memory that grows past the bound.
# Needs release builds (make build) and kubectl.
#   hack/soak.sh [minutes, default 20] [queries a second, default 1000]
set -euo pipefail
cd "$(dirname "$0")/.."
export FATHOM_BIN=${FATHOM_BIN:-$PWD/.build/release}
[ -x "$FATHOM_BIN/fathom" ] || { echo "soak: build first: make build" >&2; exit 1; }
FATHOM_KUBECTL=${FATHOM_KUBECTL:-$(hack/kubectl.sh)}
export FATHOM_KUBECTL
exec python3 Tests/EndToEnd/soak.py "$@"
