#!/usr/bin/env bash
# What the SDK costs whoever builds it: crates in the tree, and the CPU seconds of a cold `cargo check`.
#
# CPU seconds are user and system time of cargo and all its children: unlike time on the wall they hardly depend on
# what else the machine does. Empty target directory, sources already downloaded, incremental compilation off. "own
# code" is the same check once more after touching the package and nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_INCREMENTAL=0 CARGO_TERM_COLOR=never CARGO_NET_OFFLINE=true
export CARGO_TARGET_DIR
CARGO_TARGET_DIR=$(mktemp -d)
trap 'rm -rf "$CARGO_TARGET_DIR"' EXIT

CARGO_NET_OFFLINE=false cargo fetch --locked --quiet

crates() {
    cargo tree --locked -e normal,build --prefix none "$@" | sed 's/ (.*//' | sort -u | wc -l
}

# cpu COMMAND...: the CPU seconds that it takes
cpu() {
    local times
    times=$({ TIMEFORMAT='%U %S'; time "$@" >/dev/null 2>&1; } 2>&1) || { echo "failed: $*" >&2; return 1; }
    awk '{ printf "%.1f", $1 + $2 }' <<<"$times"
}

# measure NAME PACKAGE CARGO-ARGUMENTS...
measure() {
    local name=$1 package=$2 cold own
    shift 2
    rm -rf "${CARGO_TARGET_DIR:?}"/*
    cold=$(cpu cargo check --locked -p "$package" "$@")
    cargo clean --quiet -p "$package"
    own=$(cpu cargo check --locked -p "$package" "$@")
    printf '%-36s %7d %18s %14s\n' "$name" "$(crates -p "$package" "$@")" "$cold" "$own"
}

printf '%s, %s cores, load %s\n' "$(rustc --version)" "$(nproc)" "$(cut -d' ' -f1-3 /proc/loadavg)"
printf '%-36s %7s %18s %14s\n' "" "crates" "cold check, CPU s" "own code, CPU s"
measure "SDK, no TLS, no reqwest" waldur-sdk --no-default-features
measure "SDK, rustls-ring" waldur-sdk --no-default-features --features rustls-ring
measure "SDK, rustls (aws-lc-rs, the default)" waldur-sdk --features rustls
measure "SDK, rustls-ring, and croit" waldur-backend-croit --features waldur-sdk/rustls-ring
measure "SDK, rustls, and croit" waldur-backend-croit --features waldur-sdk/rustls
printf 'load %s at the end\n' "$(cut -d' ' -f1-3 /proc/loadavg)"
