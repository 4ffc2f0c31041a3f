#!/usr/bin/env bash
# Starts a real server, runs the live suite against it, stops it.
#
#   dev/live.sh radosgw
#
# A gateway that is up already is used, and left up. Exit codes: 0 all passed, 1 a step failed, 2 usage, 3 skipped,
# because the server cannot run here. CI takes 3 for a failure unless LIVE_OPTIONAL=1.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" != radosgw ]; then
    echo "usage: dev/live.sh radosgw" >&2
    exit 2
fi

# Built first, so that the server does not wait for the compiler.
cargo build --quiet --locked -p waldur-examples --bin waldur-live

if ! dev/radosgw.sh status >/dev/null 2>&1; then
    trap 'dev/radosgw.sh down' EXIT
    dev/radosgw.sh up || {
        echo "SKIPPED: the gateway cannot run here; the reason is above" >&2
        exit 3
    }
fi
settings=$(dev/radosgw.sh env)
eval "$settings"
# What the live suite runs to have the gateway replaced in the middle of its work.
export RADOSGW_RESTART="dev/radosgw.sh restart"
cargo run --quiet --locked -p waldur-examples --bin waldur-live -- radosgw
