public import FlowCore

/// A velocity field that is a formula: what a stream must come to is known.
public struct KnownField: VelocityField {
  /// The maximum number of rows of a tick.
  public let rowCapacity: Int
  /// The rows of each tick so far.
  public private(set) var ticks: [Int] = []
  /// Fails the tick of this number, once.
  public var failingTick: Int?

  private let formula: @Sendable (Float, Float, Float) -> Float
  private var rows: [[Float]] = []

  /// What a failing field throws.
  public struct Failure: Error {
    /// Creates the error.
    public init() {}
  }

  /// Creates a field from a formula of an element, the timestep, and the conditioning.
  public init(
    rowCapacity: Int = 64, formula: @escaping @Sendable (Float, Float, Float) -> Float
  ) {
    self.rowCapacity = rowCapacity
    self.formula = formula
  }

  public mutating func begin(rowCount: Int) {
    rows = [[Float]](repeating: [], count: rowCount)
  }

  public mutating func load(
    row: Int, sample: Span<Float>, timestep: Float, conditioning: Float
  ) {
    rows[row] = sample.indices.map { formula(sample[$0], timestep, conditioning) }
  }

  public mutating func run() throws(Failure) {
    if failingTick == ticks.count {
      failingTick = nil
      throw Failure()
    }
    precondition(rows.allSatisfy { !$0.isEmpty }, "a row was not loaded")
    ticks.append(rows.count)
  }

  public func withOutput(row: Int, _ body: (Span<Float>) -> Void) {
    let output = rows[row]
    body(output.span)
  }
}
