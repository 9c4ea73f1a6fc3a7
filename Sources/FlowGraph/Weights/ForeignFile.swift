/// A file of another format with the name of a safetensors file, detected by its first bytes.
enum ForeignFile: String {
  case gitLFSPointer = "version https://git-lfs."
  case zip = "PK\u{3}\u{4}"
  case gguf = "GGUF"
  case html = "<!DOCTYPE html"
  case lowercaseHTML = "<!doctype html"
  case plainHTML = "<html"
  case pickle = "pickle"

  init?(_ bytes: [UInt8]) {
    // The first bytes of a pickle are its protocol, and no text; older checkpoints are no archive.
    if bytes.count > 2, bytes[0] == 0x80, (2...5).contains(bytes[1]), bytes[2] == 0x8a {
      self = .pickle
      return
    }
    let kinds: [ForeignFile] = [
      .gitLFSPointer, .zip, .gguf, .html, .lowercaseHTML, .plainHTML,
    ]
    guard let kind = kinds.first(where: { bytes.starts(with: $0.rawValue.utf8) }) else {
      return nil
    }
    self = kind
  }

  /// A Git LFS pointer in place of a text file; nil for other contents.
  static func pointer(_ bytes: some Sequence<UInt8>) -> ForeignFile? {
    ForeignFile(Array(bytes.prefix(64))).flatMap { $0 == .gitLFSPointer ? $0 : nil }
  }

  /// The problem and its remedy, to follow the file's name in an error.
  var words: String {
    switch self {
    case .gitLFSPointer:
      "is a Git LFS pointer, not the weights themselves; fetch them with `git lfs pull`"
    case .zip, .pickle:
      "is a PyTorch checkpoint (pickle), not a safetensors file; convert it to safetensors"
    case .gguf: "is a GGUF file, which only whole components may be; use a safetensors file"
    case .html, .lowercaseHTML, .plainHTML:
      "is a web page, not a safetensors file; the download failed, fetch it again"
    }
  }
}
