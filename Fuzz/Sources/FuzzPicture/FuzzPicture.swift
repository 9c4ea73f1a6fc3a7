import FlowCore
import FlowMedia

/// Decodes any bytes as a picture, whichever they begin as, with EXIF and texts; what decodes must
/// survive a round trip.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  _ = try? PNGChunks.texts(in: bytes)
  guard let picture = try? PixelImage(picture: bytes, maximumPixelCount: 1_000_000) else {
    return 0
  }
  let again = try? PixelImage(picture: picture.png(texts: [("a", "b")]))
  precondition(again == picture)
  return 0
}
