#!/usr/bin/env bash
# Holds what the client sends to Harbor and what `FakeHarbor` answers against Harbor's published contract.
#
#   dev/harbor-contract.sh PATH/swagger.yaml [python]
#
# The document is api/v2.0/swagger.yaml of Harbor, and not part of this repository. Checked is what is said between the
# tests of the back end's crate and the fake, recorded exchanges among it: paths, methods, query parameters with their
# values, members and types of bodies, statuses, and the form of refusals. Faults that tests make are not in it. What may
# differ, and why, is in dev/harbor-contract-exceptions.txt; an exception that excuses nothing fails like a deviation. The
# interpreter needs PyYAML; the one that `peer` installs below target/peer/venv has it. Exit codes: 0 all agree,
# 1 something does not, 2 usage.
set -euo pipefail

if [ ! -f "${1:-}" ]; then
    echo "usage: dev/harbor-contract.sh PATH/swagger.yaml [python]" >&2
    exit 2
fi
contract=$(realpath "$1")
python=${2:-python3}
cd "$(dirname "$0")/.."

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
CONTRACT_OUT=$out cargo test --quiet --locked -p waldur-backend-harbor --tests >"$out/log" || { cat "$out/log"; exit 1; }
"$python" dev/harbor-contract.py "$contract" "$out" dev/harbor-contract-exceptions.txt
