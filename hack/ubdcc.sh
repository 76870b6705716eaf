#!/usr/bin/env bash
# Prints the path of the peer's command line, `ubdcc` from PyPI, in an environment of its own; its services stay out.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
version=0.9.1
environment=$root/.cache/ubdcc-$version
if [ ! -e "$environment/complete" ]; then
    mkdir -p "$root/.cache"
    # Two at once would write over each other.
    exec 9>"$root/.cache/ubdcc.lock"
    flock 9
    if [ ! -e "$environment/complete" ]; then
        rm -rf "$environment"
        python3 -m venv "$environment" >&2
        "$environment/bin/pip" install --quiet --disable-pip-version-check 'requests==2.32.5' >&2
        # What it depends on is the cluster itself, which is ours.
        "$environment/bin/pip" install --quiet --disable-pip-version-check --no-deps "ubdcc==$version" >&2
        touch "$environment/complete"
    fi
    exec 9>&-
fi
echo "$environment/bin/ubdcc"
