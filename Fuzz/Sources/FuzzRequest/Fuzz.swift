@testable import FlowServer

/// Requests as the server decodes them: never a trap, whatever comes.
///
/// The first byte says which.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let bytes = unsafe Array(UnsafeBufferPointer(start: start, count: count))
  guard let kind = bytes.first else { return 0 }
  let limits = ServerLimits()
  do {
    var fields = try RequestFields(json: bytes.dropFirst(), limits: limits.json)
    switch kind % 4 {
    case 0: _ = try ImageOrder(&fields, limits: limits)
    case 1: _ = try ImageOrder(&fields, limits: limits, isJob: true)
    case 2: _ = try LiveFields(&fields, limits: limits)
    default: _ = StreamSockets.stream(of: String(decoding: bytes, as: UTF8.self))
    }
    try fields.checkAllRead()
  } catch { _ = ServerError(error).body }
  return 0
}
