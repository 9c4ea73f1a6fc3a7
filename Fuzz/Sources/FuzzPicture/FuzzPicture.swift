import FlowCore
import FlowMedia

/// Decodes any bytes as a picture, whichever they begin as, with EXIF and texts.
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
  // Turned upright, the sides may have changed places. Memory is reserved by the header.
  guard let header, header.width * header.height == picture.width * picture.height,
    [header.width, header.height].contains(picture.width)
  else { preconditionFailure("decoded \(picture.width)x\(picture.height), not as in the header") }
  let again = try? PixelImage(picture: picture.png(texts: [("a", "b")]))
  precondition(again == picture)
  return 0
}
