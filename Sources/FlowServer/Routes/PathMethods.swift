internal import Synchronization

/// The methods that each path supports, to distinguish a wrong method from a wrong path.
final class PathMethods: Sendable {
  private let patterns = Mutex<[(path: [Substring], method: String)]>([])

  /// Registers the routes.
  func learn(_ routes: [(method: String, path: String)]) {
    patterns.withLock { patterns in
      patterns = routes.map { ($0.path.split(separator: "/"), $0.method) }
    }
  }

  /// The methods of a path, in order.
  func methods(of path: String) -> [String] {
    let parts = path.split(separator: "/")
    return patterns.withLock { patterns in
      let found = patterns.filter { pattern in
        pattern.path.count == parts.count
          && zip(pattern.path, parts).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
      }
      // A path may match two routes: one literally, one with a parameter.
      return Set(found.map(\.method)).sorted()
    }
  }

  /// The route that most likely was mistyped, if any.
  func nearest(to path: String) -> String? {
    // Long paths were not typed by a person.
    guard path.utf8.count <= 80 else { return nil }
    let parts = path.split(separator: "/")
    let routes = patterns.withLock { patterns in Set(patterns.map(\.path)) }
    let found = routes.compactMap { route -> (distance: Int, path: String)? in
      guard route.count == parts.count, !route.isEmpty else { return nil }
      let distances = zip(route, parts).map { $0.hasPrefix("{") ? 0 : EditDistance.between($0, $1) }
      // Two typing errors in a name of three letters would match any other name.
      guard zip(route, distances).allSatisfy({ 2 * $1 <= $0.count }) else { return nil }
      let distance = distances.reduce(0, +)
      return distance <= 2 ? (distance, "/" + route.joined(separator: "/")) : nil
    }
    return found.min { ($0.distance, $0.path) < ($1.distance, $1.path) }?.path
  }
}
