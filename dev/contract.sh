#!/usr/bin/env bash
# Holds what the client sends and what the fake of generation 8 answers against a published OpenAPI document.
#
#   dev/contract.sh PATH/waldur-openapi.yaml
#
# The document is not part of this repository. Checked is what is said in the tests of the SDK and of the agent, and in a tour through
# every call of the client and every path of the fake: paths, methods, query parameters with their values, names of
# `field`, members and types of bodies, and refusals as far as anybody says what they look like. Faults that tests make are
# not in it: exchanges are taken where the fake hears and answers (waldur-sdk/tests/support/exchanges.rs). What may differ,
# and why, is in dev/contract-exceptions.txt; an exception that excuses nothing fails like a deviation. Exit codes: 0 all
# agree, 1 something does not, 2 usage.
set -euo pipefail

if [ ! -f "${1:-}" ]; then
    echo "usage: dev/contract.sh PATH/waldur-openapi.yaml" >&2
    exit 2
fi
contract=$(realpath "$1")
cd "$(dirname "$0")/.."

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export CONTRACT=$contract CONTRACT_OUT=$out
cargo test --quiet --locked -p waldur-examples --test contract_tour --test agent >"$out/log" || { cat "$out/log"; exit 1; }
suite=(client fake_waldur_behaviour keys membership orders orders_secrets usage)
cargo test --quiet --locked -p waldur-sdk "${suite[@]/#/--test=}" >"$out/log" || { cat "$out/log"; exit 1; }
python3 dev/contract.py "$out" dev/contract-exceptions.txt
