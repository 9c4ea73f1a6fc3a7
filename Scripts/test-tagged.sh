#!/usr/bin/env bash
# Runs the tagged suites (Scripts/tagged-suites.sh) of a build that is there, two processes at a time: an engine has one core
# then, and what waits leaves its core to the other process. Suites of one process run one after another.
set -euo pipefail
cd "$(dirname "$0")/.."
workers=${TEST_WORKERS:-2}
parts=${TEST_PARTS:-6}
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
mapfile -t suites < <(Scripts/tagged-suites.sh | sed 's/^\\\.(//; s/)\/$//' | tr '|' '\n')

# Every sixth suite is one part, so that neighbours, which share what they compile, are apart, and parts take about as long.
run() {
  local part=$1 names=() index
  for ((index = part; index < ${#suites[@]}; index += parts)); do names+=("${suites[index]}"); done
  local pattern
  pattern="\\.($(IFS='|'; echo "${names[*]}"))/"
  local start=$SECONDS status=0
  "${SWIFT:-swift}" test --ignore-lock --no-parallel --skip-build --filter "$pattern" > "$logs/$part" 2>&1 || status=$?
  # One writer at a time.
  (
    flock 9
    echo "== part $((part + 1)) of $parts: ${#names[@]} suites in $((SECONDS - start)) s"
    grep -vE "^(◇|↳) |^Another instance of SwiftPM" "$logs/$part" || true
  ) 9> "$logs/lock"
  return $status
}
export -f run

failed=0
pids=()
for ((part = 0; part < parts; part++)); do
  while (($(jobs -rp | wc -l) >= workers)); do wait -n || failed=1; done
  run "$part" &
done
while (($(jobs -rp | wc -l) > 0)); do wait -n || failed=1; done
exit $failed
