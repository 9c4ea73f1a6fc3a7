/// A ring buffer that elements enter in any order and leave in the order of their numbers.
///
/// An element has a place while its number is less than ``capacity`` from the head, so that no more
/// than that many wait, and producers wait for the consumer.
struct OrderedRing<Element> {
  /// The number of all elements.
  let count: Int
  /// The most elements that wait.
  let capacity: Int
  /// The number of the element that leaves next.
  private(set) var head = 0
  /// How many wait.
  private(set) var heldCount = 0
  private var places: [Element?]

  /// - Parameters:
  ///   - count: the number of all elements.
  ///   - capacity: the most that wait, positive.
  init(count: Int, capacity: Int) {
    precondition(capacity > 0, "a ring needs a place")
    self.count = count
    self.capacity = min(max(count, 1), capacity)
    places = [Element?](repeating: nil, count: self.capacity)
  }

  /// The first number that has no place yet.
  var end: Int { min(count, head + capacity) }

  /// Whether all have left.
  var isFinished: Bool { head == count }

  /// Whether an element is there, or has left.
  func has(_ number: Int) -> Bool {
    number < head || number < end && places[number % capacity] != nil
  }

  /// Puts an element in its place; false for one that was there before.
  ///
  /// - Precondition: it has a place.
  mutating func put(_ element: Element, at number: Int) -> Bool {
    precondition(number < end, "\(number) has no place before \(end)")
    guard !has(number) else { return false }
    places[number % capacity] = element
    heldCount += 1
    return true
  }

  /// Takes the element at the head out, if it is there.
  mutating func take() -> Element? {
    guard head < count, let element = places[head % capacity] else { return nil }
    places[head % capacity] = nil
    heldCount -= 1
    head += 1
    return element
  }
}
