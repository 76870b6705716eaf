#!/usr/bin/env bash
# Builds and runs every test. Arguments are passed on to `swift test`.
set -euo pipefail
cd "$(dirname "$0")/.."

FATHOM_KUBECTL=$(hack/kubectl.sh)
export FATHOM_KUBECTL
export FATHOM_RECORDINGS=${FATHOM_RECORDINGS:-$PWD/../shared/data/recordings}
swift build --build-tests
exec swift test --skip-build --disable-xctest "$@"
