internal import FlowModels

/// The admission queue: fair between clients, and between the streams of one client.
///
/// Clients take turns, one element each, however much each has requested; within a client its
/// streams take turns. The elements of one stream keep their order.
struct AdmissionQueue<Element> {
  private struct Client {
    let name: String
    var streams: [Waiting]
  }

  private struct Waiting {
    let id: Int
    var elements: ArraySlice<Element>
  }

  /// In the order of their turns.
  private var clients: [Client] = []
  /// The number of elements.
  private(set) var count = 0

  /// Whether the queue is empty.
  var isEmpty: Bool { count == 0 }

  /// Appends the elements of a new stream.
  mutating func add(_ elements: [Element], stream: Int, client name: String) {
    guard !elements.isEmpty else { return }
    count += elements.count
    let waiting = Waiting(id: stream, elements: elements[...])
    if let index = clients.firstIndex(where: { $0.name == name }) {
      clients[index].streams.append(waiting)
    } else {
      clients.append(Client(name: name, streams: [waiting]))
    }
  }

  /// The next element: the first of ``heads``.
  var first: (stream: Int, element: Element)? {
    guard let waiting = clients.first?.streams.first, let element = waiting.elements.first else {
      return nil
    }
    return (waiting.id, element)
  }

  /// The first element of each stream, in the order of turns: first each client's first stream.
  var heads: [(stream: Int, element: Element)] {
    var heads: [(Int, Element)] = []
    let most = clients.lazy.map(\.streams.count).max() ?? 0
    for depth in 0..<most {
      for client in clients where depth < client.streams.count {
        let waiting = client.streams[depth]
        if let first = waiting.elements.first { heads.append((waiting.id, first)) }
      }
    }
    return heads
  }

  /// Removes and returns a stream's first element; the stream and its client move to the end.
  mutating func take(from stream: Int) -> Element? {
    for index in clients.indices {
      guard let place = clients[index].streams.firstIndex(where: { $0.id == stream }) else {
        continue
      }
      var client = clients.remove(at: index)
      var waiting = client.streams.remove(at: place)
      let element = waiting.elements.popFirst()
      if !waiting.elements.isEmpty { client.streams.append(waiting) }
      if !client.streams.isEmpty { clients.append(client) }
      if element != nil { count -= 1 }
      return element
    }
    return nil
  }

  /// The number of a stream's elements.
  func count(of stream: Int) -> Int {
    for client in clients {
      for waiting in client.streams where waiting.id == stream { return waiting.elements.count }
    }
    return 0
  }

  /// Removes all elements of a stream.
  mutating func remove(stream: Int) {
    count -= count(of: stream)
    for index in clients.indices { clients[index].streams.removeAll { $0.id == stream } }
    clients.removeAll { $0.streams.isEmpty }
  }

  /// All elements, stream by stream.
  var elements: some Sequence<Element> {
    clients.lazy.flatMap(\.streams).flatMap(\.elements)
  }
}
