internal import Metrics

/// The metrics that the program records with swift-metrics.
extension PrometheusRegistry: MetricsFactory {
  func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    counter(label, dimensions)
  }

  func makeFloatingPointCounter(
    label: String, dimensions: [(String, String)]
  ) -> any FloatingPointCounterHandler {
    counter(label, dimensions)
  }

  func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    gauge(label, dimensions)
  }

  func makeRecorder(
    label: String, dimensions: [(String, String)], aggregate: Bool
  ) -> any RecorderHandler {
    guard aggregate else { return gauge(label, dimensions) }
    return handler(label, dimensions, .histogram) {
      PrometheusHistogram(bounds: PrometheusHistogram.numberBounds)
    }
  }

  func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    handler(label, suffix: "_seconds", dimensions, .histogram) {
      PrometheusHistogram(bounds: PrometheusHistogram.timeBounds)
    }
  }

  private func counter(_ label: String, _ dimensions: [(String, String)]) -> PrometheusCounter {
    handler(label, suffix: "_total", dimensions, .counter) { PrometheusCounter() }
  }

  private func gauge(_ label: String, _ dimensions: [(String, String)]) -> PrometheusGauge {
    handler(label, dimensions, .gauge) { PrometheusGauge() }
  }

  func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
  func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { remove(handler) }
  func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
  func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
  func destroyTimer(_ handler: any TimerHandler) { remove(handler) }
}
