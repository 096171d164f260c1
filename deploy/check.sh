#!/usr/bin/env bash
# Checks everything in deploy/ and .github/ as far as the installed tools go, and says what was left out.
# With --tests only what wants nothing but Go: no release, no scripts, no images.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
  "" | --tests) ;;
  *) echo "usage: deploy/check.sh [--tests]" >&2; exit 2 ;;
esac
skipped=()
leftOut() { for s in "${skipped[@]}"; do echo "left out: $s"; done; }

echo "== chart, compose file, rules, dashboard, unit, workflows"
log=$(mktemp)
trap 'rm -rf "$log" "${out:-}"' EXIT
(cd deploy/check && test -z "$(gofmt -l .)" && go vet ./... && go test -count=1 -v ./...) >"$log" 2>&1 || { grep -v '^=== \|^--- PASS' "$log"; exit 1; }
grep -c '^--- PASS' "$log" | sed 's/$/ tests passed/'
(cd deploy/check && go mod tidy -diff && go mod verify >/dev/null)
while read -r line; do skipped+=("$line"); done < <(sed -n 's/^ *[a-z_]*test\.go:[0-9]*: \(.*is not installed.*\)/\1/p' "$log" | sort -u)
grep -q 'redis-server' "$log" && skipped+=("redis-server is not installed: metrics came from a worker on the stand-in")
if [ "${1:-}" = --tests ]; then leftOut; exit; fi

echo "== release, built twice from the same sources"
out=$(mktemp -d)
PLATFORMS=linux/$(go env GOARCH) OUT=$out/1 deploy/release.sh devel >/dev/null
PLATFORMS=linux/$(go env GOARCH) OUT=$out/2 deploy/release.sh devel >/dev/null
diff "$out/1/SHA256SUMS" "$out/2/SHA256SUMS"
tar -xzf "$out"/1/*.tar.gz -C "$out" --strip-components=1
"$out/shortwire" version
"$out/smscsim" --help >/dev/null

echo "== scripts"
if command -v shellcheck >/dev/null; then shellcheck deploy/*.sh; else skipped+=("shellcheck is not installed: scripts were not checked"); fi

echo "== images"
if docker info >/dev/null 2>&1; then
  docker build -q -f deploy/Dockerfile -t shortwire:check . >/dev/null
  docker run --rm shortwire:check version
else
  skipped+=("no docker daemon: images were not built")
fi

leftOut
