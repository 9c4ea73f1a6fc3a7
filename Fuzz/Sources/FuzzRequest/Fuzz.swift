@testable import FlowServer

/// Requests as the server decodes them: never a trap, whatever comes.
///
/// The first byte says which. A job that is accepted must be readable as it is stored.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  guard let kind = bytes.first else { return 0 }
  do { try read(bytes.dropFirst(), kind: kind % 6) } catch { _ = ServerError(error).body }
  return 0
}

private func read(_ content: ArraySlice<UInt8>, kind: UInt8) throws {
  let limits = ServerLimits()
  switch kind {
  case 3:
    let text = String(decoding: content, as: UTF8.self)
    _ = StreamSockets.stream(of: text)
    _ = try JobQuery(
      text.split(separator: "&").map { pair in
        let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        return (key: parts[0], value: parts.count > 1 ? parts[1] : "")
      })
  case 4:
    let form = try MultipartForm(
      Array(content), contentType: "multipart/form-data; boundary=x")
    let (order, upload) = try ImageRoutes.edit(form, limits: limits)
    precondition(!order.prompts.isEmpty && upload.strength ?? 1 > 0)
  case 5:
    // A document reads as itself however often its limits are tried.
    let value = try JSONParser.parse(content, limits: limits.json)
    var small = limits.json
    small.valueCount = 8
    small.depth = 2
    if let again = try? JSONParser.parse(content, limits: small) { precondition(again == value) }
  default:
    var fields = try RequestFields(json: content, limits: limits.json)
    if kind == 2 {
      _ = try LiveFields(&fields, limits: limits)
    } else {
      let order = try ImageOrder(&fields, limits: limits, isJob: kind == 1)
      let stored = try JobRequest(order, model: "starter").json()
      let again = try? JobRequest(json: stored, version: JobRequest.version).json()
      precondition(again == stored, "a stored job changes: \(stored)")
    }
    try fields.checkAllRead()
  }
}
