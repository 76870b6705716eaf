#!/usr/bin/env bash
# Helm 4 where there is no helm: the commands that docs/install.md uses, through Helm's own library from PyPI.
#     hack/helm.sh install fathom charts/fathom --namespace fathom --create-namespace
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
exec "$root/hack/python.sh" "$root/hack/helm_command.py" "$@"
