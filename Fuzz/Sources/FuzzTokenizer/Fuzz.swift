import FlowText
import Foundation

private let folder = "\(NSTemporaryDirectory())/fuzz-\(ProcessInfo.processInfo.processIdentifier)"

/// Opens any bytes as a tokenizer's files, and encodes any prompt.
///
/// The first byte says which file the bytes are; with a whole vocabulary they are the prompt.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  guard let kind = bytes.first else { return 0 }
  let content = Data(bytes.dropFirst())
  let vocabulary = Data(#"{"a</w>":0,"ab</w>":3,"<|startoftext|>":1,"<|endoftext|>":2}"#.utf8)
  var files = ["vocab.json": vocabulary, "merges.txt": Data("#version: 0.2\na b</w>\n".utf8)]
  switch kind % 5 {
  case 0: files["vocab.json"] = content
  case 1: files["merges.txt"] = content
  case 2: files["special_tokens_map.json"] = content
  case 3: files = ["tokenizer.json": content]
  default: break
  }
  try? FileManager.default.removeItem(atPath: folder)
  try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  for (name, data) in files {
    FileManager.default.createFile(atPath: "\(folder)/\(name)", contents: data)
  }
  guard let tokenizer = try? CLIPTokenizer(folder: folder) else { return 0 }
  let prompt = String(decoding: content, as: UTF8.self)
  for length in [2, 3, 24] {
    let encoded = tokenizer.encode(prompt, length: length)
    precondition(encoded.tokens.count == length)
    precondition(encoded.tokens.indices.contains(encoded.endIndex))
    let weighted = tokenizer.encode(WeightedPrompt(parsing: prompt), length: length)
    precondition((1...CLIPTokenizer.chunkLimit).contains(weighted.chunks.count))
    for chunk in weighted.chunks {
      precondition(chunk.tokens.count == length && chunk.weights.count == length)
      precondition(chunk.tokens.indices.contains(chunk.endIndex))
    }
  }
  return 0
}
