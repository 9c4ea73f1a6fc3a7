@testable import FlowServer

/// Reads any bytes as a form, the first line as its `Content-Type`; what is read must survive a round
/// trip.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  let line = bytes.prefix { $0 != UInt8(ascii: "\n") }
  let body = Array(bytes.dropFirst(line.count + 1))
  let contentType = String(decoding: line, as: UTF8.self)
  guard let form = try? MultipartForm(body, contentType: contentType) else { return 0 }
  // What is content must not hold the boundary: a longer one is tried where it may.
  var boundary = "round"
  var written = write(form, boundary: boundary)
  var again = try? MultipartForm(written, contentType: "multipart/form-data; boundary=round")
  while again?.parts.count != form.parts.count, boundary.utf8.count < 60 {
    boundary += "-trip"
    written = write(form, boundary: boundary)
    again = try? MultipartForm(written, contentType: "multipart/form-data; boundary=\(boundary)")
  }
  precondition(again?.parts.map(\.name) == form.parts.map(\.name))
  precondition(again?.parts.map(\.content) == form.parts.map(\.content))
  return 0
}

private func write(_ form: MultipartForm, boundary: String) -> [UInt8] {
  var bytes: [UInt8] = []
  for part in form.parts {
    var name: [UInt8] = []
    for byte in part.name.utf8 {
      switch byte {
      case UInt8(ascii: "\""): name += Array("%22".utf8)
      case 13: name += Array("%0D".utf8)
      case 10: name += Array("%0A".utf8)
      case UInt8(ascii: "\\"): name += Array("\\\\".utf8)
      default: name.append(byte)
      }
    }
    bytes += Array("--\(boundary)\r\nContent-Disposition: form-data; name=\"".utf8) + name
    bytes += Array("\"\r\n\r\n".utf8) + Array(part.content) + Array("\r\n".utf8)
  }
  return bytes + Array("--\(boundary)--\r\n".utf8)
}
