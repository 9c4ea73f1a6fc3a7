#!/usr/bin/env bash
# What a compiler on Linux does not notice and macOS 15 or arm64 would.
set -euo pipefail
cd "$(dirname "$0")/.."
# git refuses a checkout of another owner; what follows would then find nothing.
git rev-parse --git-dir >/dev/null
status=0
report() { echo "error: $1" >&2; status=1; }

# Array.span is the standard library's (macOS 26) where FlowCore, which has one for macOS 15, is not imported.
while read -r file; do
  case "$file" in Sources/FlowCore/* | Sources/FlowDigest/* | Tests/FlowDigestTests/*) continue ;; esac
  grep -qE '^(@testable |internal |public |package )?import FlowCore' "$file" ||
    report "$file: uses .span or .mutableSpan without import FlowCore"
done < <(git grep -lE '\.(span|mutableSpan)\b' -- '*.swift')

# dyld looks for a bare library name in the working directory.
git grep -nE '"lib[A-Za-z_]+[A-Za-z0-9_.]*\.dylib"' -- Sources |
  grep -v 'Sources/FlowOpenVINO/RuntimeLocation.swift' && report "a bare library name on Apple systems"
# Absent on iOS.
git grep -n 'homeDirectoryForCurrentUser' -- Sources && report "use NSHomeDirectory()"
exit $status
