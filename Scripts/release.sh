#!/usr/bin/env bash
# Prepares a release: Scripts/release.sh 0.2.0
#
# Writes the version into the sources, CITATION.cff and CHANGELOG.md, commits and tags them, and puts the source
# archive, the packages of this platform, the Homebrew formula, the bill of materials and the checksums into
# .build/packages. It pushes nothing: `git push --follow-tags` starts the release workflow.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "release: $1" >&2
  exit 1
}

version=${1:-}
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || fail "expected a version such as 0.2.0, got '$version'"
source=Sources/StreamFlow/Requests/ImageParameters.swift
old=$(sed -n 's/^public let streamFlowVersion = "\(.*\)"/\1/p' "$source")
[ -n "$old" ] || fail "$source states no version"
[ -z "$(git status --porcelain)" ] || fail "the checkout has changes; commit or stash them"
! git rev-parse -q --verify "refs/tags/$version" >/dev/null || fail "the tag $version exists"
[ "$(printf '%s\n' "$old" "$version" | sort -V | tail -1)" = "$version" ] || fail "$version is older than $old"
Scripts/changelog-section.sh Unreleased >/dev/null || fail "nothing is unreleased"
command -v jq >/dev/null || fail "needs jq"

undo() {
  git checkout -q -- "$source" CHANGELOG.md CITATION.cff
  fail "failed; the files are as they were"
}
trap undo ERR
today=$(date -u +%Y-%m-%d)
sed -i "s/^public let streamFlowVersion = .*/public let streamFlowVersion = \"$version\"/" "$source"
sed -i "s/^## Unreleased\$/## Unreleased\n\n## $version - $today/" CHANGELOG.md
sed -i '/^version: /d; /^date-released: /d' CITATION.cff
sed -i "s/^license: MIT\$/license: MIT\nversion: $version\ndate-released: $today/" CITATION.cff
git commit -qam "Release $version"
trap - ERR
git tag -a "$version" -m "StreamFlow $version"

packages=.build/packages
rm -rf "$packages"
Scripts/package.sh "$packages"
git archive --format=tar.gz --prefix="StreamFlow-$version/" -o "$packages/StreamFlow-$version.tar.gz" "$version"
hash=$(sha256sum "$packages/StreamFlow-$version.tar.gz" | cut -d' ' -f1)
sed -e "s/@VERSION@/$version/g" -e "s/@SHA256@/$hash/" Packaging/homebrew/streamflow.rb >"$packages/streamflow.rb"
Scripts/sbom.sh >"$packages/StreamFlow-$version.spdx.json"
(cd "$packages" && rm -f SHA256SUMS* && sha256sum -- * >SHA256SUMS)
echo "release: $version is committed and tagged; the packages are in $packages"
echo "release: to publish, run: git push --follow-tags"
echo "release: then: gh release upload $version $packages/StreamFlow-$version.* $packages/streamflow.rb"
