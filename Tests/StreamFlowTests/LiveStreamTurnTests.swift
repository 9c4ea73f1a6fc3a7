import FlowCore
import FlowEngine
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Beginnings, breaks and ends of live streams, and the rows that they choose.
@Suite(.tags(.engine)) struct LiveStreamTurnTests {
  @Test("Paused, nothing is taken up; resumed, it continues")
  func pause() async throws {
    let stream = try LiveStreamTests.stream()
    await stream.pause()
    let feeding = Task {
      for index in 0..<3 { await stream.submit(LiveStreamTests.input(index), timestamp: .zero) }
      await stream.finish()
    }
    try await Task.sleep(for: .milliseconds(50))
    #expect(await stream.statistics.tickCount == 0)
    await stream.resume()
    var count = 0
    for try await _ in stream.frames { count += 1 }
    await feeding.value
    #expect(count == 3)
  }

  @Test("Cancelled, the frames end; restarted, inputs are counted from 0 on the same engines")
  func restart() async throws {
    let stream = try LiveStreamTests.stream()
    var iterator = stream.frames.makeAsyncIterator()
    for index in 0..<3 { await stream.submit(LiveStreamTests.input(index), timestamp: .zero) }
    _ = try await iterator.next()
    await stream.cancel()
    while try await iterator.next() != nil {}
    let statistics = await stream.statistics
    #expect(
      statistics.madeCount + statistics.givenUpCount == 3 && statistics.givenUpCount <= 2)
    await stream.restart()
    let engines = stream.engines.count
    let inputs = (0..<4).map { LiveStreamTests.input($0) }
    let frames = try await LiveStreamTests.run(stream, inputs: inputs)
    #expect(frames.map(\.index) == [0, 1, 2, 3])
    try await LiveStreamTests.expectAlone(frames, inputs: inputs)
    #expect(stream.engines.count == engines)
  }

  @Test("A stream without references releases its tasks")
  func release() async throws {
    weak var released: LiveStream?
    do {
      let stream = try LiveStreamTests.stream()
      released = stream
      await stream.submit(LiveStreamTests.input(0), timestamp: .zero)
      for try await frame in stream.frames {
        #expect(frame.index == 0)
        break
      }
    }
    for _ in 0..<6000 where released != nil { try await Task.sleep(for: .milliseconds(10)) }
    #expect(released == nil)
  }

  @Test("A task that waits for a frame and is cancelled stops with CancellationError")
  func cancelledTask() async throws {
    let stream = try LiveStreamTests.stream()
    let task = Task { for try await _ in stream.frames {} }
    try await Task.sleep(for: .milliseconds(20))
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  @Test("The rows of a tick are measured once, and remembered with the engines")
  func calibration() async throws {
    let folder = try TemporaryFolder()
    let cache = EngineCache(folder: folder.path)
    var isNew: [Bool] = []
    var seconds: [[Int: Double]] = []
    for _ in 0..<2 {
      let stream = try LiveStream(
        checkpoint: .starter64(), settings: LiveStreamTests.settings(),
        engines: .fresh(cache: cache))
      try await stream.prepare()
      let statistics = await stream.statistics
      let calibration = try #require(statistics.calibration)
      isNew.append(calibration.isNew)
      seconds.append(calibration.seconds)
      #expect(statistics.rowCapacity == calibration.rows)
      #expect(calibration.seconds.keys.sorted() == [1, 2, 3, 4])
    }
    #expect(isNew == [true, false] && seconds[0] == seconds[1])
  }

  @Test("Among row counts within 3 % of the best throughput, the lowest is chosen")
  func chosenRows() {
    let calibration = RowCalibration(
      seconds: [1: 0.010, 2: 0.0162, 4: 0.0320, 8: 0.0640], isNew: true)
    #expect(calibration.rows == 2)
    #expect(abs(calibration.gain - 1.2346) < 1e-3)
  }
}
