#!/usr/bin/env bash
# Prints what CHANGELOG.md says of a version: Scripts/changelog-section.sh 0.2.0
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?"expected a version, such as 0.2.0, or Unreleased"}
text=$(awk -v version="$version" '
  /^## / { inside = $2 == version; next }
  inside { print }
' CHANGELOG.md | sed -e '/./,$!d')
[ -n "$text" ] || { echo "changelog: CHANGELOG.md has no text of '$version'" >&2; exit 1; }
printf '%s\n' "$text"
