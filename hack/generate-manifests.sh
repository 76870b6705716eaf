#!/usr/bin/env bash
# Makes from the chart what lies in the repository made: manifests/ for kubectl, and the table of values in docs/values.md.
# With --check nothing is written; it fails and names what is stale.
set -euo pipefail
cd "$(dirname "$0")/.."
exec hack/python.sh hack/generate_manifests.py "$@"
