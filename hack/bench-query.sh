#!/usr/bin/env bash
# Queries through one gateway and one worker, side by side with nginx serving bodies of the same size, on the simulator.
# Prints tab-separated lines: medians, the ratio, the goal and whether it was met. Needs release builds (make build) and wrk, nginx
# and a C compiler from Debian, which it installs as hack/setup.sh does.
#   hack/bench-query.sh [seconds a run, default 5] [runs, default 5] [cases, default all: bare mix rate side best memory bulk]
set -euo pipefail
cd "$(dirname "$0")/.."
hack/setup.sh benchmarks
export FATHOM_BIN=${FATHOM_BIN:-$PWD/.build/release}
[ -x "$FATHOM_BIN/fathom" ] || { echo "bench-query: build first: make build" >&2; exit 1; }
FATHOM_KUBECTL=${FATHOM_KUBECTL:-$(hack/kubectl.sh)}
export FATHOM_KUBECTL
exec python3 Tests/EndToEnd/measure_query.py "$@"
