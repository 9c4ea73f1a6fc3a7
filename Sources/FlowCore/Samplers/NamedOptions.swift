/// The parameters of a solver or an editing method as they are written: `name=value`, separated by commas.
struct NamedOptions {
  private var values: [Substring: Substring] = [:]

  /// Nothing where the text is no list of pairs, or names one twice.
  init?(_ text: Substring?) {
    guard let text else { return }
    for option in text.split(separator: ",", omittingEmptySubsequences: false) {
      let pair = option.split(separator: "=", maxSplits: 1)
      guard pair.count == 2, values.updateValue(pair[1], forKey: pair[0]) == nil else {
        return nil
      }
    }
  }

  var areAllRead: Bool { values.isEmpty }

  mutating func number(_ name: Substring, _ usual: Double) -> Double? {
    guard let text = values.removeValue(forKey: name) else { return usual }
    return Double(text).flatMap { $0.isFinite ? $0 : nil }
  }

  mutating func count(_ name: Substring, _ usual: Int) -> Int? {
    guard let text = values.removeValue(forKey: name) else { return usual }
    return Int(text).flatMap { (0...1000).contains($0) ? $0 : nil }
  }

  mutating func take(_ name: Substring, ifIs value: String) -> Bool {
    guard let text = values[name], text == value else { return false }
    values[name] = nil
    return true
  }
}
