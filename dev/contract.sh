#!/usr/bin/env bash
# Holds what the client sends and what the fake of generation 8 answers against a published OpenAPI document.
#
#   dev/contract.sh PATH/waldur-openapi.yaml
#
# The document is not part of this repository. A tour through every call of the client and every path of the fake is
# recorded; checked are paths, methods, query parameters, members and types of bodies. What may differ, and why, is in
# dev/contract-exceptions.txt; an exception that excuses nothing fails like a deviation. Exit codes: 0 all agree,
# 1 something does not, 2 usage.
set -euo pipefail

if [ ! -f "${1:-}" ]; then
    echo "usage: dev/contract.sh PATH/waldur-openapi.yaml" >&2
    exit 2
fi
contract=$(realpath "$1")
cd "$(dirname "$0")/.."

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
CONTRACT=$contract CONTRACT_OUT=$out cargo test --quiet --locked -p waldur-examples --test contract_tour
python3 dev/contract.py "$out/contract.json" "$out/exchanges.jsonl" dev/contract-exceptions.txt
