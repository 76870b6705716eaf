#!/usr/bin/env bash
# Builds and runs every test: the Swift suites, the conformance suite on both API servers, then the end-to-end tests against the
# real programs and kubectl. Arguments are passed on to `swift test`; with any, only that is done.
# FATHOM_REAL=0 leaves out the real kube-apiserver, whose first build takes some minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

FATHOM_KUBECTL=$(hack/kubectl.sh)
export FATHOM_KUBECTL
export FATHOM_RECORDINGS=${FATHOM_RECORDINGS:-$PWD/../shared/data/recordings}
swift build --build-tests
# On two busy cores the suites with real sockets and processes are steadier one after the other.
# What failed is said again at the end, where it is seen.
results=$(mktemp "${TMPDIR:-/tmp}/fathom-tests.XXXXXX")
trap 'rm -f "$results"' EXIT
if ! swift test --skip-build --disable-xctest --no-parallel "$@" 2>&1 | tee "$results"; then
    printf '\nWhat failed:\n' >&2
    grep -A3 -E '^✘|Fatal error|error:' "$results" >&2 || tail -5 "$results" >&2
    exit 1
fi
rm -f "$results"
[ $# -eq 0 ] || exit 0

# The chart, the manifests and the resource definitions, as Helm and Kubernetes' schemas see them.
(cd Tests/Chart && ../../hack/python.sh -m unittest -v)

# The programs that users run are release builds, which fail in other ways than debug ones do; FATHOM_BIN chooses others.
if [ -z "${FATHOM_BIN:-}" ]; then
    swift build -c release
    export FATHOM_BIN=$PWD/.build/release
fi
if [ "${FATHOM_REAL:-1}" = 0 ]; then
    hack/conformance.sh embedded
else
    hack/conformance.sh
fi
cd Tests/EndToEnd
exec python3 -W ignore::ResourceWarning -m unittest -v
