#!/usr/bin/env bash
# Fuzzes the parsers of what an exchange sends, guided by coverage (libFuzzer), under the address sanitizer.
#
#   hack/fuzz.sh [wire|rest|all] [executions]
#
# FUZZ_JOBS processes share the executions (default 1). It starts from the frames in Tests/Fuzz/corpus/<target>/ and from the inputs that
# earlier runs found, <target>.found (base64, one a line), which FUZZ_MERGE=1 writes anew. A crash leaves its input in .build/fuzz/ and the
# exit code is not 0.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-all} executions=${2:-1000000} jobs=${FUZZ_JOBS:-1}
out=.build/fuzz
mkdir -p "$out"
# The modules of C that Books uses.
shims=(-I Sources/CDigits -I Sources/CPrefetch)
export SWIFT_BACKTRACE=enable=no
# Nobody else ends the fuzzers if this ends before them.
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

module() { # name, flags, files: compiles one module into the fuzzer
    local name=$1; shift
    swiftc -O -wmo -parse-as-library -swift-version 6 -package-name fathom -sanitize=fuzzer,address \
        -enable-upcoming-feature ExistentialAny -enable-upcoming-feature InternalImportsByDefault \
        -enable-upcoming-feature MemberImportVisibility -enable-upcoming-feature NonisolatedNonsendingByDefault \
        -module-name "$name" -emit-module -emit-module-path "$out/$name.swiftmodule" -emit-object -o "$out/$name.o" \
        -I "$out" "${shims[@]}" "$@"
}
module Books Sources/Books/*.swift
# All of Binance but what reads the YAML file: libyaml is not what is fuzzed here.
module Binance Sources/Binance/Wire/*.swift Sources/Binance/REST/*.swift Sources/Binance/Exchange.swift
module FuzzChecks Tests/Fuzz/Checks/*.swift

run() {
    local name=$1 corpus=Tests/Fuzz/corpus/$1 found=$out/$1-corpus
    swiftc -O -parse-as-library -swift-version 6 -package-name fathom -sanitize=fuzzer,address -I "$out" "${shims[@]}" -use-ld=lld \
        -o "$out/fuzz-$name" "Tests/Fuzz/Entry/$name.swift" "$out/Books.o" "$out/Binance.o" "$out/FuzzChecks.o"
    mkdir -p "$found"
    local number=0
    while read -r line; do
        number=$((number + 1))
        base64 -d <<<"$line" >"$found/kept-$number"
    done <"$corpus.found"
    local options=(-max_len=2048 -timeout=10 -rss_limit_mb=1024 -dict=Tests/Fuzz/json.dict
        -artifact_prefix="$out/$name-" -print_final_stats=1)
    local each=$((executions / jobs)) running=()
    for ((job = 1; job <= jobs; job++)); do
        nice "$out/fuzz-$name" "${options[@]}" -runs="$each" "$found" "$corpus" 2>"$out/$name-$job.log" &
        running+=($!)
    done
    local failed=0
    for pid in "${running[@]}"; do wait "$pid" || failed=1; done
    for ((job = 1; job <= jobs; job++)); do
        grep -E '^stat::(number_of_executed_units|average_exec_per_sec)|^==|Fatal error|SUMMARY|DONE' "$out/$name-$job.log" \
            | sed "s/^/$name: /" || true
    done
    if [ "${FUZZ_MERGE:-0}" = 1 ]; then
        # The fewest inputs that reach every edge of the code, one a line.
        local merged; merged=$(mktemp -d)
        "$out/fuzz-$name" -set_cover_merge=1 -use_counters=0 -max_len=2048 "$merged" "$corpus" "$found" 2>"$out/$name-merge.log"
        for input in "$merged"/*; do base64 -w0 "$input"; echo; done | sort >"$corpus.found"
        rm -r "$merged"
    fi
    [ "$failed" = 0 ] || { tail -40 "$out/$name-1.log" >&2; exit 1; }
}
case $target in
    all) run wire; run rest ;;
    wire | rest) run "$target" ;;
    *) echo "usage: hack/fuzz.sh [wire|rest|all] [executions]" >&2; exit 2 ;;
esac
