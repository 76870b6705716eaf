#!/usr/bin/env bash
# Measures what an event costs with few books and with many, taking turns: `fathom-bench feed` with 10 and with 2,000 books
# runs at the same time, but only one of them at any moment, an eighth of a second each, so that both meet about the same minute of the
# machine. Both begin when the books of both are deep; the slower one runs its last events alone.
#
#   hack/measure-flatness.sh [--takes 5] [--seconds 8] [--few 10] [--many 2000] [--cores 0,1]
#
# FATHOM_BIN chooses the programs, otherwise .build/release is built.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${FATHOM_BIN:-}" ] || swift build -c release -j 2 >/dev/null
export FATHOM_BIN=${FATHOM_BIN:-$PWD/.build/release}
exec python3 hack/measure_flatness.py "$@"
