#!/bin/sh
# Measures this machine and writes a folder with every table, chart and figure.
#
#     make measure                                              the embedded starter, about 10 minutes
#     make measure MODEL=FOLDER SIZES="256 512"                 a model too
#     make measure MODEL=FOLDER PEERS="venv/bin/python Scripts/benchmarks/peer.py"     and other programs
#
# OUTPUT names the folder (default: out/measurements/DATE-PROCESSOR), DEVICE the device, ROUNDS how often each
# configuration is timed (default: 3). Other load on the machine changes the figures; its amount is noted.
set -eu
cd "$(dirname "$0")/.."

streamflow=.build/release/streamflow
rounds=${ROUNDS:-3}
device=${DEVICE:-CPU}
processor=$("$streamflow" doctor 2>/dev/null | sed -n 's/.*processor  *\([^,]*\),.*/\1/p' | tr -cs 'A-Za-z0-9' '-' | sed 's/^-*//; s/-*$//')
output=${OUTPUT:-out/measurements/$(date +%F)-${processor:-unknown}}
mkdir -p "$output"

load() { [ ! -r /proc/loadavg ] || echo "$1: $(cut -d ' ' -f 1-3 /proc/loadavg)" >> "$output/load.txt"; }

# Doctor fails if something optional is broken; what it found is what counts.
"$streamflow" doctor > "$output/doctor.txt" 2>&1 || true
load before
"$streamflow" benchmark --suite precision --device "$device" --rounds "$rounds" --output "$output/starter-precision" > /dev/null
"$streamflow" benchmark --suite batching --device "$device" --rounds "$rounds" --seconds 1 --output "$output/starter-batching" > /dev/null
if [ -n "${MODEL:-}" ]; then
  sizes=
  for size in ${SIZES:-256 512}; do sizes="$sizes --size $size"; done
  # shellcheck disable=SC2086  # several options
  "$streamflow" benchmark --suite precision --model "$MODEL" --device "$device" --rounds "$rounds" $sizes \
    --output "$output/model-precision" > /dev/null
  # shellcheck disable=SC2086
  "$streamflow" benchmark --suite batching --model "$MODEL" --device "$device" --rounds 1 --seconds 1 --steps 1 $sizes \
    --output "$output/model-batching" > /dev/null
  # shellcheck disable=SC2086
  "$streamflow" benchmark --suite efficiency --model "$MODEL" --device "$device" --rounds "$rounds" $sizes \
    ${PEERS:+--peers "$PEERS"} --output "$output/model-efficiency" > /dev/null
fi
load after
echo "The measurements are in $output"
