/// A ring buffer that elements enter in any order and leave in the order of their numbers.
///
/// An element has a place while its number is less than ``capacity`` from the head, so that no more
/// than that many wait, and producers wait for the consumer.
struct OrderedRing<Element> {
  /// The number of all elements.
  let count: Int
  /// The maximum number of waiting elements.
  let capacity: Int
  /// The number of the next element to be taken.
  private(set) var head = 0
  /// The number of waiting elements.
  private(set) var heldCount = 0
  private var places: [Element?]

  /// - Parameters:
  ///   - count: the number of all elements.
  ///   - capacity: the maximum number of waiting elements, positive.
  init(count: Int, capacity: Int) {
    precondition(capacity > 0, "a ring needs a place")
    self.count = count
    self.capacity = min(max(count, 1), capacity)
    places = [Element?](repeating: nil, count: self.capacity)
  }

  /// The first number without a position yet.
  var end: Int { min(count, head + capacity) }

  /// Whether all elements were taken.
  var isFinished: Bool { head == count }

  /// Whether an element was put in, waiting or taken.
  func has(_ number: Int) -> Bool {
    number < head || number < end && places[number % capacity] != nil
  }

  /// Puts an element at its position; false if it was there before.
  ///
  /// - Precondition: it has a position.
  mutating func put(_ element: Element, at number: Int) -> Bool {
    precondition(number < end, "\(number) has no place before \(end)")
    guard !has(number) else { return false }
    places[number % capacity] = element
    heldCount += 1
    return true
  }

  /// Removes and returns the element at the head, if it is available.
  mutating func take() -> Element? {
    guard head < count, let element = places[head % capacity] else { return nil }
    places[head % capacity] = nil
    heldCount -= 1
    head += 1
    return element
  }
}
