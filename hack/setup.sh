#!/usr/bin/env bash
# Installs the Debian packages that Fathom needs, with the argument `tests` those of its tests too, with `benchmarks` those of
# hack/bench-query.sh. Without root it prints the one command that does.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted_swift=$(cut -d. -f1,2 .swift-version)
if ! command -v swift >/dev/null; then
    echo "setup: the Swift toolchain is missing: install Swift $wanted_swift and put its bin folder on PATH" >&2
    exit 1
fi
if ! swift --version 2>/dev/null | grep -q "Swift version $wanted_swift"; then
    echo "setup: Swift $wanted_swift is needed, this is: $(swift --version 2>/dev/null | head -n 1)" >&2
    exit 1
fi

packages=(libcurl4-openssl-dev libwebsockets-dev libyaml-dev libssl-dev libsqlite3-dev pkg-config
    ca-certificates curl procps python3-venv)
# The peer's dashboard is driven in a browser; one that is there already will do.
if [ "${1:-}" = tests ] && ! command -v chromium chromium-browser google-chrome >/dev/null; then
    packages+=(chromium fonts-dejavu-core)
fi
# The completion of the command line is tried in both shells.
[ "${1:-}" = tests ] && packages+=(zsh)
[ "${1:-}" = benchmarks ] && packages+=(wrk nginx-light gcc)
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
    echo "setup: these Debian packages are missing; run this once, then try again:" >&2
    echo "    sudo apt-get update && sudo apt-get install -y ${missing[*]}" >&2
    exit 1
fi
echo "setup: installing ${missing[*]}"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
