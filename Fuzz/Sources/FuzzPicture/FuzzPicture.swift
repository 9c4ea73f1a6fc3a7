import FlowCore
import FlowImage

/// Decodes any bytes as an image, whichever they begin as, with EXIF and texts.
///
/// What decodes must survive a round trip, and have the size that its header states.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  if let metadata = try? ImageMetadata(of: bytes) {
    precondition(metadata.texts.allSatisfy { !$0.text.isEmpty || PNGChunks.isPNG(bytes) })
    _ = metadata.parameters
  }
  let header = try? ImageHeader(of: bytes, maximumPixelCount: 1_000_000)
  guard let picture = try? PixelImage(picture: bytes, maximumPixelCount: 1_000_000) else {
    return 0
  }
  // Memory is reserved by the header. Turned upright, the sides may have changed places.
  precondition(
    header.map { [[$0.width, $0.height], [$0.height, $0.width]] }?
      .contains([picture.width, picture.height]) == true,
    "decoded \(picture.width)x\(picture.height), in the header \(header as Any)")
  let again = try? PixelImage(picture: picture.png(texts: [("a", "b")]))
  precondition(again == picture)
  return 0
}
