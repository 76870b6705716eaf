#!/usr/bin/env bash
# Breaks one rule of the book after the other and sees whether the tests notice.
#
#   hack/mutate.sh [NAME...]       all of Tests/Mutations/*.patch, or those whose file names contain NAME
#
# Each patch is applied to a copy of Sources/Books, which is built with Tests/BooksTests alone. Killed: a test failed.
# Survived: none did, and the exit code is 1. A patch that does not apply or does not build ends the run with 2.
# MODEL_HISTORIES (default 5): random histories of each family; a mutant is killed by the first that fails.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$(mktemp -d "${TMPDIR:-/tmp}/fathom-mutate.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/Sources" "$work/Tests/TestSupport"
cp -r Sources/Books Sources/CPrefetch Sources/CDigits "$work/Sources/"
cp -r Tests/BooksTests "$work/Tests/BooksTests"
cp Tests/TestSupport/SplitMix64.swift "$work/Tests/TestSupport/"
cp -r Sources/Books "$work/original"
cat > "$work/Package.swift" <<'PACKAGE'
// swift-tools-version: 6.3
import PackageDescription

let house: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .strictMemorySafety(),
]
let package = Package(
    name: "fathom",
    targets: [
        .systemLibrary(name: "CPrefetch"),
        .systemLibrary(name: "CDigits"),
        .target(name: "Books", dependencies: ["CPrefetch", "CDigits"], swiftSettings: house),
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: house),
        .testTarget(name: "BooksTests", dependencies: ["Books", "TestSupport"], swiftSettings: house),
    ])
PACKAGE
export FATHOM_MODEL_HISTORIES=${MODEL_HISTORIES:-5}
build() { (cd "$work" && swift build --build-tests > build.log 2>&1); }
# A mutant that loops for ever is killed too: the tests of an intact book take a small part of this.
check() { (cd "$work" && timeout 600 swift test --disable-xctest --skip-build > test.log 2>&1); }

build || { grep error: "$work/build.log" | head; echo "the intact book does not build"; exit 2; }
check || { grep '✘' "$work/test.log" | head; echo "the intact book fails its tests"; exit 2; }
killed=0 survivors=()
for patch in Tests/Mutations/*.patch; do
    name=$(basename "$patch" .patch)
    if [ $# -gt 0 ]; then
        wanted=no
        for part in "$@"; do [[ $name == *$part* ]] && wanted=yes; done
        [ $wanted = yes ] || continue
    fi
    rm -rf "$work/Sources/Books"
    cp -r "$work/original" "$work/Sources/Books"
    (cd "$work" && patch -s -p1 < "$root/$patch") || { echo "$name does not apply"; exit 2; }
    build || { grep error: "$work/build.log" | head -5; echo "$name does not build"; exit 2; }
    if check; then
        survivors+=("$name")
        printf 'SURVIVED\t%s\n' "$name"
    else
        killed=$((killed + 1))
        printf 'killed\t%s\t%s\n' "$name" "$(grep -m1 -o 'Test ".*" recorded' "$work/test.log" | sed 's/ recorded//' || echo 'no end')"
    fi
done
echo "killed $killed, survived ${#survivors[@]}"
[ ${#survivors[@]} -eq 0 ]
