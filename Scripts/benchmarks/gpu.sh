#!/bin/sh
# On a machine with an NVIDIA GPU: whether its images are the CPU's, and how fast they are made.
#
#     Scripts/benchmarks/gpu.sh
#     MODEL=FOLDER SIZES=512 Scripts/benchmarks/gpu.sh              a model beside the starter
#     DEVICES=onnxruntime:CPU Scripts/benchmarks/gpu.sh             other devices than CUDA and TensorRT
#
# KEEP_BUILD=1 uses the release build that is there; ROUNDS is how often each configuration is timed (default: 3).
#
# Needs ffmpeg and the driver; Scripts/setup.sh --onnxruntime --cuda fetches the runtime, and what CUDA itself needs stands in
# Documentation/onnxruntime.md. OUTPUT names the folder of the report (default: out/measurements/gpu). A device that fails is
# reported, and the others continue; the exit status is 1 then.
set -eu
cd "$(dirname "$0")/../.."

devices=${DEVICES:-onnxruntime:cuda:0 onnxruntime:tensorrt:0}
output=${OUTPUT:-out/measurements/gpu}
sizes=
for size in ${SIZES:-512}; do sizes="$sizes --size $size"; done
streamflow=.build/release/streamflow
report=$output/README.md
failed=0

command -v ffmpeg > /dev/null || { echo "gpu.sh: ffmpeg is missing; it compares the images" >&2; exit 1; }
Scripts/setup.sh
case $devices in *cuda* | *tensorrt*) Scripts/setup.sh --onnxruntime --cuda ;; *) Scripts/setup.sh --onnxruntime ;; esac
if [ ! -x "$streamflow" ] || [ -z "${KEEP_BUILD:-}" ]; then swift build -c release --product streamflow; fi

mkdir -p "$output"
"$streamflow" devices > "$output/devices.txt" 2>&1 || true
nvidia-smi > "$output/nvidia-smi.txt" 2>&1 || true
{
  echo "# Devices against the CPU"
  echo
  "$streamflow" doctor 2>/dev/null | sed -n 's/^ *\(.*processor .*\)/    \1/p' || true
} > "$report"

# generate DEVICE FOLDER PRECISION: the twelve images of the demo
generate() {
  "$streamflow" generate --prompts-file Scripts/demo-prompts.txt --seed 7 --device "$1" --precision "$3" --overwrite \
    --contact-sheet "$2/sheet.png" --output "$2" > "$2.log" 2>&1
}

# ratio A B: the PSNR of two images in dB
ratio() {
  ffmpeg -hide_banner -i "$1" -i "$2" -lavfi psnr -f null - 2>&1 | sed -n 's/.*average:\([^ ]*\).*/\1/p'
}

generate CPU "$output/cpu" f32 || { echo "gpu.sh: the CPU failed: $(tail -n 1 "$output/cpu.log")" >&2; exit 1; }
{
  echo
  echo "The twelve images of the demo against the CPU's in float32, PSNR of the sheet:"
  echo
  echo "| device | precision | PSNR |"
  echo "|---|---|---|"
} >> "$report"
for device in $devices; do
  name=$(echo "$device" | tr ':' '-')
  for precision in f32 auto; do
    if generate "$device" "$output/$name-$precision" "$precision"; then
      echo "| $device | $precision | $(ratio "$output/$name-$precision/sheet.png" "$output/cpu/sheet.png") dB |" >> "$report"
    else
      failed=1
      echo "| $device | $precision | failed: $(tail -n 1 "$output/$name-$precision.log") |" >> "$report"
    fi
  done
done

# measure DEVICE SUITE FOLDER [OPTIONS]
measure() {
  device=$1 suite=$2 folder=$output/$3
  shift 3
  if "$streamflow" benchmark --suite "$suite" --device "$device" --output "$folder" "$@" > "$folder.log" 2>&1; then
    ! grep -q 'failed: ' "$folder/$suite.md" || failed=1
    { echo; sed -e 's/^#/##/' -e "s|](|](${folder##*/}/|" "$folder/$suite.md"; } >> "$report"
  else
    failed=1
    { echo; echo "$suite on $device failed: $(tail -n 1 "$folder.log")"; } >> "$report"
  fi
}

for device in CPU $devices; do
  name=$(echo "$device" | tr ':' '-')
  measure "$device" batching "$name-starter-batching" --rounds "${ROUNDS:-3}" --seconds 1
  measure "$device" efficiency "$name-starter-efficiency" --rounds "${ROUNDS:-3}"
  if [ -n "${MODEL:-}" ]; then
    # shellcheck disable=SC2086  # several options
    measure "$device" efficiency "$name-model-efficiency" --model "$MODEL" --rounds "${ROUNDS:-3}" $sizes
  fi
done
echo "The report is $report"
exit "$failed"
