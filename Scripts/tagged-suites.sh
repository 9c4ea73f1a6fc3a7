#!/usr/bin/env bash
# The suites that have a tag (Tests/FlowTestSupport/Tags.swift), as a pattern for `swift test`.
set -euo pipefail
cd "$(dirname "$0")/.."
names=$(grep -rhoE '@Suite\(.*\.tags\(.*struct [A-Za-z0-9]+' Tests | sed 's/.*struct //' | sort -u | paste -sd '|' -)
echo "\\.(${names})/"
