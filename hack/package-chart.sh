#!/usr/bin/env bash
# Packs the chart as fathom-VERSION.tgz and lists all versions that lie in the folder in its index.yaml: a folder that any HTTP server,
# or `helm install` itself, takes charts from. The same files give the same bytes.
#
#   hack/package-chart.sh [DIR]       DIR: otherwise dist/charts
set -euo pipefail
cd "$(dirname "$0")/.."
exec hack/python.sh hack/package_chart.py "${1:-dist/charts}" "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}"
