#!/usr/bin/env bash
# A hard disconnect of all books of one worker while another worker has copies of them, and for comparison without one.
# Prints how long they were away, how many snapshots the exchange gave, and how the queries fared.
# Needs release builds (make build) and kubectl.
#   hack/measure-recovery.sh [books, default 500]
set -euo pipefail
cd "$(dirname "$0")/.."
export FATHOM_BIN=${FATHOM_BIN:-$PWD/.build/release}
[ -x "$FATHOM_BIN/fathom" ] || { echo "measure-recovery: build first: make build" >&2; exit 1; }
FATHOM_KUBECTL=${FATHOM_KUBECTL:-$(hack/kubectl.sh)}
export FATHOM_KUBECTL
exec python3 Tests/EndToEnd/measure_recovery.py "$@"
