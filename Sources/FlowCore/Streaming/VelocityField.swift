/// A network, or a formula, that gives an output for each row of a batch.
///
/// A tick begins, loads every row, runs once, and reads every row's output. A field may keep what it
/// was given in a row: the same conditioning is often loaded into the same row many times over.
public protocol VelocityField<Conditioning> {
  /// What a row reads besides its sample and its time.
  associatedtype Conditioning: Sendable
  /// What a run can fail with.
  associatedtype Failure: Error

  /// The most rows of one run.
  var rowCapacity: Int { get }

  /// Begins a tick of so many rows, of which each is loaded next.
  mutating func begin(rowCount: Int) throws(Failure)

  /// Writes one row's inputs.
  ///
  /// - Parameters:
  ///   - row: which row, from 0 up to the tick's row count.
  ///   - sample: one sample's elements.
  ///   - timestep: the number the network reads as time.
  ///   - conditioning: what else the network reads.
  mutating func load(
    row: Int, sample: Span<Float>, timestep: Float, conditioning: Conditioning)

  /// Evaluates the rows that were loaded.
  mutating func run() throws(Failure)

  /// Lends the output of a row of the last run.
  func withOutput(row: Int, _ body: (Span<Float>) -> Void)
}
