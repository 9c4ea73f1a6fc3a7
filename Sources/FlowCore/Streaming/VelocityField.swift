/// A network, or a formula, that gives an output for each row of a batch.
///
/// A tick begins, loads every row, runs once, and reads every row's output. A field may cache the
/// inputs of a row: the same conditioning is often loaded into the same row many times.
public protocol VelocityField<Conditioning> {
  /// What a row reads besides its sample and its time.
  associatedtype Conditioning: Sendable
  /// The error of a run.
  associatedtype Failure: Error

  /// The maximum number of rows of a run.
  var rowCapacity: Int { get }

  /// Begins a tick of a number of rows, each of which is loaded next.
  mutating func begin(rowCount: Int) throws(Failure)

  /// Writes one row's inputs.
  ///
  /// - Parameters:
  ///   - row: the index of the row, from 0 up to the tick's row count.
  ///   - sample: one sample's elements.
  ///   - timestep: the timestep that the network reads.
  ///   - conditioning: the other inputs of the network.
  mutating func load(
    row: Int, sample: Span<Float>, timestep: Float, conditioning: Conditioning)

  /// Evaluates the rows that were loaded.
  mutating func run() throws(Failure)

  /// Lends the output of a row of the last run.
  func withOutput(row: Int, _ body: (Span<Float>) -> Void)
}
