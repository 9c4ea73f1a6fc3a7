#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

extension FlowMatchingSchedule.Respacing {
  /// The sigma at a fraction of the range between the first and the last.
  func time(between first: Double, and last: Double, at fraction: Double) -> Double {
    switch self {
    case .karras:
      let rho = 7.0
      let (noisiest, cleanest) = (pow(first, 1 / rho), pow(last, 1 / rho))
      return pow(noisiest + (cleanest - noisiest) * fraction, rho)
    case .exponential: return exp(log(first) + (log(last) - log(first)) * fraction)
    }
  }
}
