public import FlowCore

extension Trajectory<Float> {
  /// The trajectory at its end, advanced alone along a field.
  public func finished(along field: KnownField) throws -> Trajectory<Float> {
    var field = field
    var batch = StreamBatch<Float>(rowCapacity: peakRowCount)
    batch.admit(self)
    while true {
      try batch.advance(along: &field)
      if let finished = batch.retire().first { return finished }
    }
  }
}
