#!/usr/bin/env bash
# A real Kubernetes API for tests, from Debian alone: kube-apiserver, kube-controller-manager (built once from Debian 12's source
# package, then cached) and etcd. Nothing outside the cache and the data directory is written; everything listens on loopback only.
#
#   hack/real-apiserver.sh build                    builds what is missing in the cache; prints the cache's folder
#   hack/real-apiserver.sh start --data-dir D [--service-account NAMESPACE/NAME]...
#                                                   starts all three, waits until they serve and prints D/cluster.json
#   hack/real-apiserver.sh stop --data-dir D        ends what `start` began; the data stay, and `start` goes on with them
#   hack/real-apiserver.sh stop-api --data-dir D    ends kube-apiserver alone; `start` brings it back at the same port
#   hack/real-apiserver.sh compact --data-dir D     compacts etcd: watches from older resource versions get 410
#
# cluster.json: server, certificate authority, and a token and a kubeconfig for the admin and each ServiceAccount-like user.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)

version=1.20.2
cache=${FATHOM_CACHE:-$HOME/.cache/fathom}/kubernetes-$version
mirror=${FATHOM_DEBIAN_MIRROR:-http://deb.debian.org/debian}
programs=(kube-apiserver kube-controller-manager etcd)

say() { echo "real-apiserver: $*" >&2; }

is_built() {
    local program
    for program in "${programs[@]}"; do [ -x "$cache/$program" ] || return 1; done
}

# Installs what the build needs; without root it prints the one command that does, as hack/setup.sh.
install_tools() {
    local packages=(golang-go rsync dpkg-dev make patch xz-utils debian-archive-keyring) missing=() package
    for package in "${packages[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -ne 0 ]; then
        say "these Debian packages are missing; run this once, then try again:"
        echo "    sudo apt-get update && sudo apt-get install -y ${missing[*]}" >&2
        exit 1
    fi
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# apt-get with sources of its own: newer Debian releases carry only kubectl's sources, and the machine's own lists stay as they are.
private_apt() {
    local work=$1
    shift
    apt-get -qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root "$@"
}

build() {
    mkdir -p "$cache"
    exec 8>"$cache/lock"
    flock 8
    if is_built; then
        echo "$cache"
        return
    fi
    install_tools
    local work=$cache/work keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    rm -rf "$work"
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/go/src/k8s.io"
    printf 'deb [signed-by=%s] %s bookworm main\ndeb-src [signed-by=%s] %s bookworm main\n' \
        "$keyring" "$mirror" "$keyring" "$mirror" >"$work/sources.list"
    private_apt "$work" update
    say "fetching etcd and the sources of Kubernetes $version"
    # etcd is unpacked, not installed: installing it would start a service.
    (cd "$work" && private_apt "$work" download etcd-server && dpkg-deb -x etcd-server_*.deb etcd)
    (cd "$work" && private_apt "$work" download golang-github-modern-go-reflect2-dev \
        && dpkg-deb -x golang-github-modern-go-reflect2-dev_*.deb reflect2)
    (cd "$work" && private_apt "$work" source --download-only kubernetes \
        && dpkg-source --no-check -x kubernetes_*.dsc kubernetes >/dev/null)
    # The vendored reflect2 1.0.1 walks maps as Go did before 1.18: with bookworm's Go 1.19 kube-apiserver dies of a
    # segmentation fault at the first custom resource with managed fields. Debian's own package has the repaired version.
    local vendored=$work/kubernetes/vendor/github.com/modern-go/reflect2
    rm "$vendored"/*.go
    cp "$work"/reflect2/usr/share/gocode/src/github.com/modern-go/reflect2/*.go "$vendored/"
    rm -f "$vendored"/*_test.go
    ln -s "$work/kubernetes" "$work/go/src/k8s.io/kubernetes"
    say "building kube-apiserver and kube-controller-manager $version; this takes some minutes, once"
    (
        cd "$work/go/src/k8s.io/kubernetes"
        # Upstream's own make in GOPATH mode: its generators write the code that `go build` alone misses.
        unset GOPROXY GOFLAGS
        export GOPATH=$work/go GO111MODULE=off CGO_ENABLED=0 GOCACHE=$work/go-cache
        export KUBE_GIT_VERSION=v$version KUBE_GIT_COMMIT=debian KUBE_GIT_TREE_STATE=archive KUBE_GIT_MAJOR=1 KUBE_GIT_MINOR=20
        make WHAT="cmd/kube-apiserver cmd/kube-controller-manager" >"$cache/build.log" 2>&1 \
            || { tail -n 20 "$cache/build.log" >&2; exit 1; }
    )
    local program
    for program in kube-apiserver kube-controller-manager; do
        install -m 0755 "$(find "$work/kubernetes/_output" -type f -name "$program" -path '*bin*' | head -n 1)" "$cache/$program"
    done
    install -m 0755 "$work/etcd/usr/bin/etcd" "$cache/etcd"
    # The sources and Go's cache are a gigabyte; only the programs are kept.
    chmod -R u+w "$work" && rm -rf "$work"
    echo "$cache"
}

case ${1:-} in
build) build ;;
start | stop | stop-api | compact)
    command=$1
    shift
    if [ "$command" = start ]; then build >/dev/null; fi
    exec python3 "$here/hack/real_apiserver.py" --programs "$cache" "$command" "$@"
    ;;
*)
    sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0" >&2
    exit 2
    ;;
esac
