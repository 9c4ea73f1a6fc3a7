/// The prediction type of a piecewise rectified flow.
///
/// The three types of PeRFlow (`scheduler_perflow.py` of magic-research/piecewise-rectified-flow).
public enum Prediction: String, Sendable, CaseIterable {
  /// The velocity itself, per unit of time towards noise.
  case velocity
  /// Noise, in the parametrization that keeps a window's two ends consistent (SD1.5 weights).
  case diffEps = "diff_eps"
  /// Noise, as in a DDIM step (SDXL weights).
  case ddimEps = "ddim_eps"
}
