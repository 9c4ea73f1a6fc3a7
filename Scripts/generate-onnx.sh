#!/usr/bin/env bash
# Writes Sources/FlowGraph/ONNX/onnx.pb.swift again from the official onnx.proto.
# Needs protoc, and protoc-gen-swift of the swift-protobuf version that Package.swift names:
#   Scripts/generate-onnx.sh path/to/onnx.proto path/to/protoc-gen-swift
set -euo pipefail
proto=$(realpath "$1")
plugin=$(realpath "$2")
cd "$(dirname "$0")/.."
output=Sources/FlowGraph/ONNX
protoc --plugin=protoc-gen-swift="$plugin" --proto_path="$(dirname "$proto")" \
  --swift_opt=Visibility=Internal --swift_opt=UseAccessLevelOnImports=true \
  --swift_out="$output" "$(basename "$proto")"
# The generator does not yet write the word that strict memory safety asks for.
sed -i.bak 's/= _StorageClass.defaultInstance$/= unsafe _StorageClass.defaultInstance/' "$output/onnx.pb.swift"
rm "$output/onnx.pb.swift.bak"
