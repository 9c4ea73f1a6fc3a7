extension Trajectory {
  /// Writes the inputs of its next row.
  mutating func load(into field: inout some VelocityField<Conditioning>, firstRow: Int) {
    let step = plan.steps[stage]
    guard step.evaluations.isEmpty else { return load(step, into: &field, firstRow: firstRow) }
    if let unprompted, rowCount == 2 {
      field.load(
        row: firstRow, sample: sample.scalars.span, timestep: step.timestep,
        conditioning: unprompted)
    }
    field.load(
      row: firstRow + rowCount - 1, sample: sample.scalars.span, timestep: step.timestep,
      conditioning: prompted)
  }

  /// Writes the inputs of a row with its own evaluations.
  private mutating func load(
    _ step: AffineStep, into field: inout some VelocityField<Conditioning>, firstRow: Int
  ) {
    if step.drawsForInputs, drawn == nil { drawn = noise.latents(shape: sample.shape) }
    for index in step.evaluations {
      let evaluation = plan.evaluations[index]
      let row = firstRow + index - step.evaluations.lowerBound
      let conditioning = conditioning(of: evaluation.role)
      if evaluation.readsSampleAsItIs {
        field.load(
          row: row, sample: sample.scalars.span, timestep: step.timestep,
          conditioning: conditioning)
      } else {
        mixInput(evaluation)
        field.load(
          row: row, sample: input.scalars.span, timestep: step.timestep,
          conditioning: conditioning)
      }
    }
  }

  private mutating func mixInput(_ evaluation: NetworkInput) {
    let sample = sample
    if evaluation.sample == 0, let source {
      input.copy(from: source.scalars.span, times: evaluation.source)
    } else {
      input.copy(from: sample.scalars.span, times: evaluation.sample)
      if evaluation.source != 0, let source { input.add(source, times: evaluation.source) }
    }
    if evaluation.noise != 0, let drawn { input.add(drawn, times: evaluation.noise) }
  }

  private func conditioning(of role: StepPlan.Evaluation.Role) -> Conditioning {
    let found: Conditioning? =
      switch role {
      case .conditional: prompted
      case .unconditional: unprompted
      case .source: sourcePrompted
      case .skipping: skipping
      }
    guard let found else { preconditionFailure("checked when the trajectory was made") }
    return found
  }

  /// Reads the outputs of its row, and updates the sample.
  mutating func step(reading field: borrowing some VelocityField<Conditioning>, firstRow: Int) {
    let step = plan.steps[stage]
    if step.evaluations.isEmpty {
      guide(reading: field, firstRow: firstRow)
    } else {
      combine(step, reading: field, firstRow: firstRow)
    }
    if keepsEstimate, let firstNoise {
      estimate = plan.rows[stage].residual.reference(of: output, at: sample, noise: firstNoise)
    }
    if step.mixesOutput { sample.advance(by: step, along: output) }
    if step.memory != 0 { sample.add(memory, times: step.memory) }
    if step.noise != 0 { sample.add(noise.latents(shape: sample.shape), times: step.noise) }
    if step.source != 0, let source { sample.add(source, times: step.source) }
    if step.firstNoise != 0, let firstNoise { sample.add(firstNoise, times: step.firstNoise) }
    if let mask, let source, let firstNoise {
      sample.hold(
        outside: mask, to: source, times: step.heldSource, and: firstNoise, times: step.heldNoise)
    }
    if plan.usesMemory { remember(step) }
    drawn = nil
    stage += 1
    if let next = changes.first, next.stage == stage {
      (prompted, unprompted, sourcePrompted) = (
        next.prompted, next.unprompted, next.sourcePrompted
      )
      skipping = next.skipping
      changes.removeFirst()
    }
  }

  /// Writes the guided output to `output`.
  private mutating func guide(
    reading field: borrowing some VelocityField<Conditioning>, firstRow: Int
  ) {
    field.withOutput(row: firstRow) { output.copy(from: $0) }
    switch guidance {
    case .none, .distilled: break
    case .full(let scale):
      field.withOutput(row: firstRow + 1) { output.extrapolate(towards: $0, scale: scale) }
    case .onetimeNegative(let scale, let delta):
      if stage == 0 {
        residual = residual?.withReference(from: output, at: sample, plan.rows[0].residual)
        field.withOutput(row: firstRow + 1) { output.copy(from: $0) }
      }
      guideByResidual(scale: scale, delta: delta)
    case .selfNegative(let scale, let delta): guideByResidual(scale: scale, delta: delta)
    }
  }

  private mutating func guideByResidual(scale: Float, delta: Float) {
    residual?.guide(
      &output, at: sample, plan.rows[stage].residual, scale: scale, delta: delta)
  }

  /// Writes the weighted sum of a row's own evaluations to `output`.
  private mutating func combine(
    _ step: AffineStep, reading field: borrowing some VelocityField<Conditioning>, firstRow: Int
  ) {
    for index in step.evaluations {
      let offset = index - step.evaluations.lowerBound
      let weight = plan.evaluations[index].weight
      field.withOutput(row: firstRow + offset) {
        if offset == 0 {
          output.copy(from: $0, times: weight)
        } else {
          output.add($0, times: weight)
        }
      }
    }
  }

  private mutating func remember(_ step: AffineStep) {
    switch (step.memoryDecay, step.memoryGain) {
    case (0, 1): swap(&output, &memory)
    case (1, 0): break
    case (let decay, let gain): memory.mix(decay, with: output, times: gain)
    }
  }
}
