#!/usr/bin/env bash
# Runs Python with Helm, YAML, CEL and the scanners of hack/requirements.txt, in an environment of its own:
#     hack/python.sh Tests/Chart/test_values.py
# Without arguments it prints the path of that Python.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    { echo "python.sh: Python 3.11 or newer is needed, this is $(python3 --version)" >&2; exit 1; }
wanted=$(cat "$root/hack/requirements.txt" "$root/hack/constraints.txt" | sha256sum | cut -c 1-12)
environment=$root/.cache/python-$wanted
if [ ! -e "$environment/complete" ]; then
    mkdir -p "$root/.cache"
    # Two at once would write over each other.
    exec 9>"$root/.cache/python.lock"
    flock 9
    if [ ! -e "$environment/complete" ]; then
        echo "python.sh: installing the packages of hack/requirements.txt" >&2
        rm -rf "$root"/.cache/python-????????????
        python3 -m venv "$environment" >&2
        "$environment/bin/pip" install --quiet --disable-pip-version-check \
            -r "$root/hack/requirements.txt" -c "$root/hack/constraints.txt" >&2
        touch "$environment/complete"
    fi
    exec 9>&-
fi
[ $# -gt 0 ] || { echo "$environment/bin/python"; exit 0; }
exec "$environment/bin/python" "$@"
