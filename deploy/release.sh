#!/usr/bin/env bash
# Builds what a release publishes, into dist/ or OUT: for each platform a tar.gz with the programs, and their
# bills of materials; SHA256SUMS over all. The same commit and Go version give the same octets.
#
#   deploy/release.sh v1.2.0                        # needs a clean checkout
#   PLATFORMS=linux/amd64 deploy/release.sh devel   # devel may be dirty
#   deploy/release.sh --twice v1.2.0                # and again elsewhere from an empty cache: must be the same
set -euo pipefail
cd "$(dirname "$0")/.."

twice=
[ "${1-}" = --twice ] && { twice=1; shift; }
version=${1:?usage: deploy/release.sh [--twice] VERSION}
out=$(realpath -m "${OUT:-dist}")
read -ra platforms <<<"${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64}"

if [ "$version" != devel ]; then
  [[ $version =~ ^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || { echo "release: VERSION must be like v1.2.0, is $version" >&2; exit 2; }
  [ -z "$(git status --porcelain)" ] || { echo "release: the checkout has changes; commit them first" >&2; exit 2; }
fi
commit=$(git rev-parse HEAD)
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
date=$(TZ=UTC printf '%(%FT%TZ)T' "$epoch")
# Without grpcnotrace gRPC links html/template, and with it every exported method: ten MiB.
export CGO_ENABLED=0 GOFLAGS="-buildvcs=false -tags=grpcnotrace" GOTOOLCHAIN=local GOAMD64=v1 GOARM64=v8.0
ldflags="-s -w -buildid= -X main.release=${version#devel} -X main.commit=$commit -X main.date=$date"
if tar --version 2>/dev/null | grep -q GNU; then tar=tar; else tar=gtar; fi # only GNU's sorts

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

# build SOURCE OUT
build() {
  local p name program stage
  stage=$(mktemp -d -p "$work")
  rm -rf "$2"
  mkdir -p "$2"
  for p in "${platforms[@]}"; do
    name=shortwire_${version}_${p/\//_}
    mkdir "$stage/$name"
    (cd "$1" && GOOS=${p%/*} GOARCH=${p#*/} go build -trimpath -ldflags "$ldflags" -o "$stage/$name/" ./cmd/shortwire ./cmd/smscsim)
    (cd "$1" && cp LICENSE README.md CHANGELOG.md deploy/shortwire.example.yaml deploy/systemd/shortwire.service "$stage/$name/")
    for program in shortwire smscsim; do
      (cd "$1" && go run ./deploy/sbom -version "$version" "$stage/$name/$program") >"$2/$name.$program.cdx.json"
    done
    (cd "$stage" && $tar --sort=name --owner=0 --group=0 --numeric-owner --mode=u+rw,go=rX,a-s --mtime="@$epoch" --format=ustar -cf - "$name" | gzip -9n) >"$2/$name.tar.gz"
  done
  (cd "$2" && sha256sum -- * >"$stage/SHA256SUMS" && mv "$stage/SHA256SUMS" .)
}

build . "$out"
cat "$out/SHA256SUMS"
if [ -n "$twice" ]; then
  mkdir "$work/elsewhere"
  git archive HEAD | tar -x -C "$work/elsewhere"
  GOCACHE=$work/cache build "$work/elsewhere" "$work/again"
  diff "$out/SHA256SUMS" "$work/again/SHA256SUMS" && echo "built twice, in two places, the second time from an empty cache: the same"
fi
