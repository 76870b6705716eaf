#!/usr/bin/env bash
# Builds the image of Fathom as an OCI archive, without a container engine: the release binary, and from Debian's packages the shared
# libraries that it needs and the certificate authorities. The same sources, toolchain and packages give the same digest.
#
#   hack/build-image.sh [--output DIR] [--binary FILE] [--root DIR]
#
#   --output  where the archive fathom-VERSION-ARCHITECTURE.tar is put; otherwise dist
#   --binary  a program built elsewhere; otherwise it is built here
#   --root    only fill DIR with the image's files, for the Dockerfile
set -euo pipefail
cd "$(dirname "$0")/.."

output=dist binary='' root=''
while [ $# -gt 0 ]; do
    case $1 in
        --output) output=$2 ;;
        --binary) binary=$2 ;;
        --root) root=$2 ;;
        *) echo "build-image: unknown argument '$1'; see the head of hack/build-image.sh" >&2; exit 2 ;;
    esac
    shift 2
done

work=$PWD/.cache/image
mkdir -p "$work"
exec 9>"$work/lock"
flock 9

if [ -z "$binary" ]; then
    # The prefix map keeps this folder's path out of the program.
    swift build -c release --product fathom --static-swift-stdlib --scratch-path .build/image \
        -Xswiftc -file-prefix-map -Xswiftc "$PWD=/src" >&2
    binary=.build/image/release/fathom
fi

# apt with a state of its own: an empty system is asked for the libraries and all that they need, and nothing is installed here.
apt=$work/apt
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
: >"$apt/status"
private_apt() {
    apt-get -qq -o "Dir::State=$apt" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User= "$@" >&2
}
packages=(libcurl4 libwebsockets17 libyaml-0-2 libssl3 libsqlite3-0 libstdc++6 libgcc-s1 libc6 ca-certificates)
private_apt update
rm -f "$apt"/wanted/*.deb
mkdir -p "$apt/wanted"
private_apt install -y --download-only --no-install-recommends "${packages[@]}"
# The cache may hold older versions besides; these are the ones that are wanted now.
while read -r _ file _; do
    cp "$apt/cache/archives/$file" "$apt/wanted/"
done < <(apt-get -qq -o "Dir::State=$apt" -o "Dir::State::status=$apt/status" -o "Dir::Cache=$work/none" \
    install --print-uris -y --no-install-recommends "${packages[@]}" | tr -d "'")

if [ -n "$root" ]; then
    exec python3 hack/image_root.py --binary "$binary" --packages "$apt/wanted" --root "$root"
fi
rm -rf "$work/root"
python3 hack/image_root.py --binary "$binary" --packages "$apt/wanted" --root "$work/root"
version=$(sed -n 's/.*static let version = "\(.*\)"/\1/p' Sources/fathom/Main.swift)
mkdir -p "$output"
# The time of the last commit: the time of the build would make every image another one.
python3 hack/oci_image.py --root "$work/root" --version "$version" --architecture "$(dpkg --print-architecture)" \
    --time "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}" \
    --output "$output/fathom-$version-$(dpkg --print-architecture).tar"
