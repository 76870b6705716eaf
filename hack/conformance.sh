#!/usr/bin/env bash
# Runs the conformance suite against the embedded API, against a real kube-apiserver, or (without an argument) both.
#
#   hack/conformance.sh [embedded|real] [TEST...]      for example: hack/conformance.sh real test_watch.Watches
set -euo pipefail
cd "$(dirname "$0")/.."
FATHOM_KUBECTL=${FATHOM_KUBECTL:-$(hack/kubectl.sh)}
export FATHOM_KUBECTL
export FATHOM_BIN=${FATHOM_BIN:-$PWD/.build/debug}

case ${1:-} in
embedded | real) servers=("$1"); shift ;;
*) servers=(embedded real) ;;
esac
# Before the clock of any test runs: the first time this takes some minutes.
[[ " ${servers[*]} " != *" real "* ]] || hack/real-apiserver.sh build >/dev/null
cd Tests/Conformance
for server in "${servers[@]}"; do
    FATHOM_CONFORMANCE=$server python3 -W ignore::ResourceWarning run.py "$@"
done
