#!/usr/bin/env bash
# hack/sanitize.sh [thread|address] [SUITE...]
#
# Builds the tests with a sanitizer, in a scratch path of its own, and runs the suites (test targets) one by one.
# Prints one line a suite: tests, reports, leaked bytes (`address` only), result. Fails if a suite fails or if a process
# of it, children too, reports a race or a memory error, or leaks although its suite is not in the list below.
# SANITIZE_SKIP_BUILD=1 runs what was built last; JOBS sets the build's width. See docs/sanitizers.md.
set -euo pipefail
cd "$(dirname "$0")/.."

sanitizer=${1:-thread}
case $sanitizer in
    thread | address) shift || true ;;
    *) echo "usage: hack/sanitize.sh [thread|address] [SUITE...]" >&2; exit 2 ;;
esac
suites=("$@")
[ $# -gt 0 ] || mapfile -t suites < <(cd Tests && ls -d *Tests)

# Suites whose leak reports do not fail the run, with the reason.
tolerated() {
    case $1 in
        SimulatorTests) echo "the tests' engines and sessions know each other and are never ended" ;;
        WorkerTests) echo "not traced yet" ;;
        *) return 1 ;;
    esac
}

scratch=.build/sanitize-$sanitizer
build=(--sanitize "$sanitizer" --scratch-path "$scratch")
[ -n "${SANITIZE_SKIP_BUILD:-}" ] || nice swift build --build-tests -j "${JOBS:-2}" "${build[@]}"

reports=$(mktemp -d "${TMPDIR:-/tmp}/fathom-sanitize.XXXXXX")
FATHOM_RECORDINGS=${FATHOM_RECORDINGS:-$PWD/../shared/data/recordings}
[ ! -d "$FATHOM_RECORDINGS" ] || export FATHOM_RECORDINGS

status=0
printf '%-20s %6s %8s %12s  %s\n' suite tests reports leaked result
for suite in "${suites[@]}"; do
    # One file for each process that reports, so that children count too. Leaks do not change a process's exit code.
    path=$reports/$suite
    export TSAN_OPTIONS="halt_on_error=0 second_deadlock_stack=1 log_path=$path.report"
    export ASAN_OPTIONS="detect_leaks=1 exitcode=0 log_path=$path.report"
    export LSAN_OPTIONS="print_suppressions=0 suppressions=$PWD/hack/sanitize-leaks.txt"
    result=passed
    nice swift test "${build[@]}" --skip-build --disable-xctest --no-parallel --filter "^$suite\." \
        >"$path.log" 2>&1 || result="failed (status $?)"
    tests=$(sed -nE 's/.*Test run with ([0-9]+) tests?.* passed .*/\1/p' "$path.log" | tail -1)
    found=$(cat "$path.report".* 2>/dev/null | grep -cE '^(WARNING: ThreadSanitizer|==[0-9]+==ERROR: AddressSanitizer)' || true)
    leaked=$(cat "$path.report".* 2>/dev/null | sed -nE 's/^SUMMARY: .*: ([0-9]+) byte\(s\) leaked.*/\1/p' | awk '{ n += $1 } END { print n + 0 }' || true)
    [ -n "$tests" ] || [ "$result" != passed ] || result="failed (no end of the run)"
    [ "$result" = passed ] && [ "$found" -eq 0 ] || status=1
    if [ "$leaked" -gt 0 ]; then
        if reason=$(tolerated "$suite"); then result="$result; leaks: $reason"; else status=1; fi
    fi
    [ "$sanitizer" = address ] || leaked=-
    printf '%-20s %6s %8s %12s  %s\n' "$suite" "${tests:-?}" "$found" "$leaked" "$result"
done
if [ "$status" -eq 0 ]; then rm -rf "$reports"; else echo "logs and reports: $reports" >&2; fi
exit "$status"
