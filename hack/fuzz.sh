#!/usr/bin/env bash
# Fuzzes the parsers of what an exchange sends, guided by coverage (libFuzzer), under the address sanitizer.
#
#   hack/fuzz.sh [wire|rest|all] [executions]
#
# FUZZ_JOBS processes share the executions (default 1). New inputs that reach new code are merged into
# Tests/Fuzz/corpus/<target> when FUZZ_MERGE=1. A crash leaves its input in .build/fuzz/ and the exit code is not 0.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-all} executions=${2:-1000000} jobs=${FUZZ_JOBS:-1}
out=.build/fuzz
mkdir -p "$out"
export SWIFT_BACKTRACE=enable=no

module() { # name, flags, files: compiles one module into the fuzzer
    local name=$1; shift
    swiftc -O -wmo -parse-as-library -swift-version 6 -package-name fathom -sanitize=fuzzer,address \
        -enable-upcoming-feature ExistentialAny -enable-upcoming-feature InternalImportsByDefault \
        -enable-upcoming-feature MemberImportVisibility -enable-upcoming-feature NonisolatedNonsendingByDefault \
        -module-name "$name" -emit-module -emit-module-path "$out/$name.swiftmodule" -emit-object -o "$out/$name.o" \
        -I "$out" "$@"
}
module Books Sources/Books/*.swift
# All of Binance but what reads the YAML file: libyaml is not what is fuzzed here.
module Binance Sources/Binance/Wire/*.swift Sources/Binance/REST/*.swift Sources/Binance/Exchange.swift
module FuzzChecks Tests/Fuzz/Checks/*.swift

run() {
    local name=$1 corpus=Tests/Fuzz/corpus/$1 found=$out/$1-corpus
    swiftc -O -parse-as-library -swift-version 6 -package-name fathom -sanitize=fuzzer,address -I "$out" -use-ld=lld \
        -o "$out/fuzz-$name" "Tests/Fuzz/Entry/$name.swift" "$out/Books.o" "$out/Binance.o" "$out/FuzzChecks.o"
    mkdir -p "$found"
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
            | sed "s/^/$name: /"
    done
    if [ "${FUZZ_MERGE:-0}" = 1 ]; then
        local merged; merged=$(mktemp -d)
        "$out/fuzz-$name" -merge=1 -max_len=2048 "$merged" "$corpus" "$found" 2>"$out/$name-merge.log"
        rm -f "$corpus"/*; cp "$merged"/* "$corpus"/; rm -r "$merged"
    fi
    [ "$failed" = 0 ] || { tail -40 "$out/$name-1.log" >&2; exit 1; }
}
case $target in
    all) run wire; run rest ;;
    wire | rest) run "$target" ;;
    *) echo "usage: hack/fuzz.sh [wire|rest|all] [executions]" >&2; exit 2 ;;
esac
