internal import FlowEngine
internal import FlowModels

/// What comes of images: they finish, fail, or lose their device.
extension GeneratorPool {
  /// Takes an event of a generator in.
  func receive(_ event: GenerationEvent, of ticket: Ticket, from device: Int) {
    switch event {
    case .preview(_, let number, let image):
      note(.preview(index: ticket.index, number: number, image: image), of: ticket)
    case .stepped(_, let step, let count):
      if dispatcher.loads[device].secondsPerRow == nil { measure(device) }
      guard orders[ticket.order]?.reportsSteps == true else { return }
      note(.stepped(index: ticket.index, step: step, count: count), of: ticket)
    case .finished(let image):
      measure(device)
      var devices = orders[ticket.order]?.devices.removeValue(forKey: ticket.index) ?? []
      if !devices.isEmpty { devices.append(device) }
      finish(
        ticket,
        .finished(
          GeneratedImage(
            image: image.image, request: image.request, index: ticket.index,
            devices: devices.map { generators[$0].engines.device })))
    case .failed(_, let error as EngineError) where error.code == .runFailed:
      lose(device, error)
    case .failed(_, let error):
      finish(ticket, .failed(index: ticket.index, error))
    }
  }

  /// Handles the end of a generator's events: its engines failed, or the image was cancelled.
  func receive(_ error: any Error, of ticket: Ticket, from device: Int) {
    if error is CancellationError {
      dispatcher.release(ticket)
      flights[ticket] = nil
      dispatch()
    } else {
      lose(device, error)
    }
  }

  /// Frees what an image has of its device, where its events ended without it.
  func noteEnd(of ticket: Ticket, on device: Int) {
    guard flights[ticket]?.device == device, !dispatcher.loads[device].isFailed else { return }
    flights[ticket] = nil
    dispatcher.release(ticket)
    dispatch()
  }

  private func note(_ event: GenerationEvent, of ticket: Ticket) {
    orders[ticket.order]?.progress.removeAll { $0.isReplaced(by: event) }
    orders[ticket.order]?.progress.append(event)
    wake(ticket.order)
  }

  private func finish(_ ticket: Ticket, _ event: GenerationEvent) {
    flights[ticket] = nil
    orders[ticket.order]?.progress.removeAll { $0.isReplaced(by: event) }
    dispatcher.finish(ticket, event)
    dispatch()
    wake(ticket.order)
  }

  /// Reads how fast a device was of late.
  private func measure(_ device: Int) {
    guard !paces[device].isReading else { return }
    paces[device].isReading = true
    Task {
      let statistics = await generators[device].statistics
      paces[device].isReading = false
      guard let seconds = paces[device].secondsPerRow(statistics) else { return }
      dispatcher.measure(device, secondsPerRow: seconds)
      dispatch()
    }
  }

  /// Takes a device out of use, and has the others go on with what it had.
  private func lose(_ device: Int, _ error: any Error) {
    guard !dispatcher.loads[device].isFailed else { return }
    let tickets = dispatcher.fail(device)
    failures[device] = error
    Task {
      let handovers = await generators[device].surrender()
      // What it had finished all the same is taken first: nothing is made twice.
      for ticket in tickets { await flights[ticket]?.task?.value }
      let left = tickets.filter { flights[$0]?.device == device }
      for ticket in left {
        let stream = flights.removeValue(forKey: ticket)?.stream
        // One that had not begun, or whose end was lost, begins on another.
        guard let handover = handovers.first(where: { $0.stream == stream }) else { continue }
        orders[ticket.order]?.handovers[ticket.index] = handover
        orders[ticket.order]?.devices[ticket.index, default: []].append(device)
      }
      dispatcher.giveBack(left)
      if dispatcher.hasDevice { dispatch() } else { failAll(error) }
    }
  }

  /// Ends all orders with an error, after what is finished in their order.
  func failAll(_ error: any Error) {
    for number in orders.keys {
      dispatcher.withdraw(order: number)
      orders[number]?.failure = error
      wake(number)
    }
  }
}

/// How fast a device was since it was last asked.
struct DevicePace {
  /// Whether it is being asked.
  var isReading = false
  private var time = Duration.zero
  private var rowCount = 0

  /// The seconds of a row since the last time, with its share of decoding; nil where there was none.
  mutating func secondsPerRow(_ statistics: GeneratorStatistics) -> Double? {
    let (time, count) = (statistics.tickTime + statistics.decodeTime, statistics.rowCount)
    guard count > rowCount else { return nil }
    defer { (self.time, rowCount) = (time, count) }
    return (time - self.time) / .seconds(1) / Double(count - rowCount)
  }
}
