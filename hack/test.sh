#!/usr/bin/env bash
# Builds and runs every test: the Swift suites, then the end-to-end tests against the real programs and kubectl.
# Arguments are passed on to `swift test`; with any, the end-to-end tests are left out.
set -euo pipefail
cd "$(dirname "$0")/.."

FATHOM_KUBECTL=$(hack/kubectl.sh)
export FATHOM_KUBECTL
export FATHOM_RECORDINGS=${FATHOM_RECORDINGS:-$PWD/../shared/data/recordings}
swift build --build-tests
# On two busy cores the suites with real sockets and processes are steadier one after the other.
swift test --skip-build --disable-xctest --no-parallel "$@"
[ $# -eq 0 ] || exit 0

# The chart, the manifests and the resource definitions, as Helm and Kubernetes' schemas see them.
(cd Tests/Chart && ../../hack/python.sh -m unittest -v)

# The programs that users run are release builds; FATHOM_BIN chooses others.
export FATHOM_BIN=${FATHOM_BIN:-$PWD/.build/debug}
cd Tests/EndToEnd
exec python3 -W ignore::ResourceWarning -m unittest -v
