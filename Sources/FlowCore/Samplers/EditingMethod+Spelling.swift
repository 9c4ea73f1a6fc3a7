extension EditingMethod: RawRepresentable {
  /// The ways of writing a method, for help and errors.
  public static let spellings =
    "flowedit[:final=0,draws=1,source-scale=1,target-scale=1], flowalign[:pull=0.01,scale=13.5], "
    + "rf-inversion[:gamma=0.5,eta=0.9,part=0.25], fireflow, rf-solver, inversion or "
    + "soft[:pull=0.93,end=0.25,decay=2]"

  /// All methods, with their published parameters.
  public static let allMethods: [EditingMethod] = [
    .flowEdit(), .flowAlign(), .rfInversion(), .inversion(.fireFlow), .inversion(.midpoint),
    .inversion(.euler), .softInterpolation(),
  ]

  /// Reads a method as it is written: a name, and where the parameters are not the published ones a
  /// colon and `name=value` pairs.
  public init?(rawValue: String) {
    let parts = rawValue.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard let known = Self.allMethods.first(where: { $0.name == parts[0] }),
      var options = NamedOptions(parts.count == 2 ? parts[1] : nil),
      let method = known.replacing(&options), options.areAllRead, method.isValid
    else { return nil }
    self = method
  }

  /// The method as it is written: its name, and the parameters that are not the published ones.
  public var rawValue: String {
    let options: [(name: String, value: String, usual: String)] =
      switch self {
      case .flowEdit(let edit):
        [
          ("final", "\(edit.finalSteps)", "0"), ("draws", "\(edit.drawCount)", "1"),
          ("source-scale", "\(edit.sourceScale)", "1.0"),
          ("target-scale", "\(edit.targetScale)", "1.0"),
        ]
      case .flowAlign(let align):
        [("pull", "\(align.pull)", "0.01"), ("scale", "\(align.scale)", "13.5")]
      case .rfInversion(let inversion):
        [
          ("gamma", "\(inversion.noisePull)", "0.5"), ("eta", "\(inversion.sourcePull)", "0.9"),
          ("part", "\(inversion.pulledPart)", "0.25"),
        ]
      case .inversion: []
      case .softInterpolation(let soft):
        [
          ("pull", "\(soft.pull)", "0.93"), ("end", "\(soft.end)", "0.25"),
          ("decay", "\(soft.decay)", "2.0"),
        ]
      }
    let written = options.filter { $0.value != $0.usual }.map { "\($0.name)=\($0.value)" }
    return written.isEmpty ? name : name + ":" + written.joined(separator: ",")
  }

  /// Its name without parameters.
  public var name: String {
    switch self {
    case .flowEdit: "flowedit"
    case .flowAlign: "flowalign"
    case .rfInversion: "rf-inversion"
    case .inversion(.fireFlow): "fireflow"
    case .inversion(.midpoint): "rf-solver"
    case .inversion: "inversion"
    case .softInterpolation: "soft"
    }
  }

  private var isValid: Bool {
    switch self {
    case .flowEdit(let edit): edit.finalSteps >= 0 && edit.drawCount >= 1
    case .flowAlign(let align): (0...1).contains(align.pull)
    case .rfInversion(let inversion):
      [inversion.noisePull, inversion.sourcePull, inversion.pulledPart].allSatisfy {
        (0...1).contains($0)
      }
    case .inversion: true
    case .softInterpolation(let soft):
      (0...1).contains(soft.pull) && soft.end > 0 && soft.end <= 1
    }
  }

  private func replacing(_ options: inout NamedOptions) -> EditingMethod? {
    switch self {
    case .flowEdit(var edit):
      guard let final = options.count("final", edit.finalSteps),
        let draws = options.count("draws", edit.drawCount),
        let source = options.number("source-scale", edit.sourceScale),
        let target = options.number("target-scale", edit.targetScale)
      else { return nil }
      (edit.finalSteps, edit.drawCount, edit.sourceScale, edit.targetScale) =
        (final, draws, source, target)
      return .flowEdit(edit)
    case .flowAlign(var align):
      guard let pull = options.number("pull", align.pull),
        let scale = options.number("scale", align.scale)
      else { return nil }
      (align.pull, align.scale) = (pull, scale)
      return .flowAlign(align)
    case .rfInversion(var inversion):
      guard let gamma = options.number("gamma", inversion.noisePull),
        let eta = options.number("eta", inversion.sourcePull),
        let part = options.number("part", inversion.pulledPart)
      else { return nil }
      (inversion.noisePull, inversion.sourcePull, inversion.pulledPart) = (gamma, eta, part)
      return .rfInversion(inversion)
    case .inversion: return self
    case .softInterpolation(var soft):
      guard let pull = options.number("pull", soft.pull),
        let end = options.number("end", soft.end),
        let decay = options.number("decay", soft.decay)
      else { return nil }
      (soft.pull, soft.end, soft.decay) = (pull, end, decay)
      return .softInterpolation(soft)
    }
  }
}
