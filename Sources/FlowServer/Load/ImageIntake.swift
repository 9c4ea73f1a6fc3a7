internal import Dispatch
internal import FlowCore
internal import FlowMedia
internal import Foundation
internal import StreamFlow

/// An image in memory, charged to the budget while it has an owner.
struct HeldImage: Sendable {
  let image: PixelImage
  let memory: MemoryReservation
}

/// The memory of an order's source; an order that was read from storage has none.
struct SourceMemory: Codable, Sendable {
  var reservation: MemoryReservation?

  init(reservation: MemoryReservation?) { self.reservation = reservation }

  init(from decoder: any Decoder) {}

  func encode(to encoder: any Encoder) {}
}

/// Decodes the images that clients send.
///
/// Decoding takes up to a second of processor time. It runs on separate threads, one or two images
/// at a time, so that the threads that serve requests stay free.
final class ImageIntake: Sendable {
  private let slots = TaskSlots(
    count: min(max(ProcessInfo.processInfo.activeProcessorCount / 2, 1), 2))
  private let queue = DispatchQueue(
    label: "streamflow.images", qos: .utility, attributes: .concurrent)
  private let budget: MemoryBudget
  private let maximumPixelCount: Int

  init(_ budget: MemoryBudget, maximumPixelCount: Int) {
    self.budget = budget
    self.maximumPixelCount = maximumPixelCount
  }

  /// The number of waiting images.
  var waitingCount: Int { slots.waitingCount }

  /// Decodes a PNG or JPEG file; only the result stays in memory.
  ///
  /// - Parameters:
  ///   - bytes: the file.
  ///   - transform: further processing on the same thread, such as resampling.
  /// - Throws: an error for an invalid file, 429 if there is not enough memory for it, or
  ///   `CancellationError` if the task was cancelled while it waited.
  func decode(
    _ bytes: [UInt8], transform: @escaping @Sendable (PixelImage) -> PixelImage = { $0 }
  ) async throws -> HeldImage {
    let header = try ImageHeader(of: bytes, maximumPixelCount: maximumPixelCount)
    let maximumPixelCount = maximumPixelCount
    return try await slots.run {
      let memory = try budget.reserve(header.decodingByteCount)
      let image = try await withCheckedThrowingContinuation { continuation in
        queue.async {
          continuation.resume(
            with: Result {
              transform(try PixelImage(picture: bytes, maximumPixelCount: maximumPixelCount))
            })
        }
      }
      memory.shrink(to: image.pixels.count)
      return HeldImage(image: image, memory: memory)
    }
  }

  /// An order with its image decoded and resampled to the size of the result.
  func decoded(
    _ order: ImageOrder, _ upload: ImageRoutes.Upload, desk: OrderDesk
  ) async throws -> ImageOrder {
    let size = try await desk.size(of: order)
    let source = try await decode(upload.file) { image in
      image.resampled(width: size.width, height: size.height, fit: upload.fit)
    }
    var order = order
    order.source = InputImage(
      image: source.image, strength: upload.strength ?? (upload.mask == nil ? 0.6 : 0.75),
      fit: upload.fit)
    if let file = upload.mask {
      order.source?.mask = try await mask(file, fit: upload.fit, size: size)
      order.source?.maskBlur = upload.maskBlur
    }
    order.sourceMemory = SourceMemory(reservation: source.memory)
    return order
  }

  /// Decodes a mask to the size of the result: what is transparent is repainted, or what is white in a
  /// file without transparent pixels.
  private func mask(_ bytes: [UInt8], fit: ImageFit, size: PixelSize) async throws -> ImageMask {
    let header = try ImageHeader(of: bytes, maximumPixelCount: maximumPixelCount)
    return try await slots.run {
      let memory = try budget.reserve(2 * header.decodingByteCount)
      defer { memory.shrink(to: 0) }
      return try await withCheckedThrowingContinuation { continuation in
        queue.async {
          continuation.resume(
            with: Result {
              let transparency = try ImageMask(transparencyOf: bytes)
              let mask = transparency.isEmpty ? try ImageMask(drawn: bytes) : transparency
              guard !mask.isEmpty else {
                throw ServerError.invalid(
                  "'mask' repaints nothing: it has neither transparent nor white pixels",
                  parameter: "mask")
              }
              return mask.fitted(width: size.width, height: size.height, fit: fit)
            })
        }
      }
    }
  }
}
