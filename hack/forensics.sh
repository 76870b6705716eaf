#!/usr/bin/env bash
# Twenty-five hours of a market in about a quarter of an hour, kept by three rules side by side and audited against the whole truth:
# naive (keep everything, never refresh), cut to the best 1000 after each event, and Fathom (the real worker, over its whole live path).
#
#   hack/forensics.sh [--events 900000] [--rate 1000] [--audits 30] [--reconnects 10]
#
# FATHOM_BIN chooses the programs, otherwise .build/release is built.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -n "${FATHOM_BIN:-}" ] || swift build -c release -j 2 >/dev/null
export FATHOM_BIN=${FATHOM_BIN:-$PWD/.build/release} FATHOM_KUBECTL=${FATHOM_KUBECTL:-$(hack/kubectl.sh)}
PYTHONPATH=Tests/EndToEnd exec python3 hack/forensics.py "$@"
