extension Guidance {
  /// The source of the unconditional prediction, as users choose it.
  public enum Kind: String, Sendable, CaseIterable {
    /// No guidance.
    case none
    /// It is evaluated.
    case full
    /// It points to the input image.
    case selfNegative = "self-negative"
    /// It points to the image that the first step's prediction leads to.
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

  /// Its kind; none if the network reads the scale itself, which is not a user's choice.
  public var kind: Kind? {
    switch self {
    case .none: Kind.none
    case .full: .full
    case .selfNegative: .selfNegative
    case .onetimeNegative: .onetimeNegative
    case .distilled: nil
    }
  }

  /// The factor of the unconditional prediction; 1 if it cannot be chosen.
  public var delta: Float {
    switch self {
    case .selfNegative(_, let delta), .onetimeNegative(_, let delta): delta
    case .none, .full, .distilled: 1
    }
  }
}
