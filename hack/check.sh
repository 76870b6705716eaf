#!/usr/bin/env bash
# The repository's own rules: who may import whom, file size, escapes from the compiler's checks, a true map.
set -uo pipefail
cd "$(dirname "$0")/.."
failures=0
fail() { printf 'check: %s\n' "$1" >&2; failures=$((failures + 1)); }

# One line a module: the modules of this package and the system modules that it may import.
allowed() {
    case $1 in
        Books) echo "CPrefetch CDigits Synchronization" ;; # what Swift has no words for: one instruction, and products of vectors
        Arguments) echo "YAML" ;;
        Telemetry) echo "Glibc Synchronization FoundationEssentials" ;;
        YAML) echo "CYaml" ;;
        Transport) echo "Telemetry CCurl CWebSockets COpenSSL Glibc Synchronization FoundationEssentials Dispatch" ;;
        K8sClient) echo "Transport Telemetry YAML FoundationEssentials Glibc Synchronization" ;;
        DepthCacheAPI) echo "K8sClient Transport Telemetry YAML Books FoundationEssentials" ;;
        Binance) echo "Books Transport Telemetry YAML FoundationEssentials" ;;
        Controller) echo "Binance DepthCacheAPI K8sClient Transport Telemetry FoundationEssentials Glibc Synchronization" ;;
        Worker) echo "Binance Books CPrefetch DepthCacheAPI K8sClient Transport Telemetry FoundationEssentials Glibc Synchronization" ;;
        Gateway) echo "Binance Books DepthCacheAPI K8sClient Transport Telemetry FoundationEssentials Glibc Synchronization" ;;
        LocalCluster) echo "DepthCacheAPI K8sClient Transport Telemetry YAML CSQLite FoundationEssentials Glibc Synchronization Dispatch" ;;
        fathom) echo "Controller Worker Gateway LocalCluster Binance Books Transport Telemetry Arguments FoundationEssentials Glibc Dispatch Synchronization K8sClient DepthCacheAPI" ;;
        CCoreAffinity) echo "" ;; # a GNU call that the Swift overlay leaves out
        CPrecisePoll) echo "" ;; # waits by nanoseconds, for the same reason
        CAllocationCount) echo "" ;; # counts malloc calls for fathom-bench, which Swift cannot do
        fathom-bench) echo "Controller Worker Binance Books Transport Telemetry Arguments FoundationEssentials Glibc Dispatch Synchronization CAllocationCount CCoreAffinity CPrecisePoll" ;;
        exchange-simulator) echo "Binance Books Transport Telemetry Arguments FoundationEssentials Glibc Dispatch Synchronization CCoreAffinity" ;;
        *) return 1 ;;
    esac
}
for module in Sources/*/; do
    name=$(basename "$module")
    case $name in C[A-Z]*) [ -f "$module/module.modulemap" ] && continue ;; esac
    if ! may=$(allowed "$name"); then fail "$name: no row in the table of imports (hack/check.sh)"; continue; fi
    while IFS=: read -r file imported; do
        [[ " $may Swift " == *" $imported "* ]] || fail "$file: may not import $imported"
    done < <(grep -rnE '^ *(@[a-zA-Z]+(\([a-z]+\))? +)*((package|public|internal|private|fileprivate) +)?import ' "$module" --include='*.swift' \
        | sed -E 's/^([^:]+):[0-9]+:.*import +((struct|class|enum|func) +)?([A-Za-z0-9_]+).*/\1:\4/')
done

while read -r lines file; do
    [ "$file" = total ] || [ "$lines" -le 400 ] || fail "$file: $lines lines; a file has at most 400"
done < <(git ls-files '*.swift' | xargs wc -l)

while IFS=: read -r file line _; do
    previous=$(sed -n "$((line > 3 ? line - 3 : 1)),${line}p" "$file")
    [[ $previous == *"Safe because:"* ]] || fail "$file:$line: an escape from the compiler's checks without 'Safe because:'"
done < <(grep -rnE '@unchecked Sendable|nonisolated\(unsafe\)|^ *@safe ' Sources --include='*.swift')

if grep -rnE 'fatalError\(|try!|\bas!' Sources --include='*.swift'; then fail "a way to crash in Sources (see above)"; fi

if [ -f docs/map.md ]; then
    while read -r path; do
        [ -e "Sources/$path" ] || fail "docs/map.md names Sources/$path, which is not there"
    done < <(grep -oE '`[A-Za-z0-9-]+/[A-Za-z0-9/+-]+\.swift`' docs/map.md | tr -d '`')
fi

[ "$failures" -eq 0 ] || { echo "check: $failures rule(s) broken" >&2; exit 1; }
echo "check: all rules kept"
