internal import FlowCore
public import FlowEngine
public import FlowModels

/// Makes images on several devices: one checkpoint, one size, a ``Generator`` for each device.
///
/// Every image goes to the device on which it would be done first, by the rows that are free and the
/// measured time of a row. Finished images of a stream leave in the order of its requests; as many
/// may be ahead as there are four for each row, then the devices wait for the consumer. A
/// prompt is encoded once, by whichever device comes to it first. What a failing device had in
/// flight is resumed at its step on the others, and such an image says so
/// (``GeneratedImage/devices``); with no device left, streams throw the last one's error, and the
/// next request tries all devices again.
///
/// With one device it is that device's generator, and images leave as they finish.
public actor GeneratorPool: EventSource {
  /// The generators, one for each device, in their order.
  public nonisolated let generators: [Generator]
  /// The parts of the model that have a device of their own.
  public nonisolated let placement: DevicePlacement

  typealias Dispatcher = DeviceDispatcher<GenerationEvent>
  typealias Ticket = Dispatcher.Ticket

  /// What was asked for together.
  struct Order {
    let requests: [GenerationRequest]
    let previewCount: Int
    let reportsSteps: Bool
    /// What is to be told of unfinished images.
    var progress: [GenerationEvent] = []
    var waiter: CheckedContinuation<Void, Never>?
    /// Where failed devices left images.
    var handovers: [Int: Generator.Handover] = [:]
    /// The devices of images that did not end where they began.
    var devices: [Int: [Int]] = [:]
    /// Why no more images come.
    var failure: (any Error)?
  }

  /// An image that a device makes.
  struct Flight {
    let device: Int
    var task: Task<Void, Never>?
    /// What its generator calls it.
    var stream: Int?
  }

  var dispatcher: Dispatcher
  var orders: [Int: Order] = [:]
  var flights: [Ticket: Flight] = [:]
  var paces: [DevicePace]
  /// Why devices are out of use.
  var failures: [Int: any Error] = [:]
  private var nextOrder = 0
  private var preparation: Task<Void, Never>?
  private var hasEngines = false

  /// Sets generators up; engines are made by ``prepare()`` or with the first image.
  ///
  /// - Parameters:
  ///   - checkpoint: the model.
  ///   - options: size, and the rows of each device.
  ///   - devices: the engines of each device, at least one.
  ///   - placement: the parts of the model that have another device.
  /// - Throws: `requestInvalid` for a size that the model cannot make.
  public init(
    checkpoint: Checkpoint, options: GeneratorOptions = GeneratorOptions(),
    devices: [EngineStore], placement: DevicePlacement = DevicePlacement()
  ) throws(ModelError) {
    precondition(!devices.isEmpty, "there is a device")
    let placement = placement.resolved(
      for: checkpoint, on: devices[0].device, devices[0].options.precision)
    self.placement = placement
    // Devices of one precision make the same of a prompt.
    let isAlike = Set(devices.map { (placement[.text] ?? $0).options.roundings }).count == 1
    let texts = devices.count > 1 && isAlike ? SharedTexts() : nil
    var generators: [Generator] = []
    for store in devices {
      generators.append(
        try Generator(
          checkpoint: checkpoint, options: options,
          provider: EngineProvider(store, placement: placement, texts: texts)))
    }
    self.generators = generators
    dispatcher = Dispatcher(rowCapacities: generators.map { $0.rowCapacity })
    paces = generators.map { _ in DevicePace() }
  }

  /// The generator of the first device.
  nonisolated var first: Generator { generators[0] }

  /// Makes the engines of all devices, so that the first image need not wait for them.
  ///
  /// - Throws: as ``Generator/prepare()``, for any of the devices.
  public func prepare() async throws {
    // One after another: their peaks of memory do not add up, and what one compiled of a kind the
    // next finds in the cache.
    for generator in generators { try await generator.prepare() }
    hasEngines = true
  }

  /// Whether the engines are there.
  var isPrepared: Bool {
    get async { generators.count == 1 ? await first.isPrepared : hasEngines }
  }

  // MARK: - Requests

  /// Images for some requests, in their order.
  ///
  /// - Parameters:
  ///   - requests: what they show.
  ///   - client: the client; clients take turns.
  /// - Throws: `requestInvalid` for a number of steps or a combination that has no plan.
  public func images(
    for requests: [GenerationRequest], client: String = ""
  ) async throws -> ImageStream {
    ImageStream(try await events(for: requests, client: client))
  }

  /// What happens to the images of some requests, as it happens; finished images come in order.
  ///
  /// - Parameters:
  ///   - requests: what they show.
  ///   - client: the client; clients take turns.
  ///   - previewCount: how often each is shown before it is finished.
  ///   - reportsSteps: whether each step of an image is an event.
  /// - Throws: `requestInvalid` for a number of steps or a combination that has no plan, or an image
  ///   of another size.
  public func events(
    for requests: [GenerationRequest], client: String = "", previewCount: Int = 0,
    reportsSteps: Bool = false
  ) async throws -> GenerationEvents {
    if generators.count == 1 {
      return try await first.events(
        for: requests, client: client, previewCount: previewCount, reportsSteps: reportsSteps)
    }
    let costs = try first.costs(of: requests)
    let number = nextOrder
    nextOrder += 1
    // Where none was left, all are tried again.
    if !dispatcher.hasDevice {
      for device in generators.indices { dispatcher.restore(device) }
      failures = [:]
    }
    orders[number] = Order(
      requests: requests, previewCount: previewCount, reportsSteps: reportsSteps)
    dispatcher.submit(order: number, costs: costs, client: client)
    dispatch()
    return GenerationEvents(source: self, stream: number, count: requests.count)
  }

  /// What happens next to an order's images.
  func nextEvent(of number: Int) async throws -> GenerationEvent? {
    while let order = orders[number] {
      if !order.progress.isEmpty { return orders[number]?.progress.removeFirst() }
      if let event = dispatcher.take(order: number) {
        if dispatcher.isFinished(order: number) { close(number) }
        dispatch()
        return event
      }
      if dispatcher.isFinished(order: number) {
        close(number)
      } else if let error = order.failure {
        close(number)
        throw error
      } else {
        try Task.checkCancellation()
        await waitForEvent(of: number)
      }
    }
    // Nobody waits for an image: the time to persist what took long to compile.
    if orders.isEmpty { for generator in generators { await generator.provider.persist() } }
    return nil
  }

  private func waitForEvent(of number: Int) async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        guard !Task.isCancelled, orders[number] != nil else { return continuation.resume() }
        let before = orders[number]?.waiter
        orders[number]?.waiter = continuation
        before?.resume()
      }
    } onCancel: {
      Task { await self.wake(number) }
    }
  }

  func wake(_ number: Int) {
    let waiter = orders[number]?.waiter
    orders[number]?.waiter = nil
    waiter?.resume()
  }

  private func close(_ number: Int) {
    wake(number)
    orders[number] = nil
    dispatcher.cancel(order: number)
  }

  /// Forgets an order: what is pending and what is in flight.
  func cancel(_ number: Int) {
    guard orders[number] != nil else { return }
    close(number)
    for (ticket, flight) in flights where ticket.order == number { flight.task?.cancel() }
  }

  // MARK: - Dispatching

  /// Hands images to devices, as far as there is room.
  func dispatch() {
    guard hasEngines else { return prepareThenDispatch() }
    while let assignment = dispatcher.next() { begin(assignment.ticket, on: assignment.device) }
  }

  private func prepareThenDispatch() {
    guard preparation == nil else { return }
    preparation = Task {
      do {
        try await prepare()
        preparation = nil
        dispatch()
      } catch {
        preparation = nil
        failAll(error)
      }
    }
  }

  private func begin(_ ticket: Ticket, on device: Int) {
    guard let order = orders[ticket.order] else { return dispatcher.release(ticket) }
    let (request, previewCount) = (order.requests[ticket.index], order.previewCount)
    let generator = generators[device]
    let handover = orders[ticket.order]?.handovers.removeValue(forKey: ticket.index)
    flights[ticket] = Flight(device: device)
    flights[ticket]?.task = Task {
      do {
        let events =
          if let handover {
            await generator.events(
              resuming: handover, of: request, previewCount: previewCount, reportsSteps: true)
          } else {
            try await generator.events(
              for: [request], previewCount: previewCount, reportsSteps: true)
          }
        flights[ticket]?.stream = events.stream
        for try await event in events { receive(event, of: ticket, from: device) }
        noteEnd(of: ticket, on: device)
      } catch { receive(error, of: ticket, from: device) }
    }
  }
}

extension EngineOptions {
  /// What tells apart what engines compute.
  fileprivate var roundings: [String] { [precision.rawValue, "\(quantizesActivations)"] }
}

extension Generator {
  /// What some requests take of a device.
  ///
  /// - Throws: as ``events(for:client:previewCount:reportsSteps:)``.
  nonisolated func costs(of requests: [GenerationRequest]) throws -> [ImageCost] {
    var costs: [ImageCost] = []
    var plan: StepPlan?
    for (index, request) in requests.enumerated() {
      let isLikeLast = index > 0 && requests[index - 1].hasPlan(of: request)
      let own =
        if isLikeLast, let plan { plan } else {
          try checkpoint.plan(for: request, width: width, height: height)
        }
      try checkpoint.check(request)
      try check(request, own)
      costs.append(
        ImageCost(
          rows: own.peakRowCount(guidance: request.guidance), evaluations: own.rows.count))
      plan = own
    }
    return costs
  }
}
