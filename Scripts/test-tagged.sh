#!/usr/bin/env bash
# Runs the tagged suites (Scripts/tagged-suites.sh) of the build that is there, three processes at a time: what waits in one leaves its
# core to the other. The suites of a process run one after another. Where tests are not one program (macOS), one process runs all.
set -euo pipefail
cd "$(dirname "$0")/.."
swift=${SWIFT:-swift}
workers=${TEST_WORKERS:-3}
parts=${TEST_PARTS:-24}
program=$("$swift" build --show-bin-path)/StreamFlowPackageTests.xctest
if [[ ! -f $program ]]; then
  exec "$swift" test --no-parallel --skip-build --filter "$(Scripts/tagged-suites.sh)"
fi
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
mapfile -t suites < <(Scripts/tagged-suites.sh | sed 's/^\\\.(//; s/)\/$//' | tr '|' '\n')

# Every 24th suite in the order of names is one part, so that long ones, whose names are alike, are apart, and the last
# parts are short.
run() {
  local part=$1 names=() index status=0 start=$SECONDS
  for ((index = part; index < ${#suites[@]}; index += parts)); do names+=("${suites[index]}"); done
  "$program" --testing-library swift-testing --no-parallel \
    --filter "\\.($(IFS='|'; echo "${names[*]}"))/" > "$logs/$part" 2>&1 || status=$?
  # One writer at a time; a part that ended before its last line has crashed.
  (
    flock 9
    echo "== part $((part + 1)) of $parts: ${#names[@]} suites, $((SECONDS - start)) s, status $status"
    grep -vE "^(◇|↳) " "$logs/$part" || true
  ) 9> "$logs/lock"
  grep -q "Test run with [1-9]" "$logs/$part" || return 1
  return $status
}

failed=0
for ((part = 0; part < parts; part++)); do
  while (($(jobs -rp | wc -l) >= workers)); do wait -n || failed=1; done
  run "$part" &
done
while (($(jobs -rp | wc -l) > 0)); do wait -n || failed=1; done
if ((failed)); then
  # Once more at the end, where a log that is cut short still has them.
  grep -hE "^✘|Fatal error|[Ss]anitizer:" "$logs"/[0-9]* >&2 || true
  echo "error: tests failed" >&2
fi
exit $failed
