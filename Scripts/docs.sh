#!/usr/bin/env bash
# Builds the DocC documentation of the modules that have a catalog, with warnings as errors:
# Scripts/docs.sh [OUTPUT], by default .build/docs. It needs the toolchain's own docc and no plugin.
set -euo pipefail
cd "$(dirname "$0")/.."

output=${1:-.build/docs}
modules=(StreamFlow FlowCore FlowServer)
docc=$(command -v docc || xcrun --find docc)

swift package dump-symbol-graph --minimum-access-level public --skip-synthesized-members >/dev/null
graphs=$(swift build --show-bin-path)/../symbolgraph
mkdir -p "$output"
for module in "${modules[@]}"; do
  # Only the graphs of this module, with its extensions of others.
  own=$(mktemp -d)
  cp "$graphs/$module".symbols.json "$graphs/$module"@*.symbols.json "$own" 2>/dev/null || true
  "$docc" convert "Sources/$module/$module.docc" --additional-symbol-graph-dir "$own" \
    --fallback-display-name "$module" --fallback-bundle-identifier "$module" \
    --output-dir "$output/$module" --warnings-as-errors
  rm -rf "$own"
done
echo "docs: in $output"
