#!/usr/bin/env bash
# Holds the dependency trees of the published crates against their budgets, and their licences and sources against
# deny.toml. Prints the numbers.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0

# crates PACKAGE BUDGET CARGO-TREE-ARGUMENTS...
crates() {
    local package=$1 budget=$2 count
    shift 2
    count=$(cargo tree --locked -p "$package" -e normal,build --prefix none "$@" | sed 's/ (.*//' | sort -u | wc -l)
    printf '%-24s %-44s %3d crates (budget %d)\n' "$package" "$*" "$count" "$budget"
    [ "$count" -le "$budget" ] || { echo "  over budget" >&2; failed=1; }
}

# one version of everything in what a user of the crate builds; `syn` only ever runs inside procedural macros
duplicates() {
    local package=$1 found
    shift
    found=$(cargo tree --locked -p "$package" -e normal -d --depth 0 "$@" 2>/dev/null | grep -E '^[a-z]' | grep -v '^syn v' || true)
    [ -z "$found" ] || { printf 'duplicate versions in %s %s:\n%s\n' "$package" "$*" "$found" >&2; failed=1; }
}

crates waldur-sdk 111 --features rustls
crates waldur-sdk 107 --no-default-features --features rustls-ring
crates waldur-sdk 91 --no-default-features --features reqwest
crates waldur-sdk 66 --no-default-features
crates waldur-backend-croit 109
crates waldur-backend-harbor 67

for features in rustls rustls-ring native-tls tracing testing; do
    duplicates waldur-sdk --no-default-features --features "$features"
done
duplicates waldur-backend-croit
duplicates waldur-backend-harbor

cargo metadata --locked --format-version 1 --filter-platform x86_64-unknown-linux-gnu | python3 -c '
import json, re, sys, tomllib
meta = json.load(sys.stdin)
allowed = set(tomllib.load(open("deny.toml", "rb"))["licenses"]["allow"])
local = {p["id"] for p in meta["packages"] if p["source"] is None}
published = {p["id"] for p in meta["packages"] if p["source"] is None and p["publish"] is None}
edges = {n["id"]: [d["pkg"] for d in n["deps"] if any(k["kind"] != "dev" for k in d["dep_kinds"])] for n in meta["resolve"]["nodes"]}
seen, queue = set(), list(published)
while queue:
    node = queue.pop()
    if node not in seen:
        seen.add(node)
        queue += edges[node]
bad = []
for package in meta["packages"]:
    if package["id"] not in seen or package["id"] in local:
        continue
    expression = package["license"] or ""
    # "A OR B", "A AND B", "A/B": every AND part needs one allowed alternative.
    parts = [re.findall(r"[A-Za-z0-9.+-]+(?: WITH [A-Za-z0-9.-]+)?", part) for part in expression.replace("/", " OR ").split(" AND ")]
    for alternatives in parts:
        if not any(word.split(" WITH ")[0] in allowed for word in alternatives):
            bad.append(package["name"] + ": " + (expression or "no licence"))
            break
    if not (package["source"] or "").startswith("registry+"):
        bad.append(package["name"] + ": comes from " + str(package["source"]))
print(f"{len(seen - local)} dependencies of the published crates, all features: licences and sources " + ("bad" if bad else "good"))
for line in bad:
    print("  " + line, file=sys.stderr)
sys.exit(1 if bad else 0)
' || failed=1

exit "$failed"
