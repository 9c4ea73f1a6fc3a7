extension Guidance {
  /// Where the unprompted side comes from, as people choose it.
  public enum Kind: String, Sendable, CaseIterable {
    /// There is none.
    case none
    /// It is evaluated.
    case full
    /// It leads to the image that is started from.
    case selfNegative = "self-negative"
    /// It leads where the first step's leads.
    case onetimeNegative = "onetime-negative"

    /// The guidance of this kind.
    public func guidance(scale: Float, delta: Float) -> Guidance {
      switch self {
      case .none: .none
      case .full: .full(scale: scale)
      case .selfNegative: .selfNegative(scale: scale, delta: delta)
      case .onetimeNegative: .onetimeNegative(scale: scale, delta: delta)
      }
    }
  }

  /// Its kind; none where the network reads the scale itself, which nobody chooses.
  public var kind: Kind? {
    switch self {
    case .none: Kind.none
    case .full: .full
    case .selfNegative: .selfNegative
    case .onetimeNegative: .onetimeNegative
    case .distilled: nil
    }
  }

  /// The part of the unprompted side that is taken away; 1 where that cannot be chosen.
  public var delta: Float {
    switch self {
    case .selfNegative(_, let delta), .onetimeNegative(_, let delta): delta
    case .none, .full, .distilled: 1
    }
  }
}
