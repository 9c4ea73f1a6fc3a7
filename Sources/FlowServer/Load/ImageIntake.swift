internal import Dispatch
internal import FlowCore
internal import FlowImage
internal import Foundation
internal import StreamFlow
internal import Synchronization

/// An image in memory, charged to the budget while it has an owner.
struct HeldImage: Sendable {
  let image: PixelImage
  let memory: MemoryReservation
}

/// The memory of an order's images; an order that was read from storage has none.
struct OrderMemory: Sendable {
  var reservations: [MemoryReservation] = []
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

  /// An order with its images decoded: the input image at the size of the result, those of adapters
  /// as they are.
  ///
  /// - Parameters:
  ///   - order: the order.
  ///   - upload: the input image and its mask, if it has one.
  ///   - desk: tells the size of the result.
  func decoded(
    _ order: ImageOrder, _ upload: ImageRoutes.Upload?, desk: OrderDesk
  ) async throws -> ImageOrder {
    var order = order
    if let controls = order.controls {
      let (decoded, memory) = try await self.decoded(controls)
      order.controls = decoded
      order.memory.reservations += memory
    }
    guard let upload else { return order }
    if upload.mayBeReferences {
      let limit = try await desk.referenceLimit(of: order)
      let isInstruction = upload.isInstruction ?? (limit > 0)
      try Self.check(upload.files.count, isInstruction: isInstruction, limit: limit)
      if isInstruction { return try await withReferences(order, upload) }
      if upload.referenceArea != nil { throw ImageRoutes.areaWithoutReferences }
    }
    let size = try await desk.size(of: order)
    // The settings name what the client sent, not its fitted form.
    let hashes = Mutex<(image: String?, mask: String?)>((nil, nil))
    let source = try await decode(upload.files[0]) { image in
      hashes.withLock { $0.image = image.settingsHash }
      return image.resampled(width: size.width, height: size.height, fit: upload.fit)
    }
    var input = InputImage(
      image: source.image, strength: upload.strength ?? (upload.mask == nil ? 0.6 : 0.75),
      fit: upload.fit)
    if let file = upload.mask {
      input.mask = try await mask(file) { mask in
        hashes.withLock { $0.mask = mask.settingsHash }
        return mask.fitted(width: size.width, height: size.height, fit: upload.fit)
      }
      input.maskBlur = upload.maskBlur
    }
    (input.hash, input.maskHash) = hashes.withLock { ($0.image, $0.mask) }
    order.source = input
    order.memory.reservations.append(source.memory)
    return order
  }

  /// Checks the number of images against the number that the model reads.
  private static func check(
    _ count: Int, isInstruction: Bool, limit: Int
  ) throws(ServerError) {
    guard isInstruction else {
      guard count > 1 else { return }
      throw .invalid(
        limit > 0
          ? "one 'image' is supported with 'strength', 'mask' or this 'method', got \(count); leave "
            + "them out to have all read as references"
          : "one 'image' is supported, got \(count): the model reads no references (max_references "
            + "of GET /v1/models); send the one to start from", parameter: "image")
    }
    guard limit > 0 else {
      throw .invalid(
        "'method' instruct needs a model that reads references (max_references of GET /v1/models); "
          + "leave it out", parameter: "method")
    }
    guard count <= limit else {
      throw .invalid(
        "the model reads at most \(limit) \(limit == 1 ? "image" : "images"), got \(count)",
        parameter: "image")
    }
  }

  /// An order whose images are references of the network.
  private func withReferences(
    _ order: ImageOrder, _ upload: ImageRoutes.Upload
  ) async throws -> ImageOrder {
    var order = order
    order.referenceArea = upload.referenceArea
    if upload.hasFit {
      order.warnings.append(
        ResponseWarning(
          .parameterIgnored, "'fit' is ignored: references are read in their own aspect ratio",
          parameter: "fit"))
    }
    for file in upload.files {
      let reference = try await decode(file)
      order.references.append(reference.image)
      order.memory.reservations.append(reference.memory)
    }
    return order
  }

  /// Decodes the images of adapters.
  ///
  /// - Returns: the controls, and the memory of their images.
  func decoded(
    _ controls: [OrderControl]
  ) async throws -> (controls: [OrderControl], memory: [MemoryReservation]) {
    var (controls, memory) = (controls, [MemoryReservation]())
    for index in controls.indices {
      if let file = controls[index].file {
        let held = try await naming("controls[\(index)].image") {
          try await decode(Array(file))
        }
        controls[index].image = held.image
        memory.append(held.memory)
      }
      if let file = controls[index].maskFile {
        controls[index].mask = try await naming("controls[\(index)].mask") {
          try await mask(Array(file))
        }
      }
    }
    return (controls, memory)
  }

  /// The result of decoding a parameter's file, whose errors name the parameter.
  private func naming<Result>(
    _ parameter: String, _ decode: () async throws -> Result
  ) async throws -> Result {
    do { return try await decode() } catch let error as MediaError {
      var failure = ServerError(error)
      failure.parameter = parameter
      throw failure
    } catch var failure as ServerError {
      if failure.parameter != nil { failure.parameter = parameter }
      throw failure
    }
  }

  /// Decodes a mask: what is transparent is repainted, or what is white in a file without transparent
  /// pixels.
  ///
  /// - Parameters:
  ///   - bytes: the file.
  ///   - transform: further processing on the same thread, such as resampling.
  func mask(
    _ bytes: [UInt8], transform: @escaping @Sendable (ImageMask) -> ImageMask = { $0 }
  ) async throws -> ImageMask {
    let header = try ImageHeader(of: bytes, maximumPixelCount: maximumPixelCount)
    return try await slots.run {
      let memory = try budget.reserve(2 * header.decodingByteCount)
      defer { memory.shrink(to: 0) }
      return try await withCheckedThrowingContinuation { continuation in
        queue.async {
          continuation.resume(
            with: Result {
              let mask = try ImageMask(transparentOrDrawn: bytes)
              guard !mask.isEmpty else {
                throw ServerError.invalid(
                  "'mask' covers nothing: it has neither transparent nor white pixels",
                  parameter: "mask")
              }
              return transform(mask)
            })
        }
      }
    }
  }
}

extension ImageMask {
  /// Reads a mask that covers what is transparent, or what is white in a file without transparent
  /// pixels.
  ///
  /// - Throws: a `MediaError` for a damaged file.
  init(transparentOrDrawn bytes: [UInt8]) throws {
    let transparency = try ImageMask(transparencyOf: bytes)
    self = transparency.isEmpty ? try ImageMask(drawn: bytes) : transparency
  }
}
