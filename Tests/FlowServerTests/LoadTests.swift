import FlowCore
import FlowImage
import FlowTestSupport
import Foundation
import HTTPTypes
import StreamFlow
import Testing

@testable import FlowServer

/// Bounds over all requests: memory, decoding, preparations.
@Suite(.tags(.engine)) struct LoadTests {
  @Test("A budget is reserved, refused beyond its end, and free with its last owner")
  func budget() throws {
    let budget = MemoryBudget(capacity: 100)
    do {
      let one = try budget.reserve(60)
      let other = try budget.reserve()
      try other.grow(by: 30)
      let error = #expect(throws: ServerError.self) { try other.grow(by: 11) }
      #expect(error?.status == .tooManyRequests && error?.retryAfter == 2)
      #expect(budget.reservedByteCount == 90)
      one.shrink(to: 10)
      one.shrink(to: 20)
      #expect(budget.reservedByteCount == 40)
      try other.grow(by: 60)
      let never = #expect(throws: ServerError.self) { try other.grow(by: 101) }
      #expect(never?.status == .contentTooLarge)
    }
    #expect(budget.reservedByteCount == 0)
  }

  @Test("Slots are given in order, and a cancelled task stops waiting")
  func slots() async throws {
    let slots = TaskSlots(count: 1)
    let (begun, begin) = AsyncStream.makeStream(of: Void.self)
    let (ended, end) = AsyncStream.makeStream(of: Void.self)
    let first = Task {
      try await slots.run {
        begin.yield()
        for await _ in ended { break }
      }
    }
    for await _ in begun { break }
    let cancelled = Task { try await slots.run {} }
    while slots.waitingCount < 1 { await Task.yield() }
    let last = Task { try await slots.run { 7 } }
    while slots.waitingCount < 2 { await Task.yield() }
    cancelled.cancel()
    await #expect(throws: CancellationError.self) { try await cancelled.value }
    #expect(slots.waitingCount == 1)
    end.yield()
    try await first.value
    #expect(try await last.value == 7)
    #expect(try await slots.run { 8 } == 8)
  }

  private static let image = PixelImage(
    width: 40, height: 30, pixels: (0..<3600).map { UInt8($0 % 251) })

  @Test("A decoded image is charged as long as it is held, and by its size when transformed")
  func intake() async throws {
    let budget = MemoryBudget(capacity: 20_000)
    let intake = ImageIntake(budget, maximumPixelCount: 1200)
    do {
      let held = try await intake.decode(Self.image.png()) {
        $0.resampled(width: 8, height: 8, fit: ImageFit(.cover))
      }
      #expect(held.image.width == 8 && budget.reservedByteCount == 3 * 64)
    }
    #expect(budget.reservedByteCount == 0)
    let other = try budget.reserve(12_000)
    let full = await #expect(throws: ServerError.self) {
      try await intake.decode(Self.image.png())
    }
    #expect(full?.code == "memory_full")
    #expect(budget.reservedByteCount == 12_000)
    withExtendedLifetime(other) {}
    let large = await #expect(throws: MediaError.self) {
      try await ImageIntake(budget, maximumPixelCount: 1199).decode(Self.image.png())
    }
    #expect(large?.code == .imageTooLarge)
  }

  @Test("Bodies of all requests share one budget; beyond it there is a 429, and room again after")
  func bodies() async throws {
    let server = try await RunningServer { options in
      options.limits.requestMemoryByteCount = 300_000
      options.limits.bodyByteCount = 250_000
    }
    let json = #"{"prompt": "\#(String(repeating: "x", count: 3000))", "steps": 1}"#
    var slow: LoopbackClient? = try LoopbackClient(port: server.port)
    slow?.request(
      "POST", "/v1/images/generations",
      headers: ["Content-Type": "application/json", "Content-Length": "240000"],
      body: [UInt8](repeating: 0x20, count: 239_999))
    let path = "/v1/images/generations"
    var status = 0
    // The body of the other request is read while this one asks.
    for _ in 0..<200 where status != 429 {
      let answer = try LoopbackClient.ask(
        server.port, "POST", path,
        json: json + String(repeating: " ", count: 80_000))
      status = answer.status
      if status == 429 {
        #expect(answer["error", "code"] as? String == "memory_full")
        #expect(answer.headers["retry-after"] == "2")
      } else {
        #expect(status == 200)
      }
    }
    #expect(status == 429)
    #expect(slow != nil)
    slow = nil
    for _ in 0..<200 where status != 200 {
      status =
        try LoopbackClient.ask(
          server.port, "POST", path, json: json + String(repeating: " ", count: 80_000)
        ).status
      try await Task.sleep(for: .milliseconds(10))
    }
    #expect(status == 200)
    await server.stop()
  }

  @Test("Only allowed sizes are made, and the first is the default")
  func sizes() async throws {
    let server = try await RunningServer { $0.limits.allowedSizes = [(96, 64), (64, 96)] }
    let path = "/v1/images/generations"
    let other = try LoopbackClient.ask(
      server.port, "POST", path, json: #"{"prompt": "fox", "size": "64x64"}"#)
    #expect(other.status == 400)
    #expect(
      other["error", "message"] as? String
        == "'size' must be auto or one of 96x64, 64x96 on this server, got '64x64'")
    let made = try LoopbackClient.ask(
      server.port, "POST", path, json: #"{"prompt": "fox", "steps": 1}"#)
    #expect(made["size"] as? String == "96x64", "\(made.text)")
    await server.stop()
  }

  @Test("Preparations wait for one another, and too many are refused")
  func preparations() async throws {
    let queue = PreparationQueue(limit: 1)
    let (ended, end) = AsyncStream.makeStream(of: Void.self)
    let (begun, begin) = AsyncStream.makeStream(of: Void.self)
    let first = Task {
      try await queue.run {
        begin.yield()
        for await _ in ended { break }
      }
    }
    for await _ in begun { break }
    try queue.checkRoom()
    let second = Task { try await queue.run {} }
    while (try? queue.checkRoom()) != nil { await Task.yield() }
    let error = #expect(throws: ServerError.self) { try queue.checkRoom() }
    #expect(error?.status == .tooManyRequests && error?.code == "preparations_full")
    end.yield()
    try await first.value
    try await second.value
    try queue.checkRoom()
  }
}
