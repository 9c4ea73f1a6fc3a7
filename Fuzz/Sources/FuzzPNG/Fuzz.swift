import FlowCore
import FlowMedia

/// Decodes any bytes as a PNG picture and reads its texts; what decodes must survive a round trip.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  _ = try? PNGChunks.texts(in: bytes)
  guard let picture = try? PixelImage(png: bytes, maximumPixelCount: 1_000_000) else { return 0 }
  let again = try? PixelImage(png: picture.png(texts: [("a", "b")]))
  precondition(again == picture)
  return 0
}
