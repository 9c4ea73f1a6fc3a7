#if canImport(Glibc)
  private import Glibc
#elseif canImport(Musl)
  private import Musl
#else
  private import Darwin
#endif

extension FlowMatchingSchedule.Respacing {
  /// Lays out as many times anew between the first and the last.
  func layOut(_ sigmas: [Double]) -> [Double] {
    let first = sigmas[0]
    let last = sigmas[sigmas.count - 1]
    switch self {
    case .karras:
      let rho = 7.0
      return linearSpace(from: pow(first, 1 / rho), to: pow(last, 1 / rho), count: sigmas.count)
        .map { pow($0, rho) }
    case .exponential:
      return linearSpace(from: log(first), to: log(last), count: sigmas.count).map { exp($0) }
    }
  }
}
