import FlowCore
import FlowEngine
import FlowTestSupport
import Testing

@testable import FlowModels
@testable import StreamFlow

/// `ImageModel`: loading, one image, many of several sizes, unloading.
@Suite(.tags(.engine)) struct ImageModelTests {
  @Test("A model's image is the one that the command makes: its own steps, guidance and schedule")
  func image() async throws {
    let model = try await ImageModel.load(Starter64.folder, engines: .ofTests)
    let image = try await model.image("a fox on a blue background", seed: 7)
    #expect(image.width == 64 && image.height == 64)
    var request = model.checkpoint.request("a fox on a blue background")
    request.seed = 7
    let generator = try Generator(checkpoint: model.checkpoint, engines: .ofTests)
    let same = try await generator.images(for: [request]).reduce(into: []) { $0.append($1) }
    #expect(same.map(\.image.pixels) == [image.pixels])
    #expect(await model.sizes == [PixelSize(width: 64, height: 64)])
  }

  @Test("Images of two sizes come with preparation, steps, previews, each with its own index")
  func updates() async throws {
    let model = try await ImageModel.load(Starter64.folder, engines: .ofTests)
    let wide = PixelSize(width: 96, height: 64)
    var requests = [
      model.request("a fox", seed: 1), model.request("a dog", seed: 2, size: wide),
      model.request("pizza", seed: 3),
    ]
    for index in requests.indices { requests[index].stepCount = 3 }
    var prepared: [PixelSize] = []
    var steps: [Int: [Int]] = [:]
    var previews: [Int: Int] = [:]
    var finished: [Int: PixelImage] = [:]
    for try await update in model.images(requests, previewCount: 1) {
      switch update {
      case .preparing(let size): prepared.append(size)
      case .stepped(let index, let step, let count):
        #expect(count == 3 && finished[index] == nil)
        steps[index, default: []].append(step)
      case .preview(let index, _): previews[index, default: 0] += 1
      case .finished(let image):
        #expect(image.request.seed == UInt64(image.index + 1))
        finished[image.index] = image.image
      case .failed(let index, let error): Issue.record("\(index): \(error)")
      }
    }
    #expect(prepared == [PixelSize(width: 64, height: 64), wide])
    #expect(finished.mapValues(\.width) == [0: 64, 1: 96, 2: 64])
    #expect(previews == [0: 1, 1: 1, 2: 1])
    #expect(steps == [0: [1, 2], 1: [1, 2], 2: [1, 2]])
    #expect(await model.sizes.count == 2)
    await model.unload()
    #expect(await model.sizes.isEmpty)
  }

  @Test("An invalid request is rejected, and others still work")
  func refused() async throws {
    let model = try await ImageModel.load(Starter64.folder, engines: .ofTests)
    let error = await #expect(throws: ModelError.self) {
      try await model.image("a fox", size: PixelSize(width: 61, height: 64))
    }
    #expect(error?.code == .requestInvalid)
    let absent = await #expect(throws: ModelError.self) {
      try await ImageModel.load("/nowhere/at/all")
    }
    #expect(absent?.code == .fileMissing)
    let generator = try await model.generator(of: nil)
    var request = model.request("a fox", seed: 1)
    request.size = PixelSize(width: 96, height: 96)
    await #expect(throws: ModelError.self) { try await generator.events(for: [request]) }
    _ = try await model.image("a fox", seed: 1)
  }

  @Test("A preparation that all clients cancelled ends; the next request starts it again")
  func cancelled() async throws {
    let model = ImageModel(
      try Checkpoint(folder: PipelineTests.folder("sd")), engines: .fresh())
    let task = Task {
      while !Task.isCancelled { await Task.yield() }
      try await model.prepare()
    }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    let generator = try await model.generator(of: nil)
    #expect(await !generator.isPrepared)
    try await model.prepare()
    #expect(await generator.isPrepared)
  }
}
