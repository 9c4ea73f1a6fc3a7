internal import FlowCore
internal import FlowModels

extension Generator {
  /// Checks that a row with a request's references fits in memory, whose engine is compiled for it unless
  /// there is one.
  func checkMemory(ofReferencesIn request: GenerationRequest) throws {
    let structure = try checkpoint.structure(of: request)
    guard !checkedStructures.contains(structure) else { return }
    try MemoryEstimate(
      checkpoint, rows: 1, width: width, height: height, tiling: options.decodeTiling,
      referencePixels: structure.referencePixelCount
    ).check(available: MemoryEstimate.availableByteCount())
    checkedStructures.insert(structure)
  }

  /// Checks a request against the generator's size and rows.
  nonisolated func check(_ request: GenerationRequest, _ plan: StepPlan) throws(ModelError) {
    if let size = request.size, size != PixelSize(width: width, height: height) {
      throw ModelError(
        code: .requestInvalid,
        message: "this generator makes images of \(width)x\(height), and one of \(size) was asked "
          + "for; an ImageModel makes images of any size")
    }
    let rows = plan.peakRowCount(guidance: request.guidance)
    guard rows <= rowCapacity else {
      let what = request.editing.map { "\($0.method.name) with these scales" } ?? "this guidance"
      throw ModelError(
        code: .requestInvalid,
        message: "\(what) takes \(rows) rows of a tick, which has \(rowCapacity); give it \(rows)",
        settings: [.rowCapacity])
    }
  }
}
