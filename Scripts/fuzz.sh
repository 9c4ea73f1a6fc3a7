#!/usr/bin/env bash
# Runs each fuzzer for some seconds on its seeds: Scripts/fuzz.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
swift build --package-path Fuzz --sanitize fuzzer
# The runtime's own backtraces would keep libFuzzer from writing down the input of a crash.
export SWIFT_BACKTRACE=enable=no
binaries=$(swift build --package-path Fuzz --sanitize fuzzer --show-bin-path)
corpus=.build-fuzz
starter=Sources/FlowModels/Resources/starter
mkdir -p $corpus/{FuzzSafetensors,FuzzGGUF,FuzzTokenizer,FuzzPicture,FuzzMultipart,FuzzRequest}
cp Tests/StreamFlowTests/Fixtures/text-gelu/golden.safetensors $corpus/FuzzSafetensors/
cp Tests/FlowEngineTests/Fixtures/small.gguf $corpus/FuzzGGUF/
for kind in 0 3; do { printf "\\$kind"; head -c 2000 $starter/tokenizer/vocab.json; } >"$corpus/FuzzTokenizer/vocab-$kind"; done
{ printf '\1'; head -c 2000 $starter/tokenizer/merges.txt; } >$corpus/FuzzTokenizer/merges
{ printf '\2'; cat $starter/tokenizer/special_tokens_map.json; } >$corpus/FuzzTokenizer/special
{ printf '\4'; printf 'a Fox, isn'\''t it? \xf0\x9f\xa6\x8a'; } >$corpus/FuzzTokenizer/prompt
cp Tests/FlowImageTests/Fixtures/{pictures,metadata}/*.{png,jpg} $corpus/FuzzPicture/
printf 'multipart/form-data; boundary=x\n--x\r\nContent-Disposition: form-data; name="a"; filename="a%%22.png"\r\n\r\nb\r\n--x--\r\n' >$corpus/FuzzMultipart/form
printf '0{"prompt": "a (fox:1.2)", "n": 2, "size": "64x64", "seed": 7, "blend": [{"prompt": "b", "weight": 0.5}]}' >$corpus/FuzzRequest/order
printf '1{"prompts": ["a", "b"], "n": 3, "model": "m", "steps": 4, "background": "opaque"}' >$corpus/FuzzRequest/job
printf '3limit=5&after=job-a&status=running&order=asc' >$corpus/FuzzRequest/query
printf '4--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\na\r\n--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\nb\r\n--x--\r\n' >$corpus/FuzzRequest/edit
printf '5[{"a\\ud83e\\udd8a\\n": [-1.5e3, true, null]}, 18446744073709551615]' >$corpus/FuzzRequest/json
printf '2{"prompt": "a", "strength": 0.5, "similar": null, "guidance": "full", "guidance_scale": 3}' >$corpus/FuzzRequest/live
# FUZZERS="FuzzPicture FuzzRequest" for some of them.
for fuzzer in ${FUZZERS:-FuzzSafetensors FuzzGGUF FuzzTokenizer FuzzPicture FuzzMultipart FuzzRequest}; do
  echo "== $fuzzer, $seconds seconds"
  "$binaries/$fuzzer" -max_total_time="$seconds" -max_len=8192 \
    -rss_limit_mb=4096 -artifact_prefix="$corpus/$fuzzer-" -print_final_stats=1 \
    "$corpus/$fuzzer" 2>"$corpus/$fuzzer.log" || { tail -40 "$corpus/$fuzzer.log"; exit 1; }
  grep -E "stat::number_of_executed_units" "$corpus/$fuzzer.log"
done
