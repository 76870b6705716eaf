#!/usr/bin/env bash
# Measures how fast new books come up within the exchange's request weight, on the simulator with the real limits.
#   hack/measure-startup.sh [--markets 200] [--replicas 1] [--workers 2] [--depth 500] [--no-build]
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --no-build ]; then
    shift
else
    swift build -c release --product fathom
    swift build -c release --product exchange-simulator
fi
export FATHOM_BIN="${FATHOM_BIN:-$PWD/.build/release}"
exec python3 hack/measure-startup.py "$@"
