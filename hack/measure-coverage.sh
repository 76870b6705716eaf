#!/usr/bin/env bash
# Replays the 651 s recording through the whole live path and compares every level with the exchange's book once a second:
# Fathom inside the coverage that it claims, and beside it the rule "cut to the best 1000 after each event".
#
#   hack/measure-coverage.sh [--seconds 651] [--depth 500] [--pace 1]
#
# Needs FATHOM_RECORDINGS (or ../shared/data/recordings); FATHOM_BIN chooses the programs, otherwise .build/debug.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${FATHOM_BIN:-}" ] || swift build -j 2 >/dev/null
export FATHOM_BIN=${FATHOM_BIN:-$PWD/.build/debug} FATHOM_KUBECTL=${FATHOM_KUBECTL:-$(hack/kubectl.sh)}
PYTHONPATH=Tests/EndToEnd exec python3 hack/measure_coverage.py "$@"
