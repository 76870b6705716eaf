#!/usr/bin/env bash
# Connections replaced and lost while all books are asked all the time: planned turnovers, an announced shutdown, and for
# comparison a hard disconnect. Prints a table. Needs release builds (make build) and kubectl.
#   hack/measure-turnover.sh [books, default 500] [feeds..., default 1 2]
set -euo pipefail
cd "$(dirname "$0")/.."
export FATHOM_BIN=${FATHOM_BIN:-$PWD/.build/release}
[ -x "$FATHOM_BIN/fathom" ] || { echo "measure-turnover: build first: make build" >&2; exit 1; }
FATHOM_KUBECTL=${FATHOM_KUBECTL:-$(hack/kubectl.sh)}
export FATHOM_KUBECTL
exec python3 Tests/EndToEnd/measure_turnover.py "$@"
