import Testing

@testable import FlowServer

@Suite struct PrometheusRegistryTests {
  private let registry = PrometheusRegistry()

  private func counter(
    _ label: String, _ dimensions: [(String, String)] = [], of registry: PrometheusRegistry? = nil
  ) throws -> PrometheusCounter {
    let registry = registry ?? self.registry
    return try #require(
      registry.makeCounter(label: label, dimensions: dimensions) as? PrometheusCounter)
  }

  private func meter(_ label: String, _ dimensions: [(String, String)] = []) throws
    -> PrometheusGauge
  {
    try #require(registry.makeMeter(label: label, dimensions: dimensions) as? PrometheusGauge)
  }

  private func timer(_ label: String, _ dimensions: [(String, String)] = []) throws
    -> PrometheusHistogram
  {
    try #require(registry.makeTimer(label: label, dimensions: dimensions) as? PrometheusHistogram)
  }

  /// The lines of samples, without those that explain them.
  private func samples(of registry: PrometheusRegistry? = nil) -> [String] {
    (registry ?? self.registry).text().split(separator: "\n").filter { !$0.hasPrefix("#") }
      .map(String.init)
  }

  @Test("Nothing counted is nothing written")
  func empty() { #expect(registry.text() == "") }

  @Test("Counters, gauges and times, whole")
  func whole() throws {
    let registry = PrometheusRegistry(help: ["hb.requests": "Requests\nby route \\ method"])
    try counter("hb.requests", [("route", "/"), ("method", "GET")], of: registry).increment(
      by: Int64(3))
    registry.gauge("queue_length", help: "Images that wait") { 2.5 }
    registry.gauge("absent", help: "No value") { nil }
    let recorder = registry.makeRecorder(label: "rows", dimensions: [], aggregate: false)
    (recorder as? PrometheusGauge)?.record(Int64(-4))
    let timer = registry.makeTimer(label: "wait", dimensions: [("model", "a")])
    let histogram = try #require(timer as? PrometheusHistogram)
    for duration: Int64 in [1_000_000, 1_000_001, 300_000_000, 90_000_000_000, -5] {
      histogram.recordNanoseconds(duration)
    }
    // Read back with prometheus-client 0.26's parser, which agrees.
    #expect(
      registry.text() == """
        # HELP hb_requests_total Requests\\nby route \\\\ method
        # TYPE hb_requests_total counter
        hb_requests_total{method="GET",route="/"} 3
        # HELP queue_length Images that wait
        # TYPE queue_length gauge
        queue_length 2.5
        # HELP rows rows
        # TYPE rows gauge
        rows -4
        # HELP wait_seconds wait
        # TYPE wait_seconds histogram
        wait_seconds_bucket{model="a",le="0.001"} 2
        wait_seconds_bucket{model="a",le="0.0025"} 3
        wait_seconds_bucket{model="a",le="0.005"} 3
        wait_seconds_bucket{model="a",le="0.01"} 3
        wait_seconds_bucket{model="a",le="0.025"} 3
        wait_seconds_bucket{model="a",le="0.05"} 3
        wait_seconds_bucket{model="a",le="0.1"} 3
        wait_seconds_bucket{model="a",le="0.25"} 3
        wait_seconds_bucket{model="a",le="0.5"} 4
        wait_seconds_bucket{model="a",le="1"} 4
        wait_seconds_bucket{model="a",le="2.5"} 4
        wait_seconds_bucket{model="a",le="5"} 4
        wait_seconds_bucket{model="a",le="10"} 4
        wait_seconds_bucket{model="a",le="30"} 4
        wait_seconds_bucket{model="a",le="60"} 4
        wait_seconds_bucket{model="a",le="120"} 5
        wait_seconds_bucket{model="a",le="300"} 5
        wait_seconds_bucket{model="a",le="600"} 5
        wait_seconds_bucket{model="a",le="+Inf"} 5
        wait_seconds_sum{model="a"} 90.302000001
        wait_seconds_count{model="a"} 5

        """)
  }

  @Test(
    "Names that Prometheus does not take are made legal",
    arguments: [
      ("hb.requests", "hb_requests_total"), ("a_total", "a_total"), ("a:b-c", "a:b_c_total"),
      ("2xx", "_2xx_total"), ("\u{E9}t\u{E9}", "_t__total"), ("a b\nc{d}", "a_b_c_d__total"),
      ("", "__total"),
    ])
  func names(label: String, expected: String) throws {
    try counter(label).increment(by: Int64(1))
    #expect(samples() == ["\(expected) 1"])
  }

  @Test(
    "Labels are legal, escaped, sorted and never twice",
    arguments: [
      ([("b", "1"), ("a", "2")], #"{a="2",b="1"}"#),
      ([("http.route", "/a\"b\\c\nd")], #"{http_route="/a\"b\\c\nd"}"#),
      ([("le", "1"), ("__name__", "2"), ("4", "3")], #"{_4="3",label___name__="2",label_le="1"}"#),
      ([("a.b", "1"), ("a-b", "2")], #"{a_b="1;2"}"#),
      ([("a", ""), ("b", "")], ""),
      ([("a:b", "}\u{1F98A}")], "{a_b=\"}\u{1F98A}\"}"),
      (
        [("a", String(repeating: "x", count: 500))], "{a=\"\(String(repeating: "x", count: 256))\"}"
      ),
    ] as [([(String, String)], String)])
  func labels(dimensions: [(String, String)], expected: String) throws {
    try meter("m", dimensions).set(Int64(1))
    #expect(samples() == ["m\(expected) 1"])
  }

  @Test(
    "Numbers, whole, fractional, huge and none",
    arguments: [
      (0, "0"), (-0.0, "0"), (1, "1"), (0.1, "0.1"), (1e-9, "1e-09"), (1e15, "1000000000000000"),
      (1e300, "1e+300"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
    ])
  func numbers(value: Double, expected: String) throws {
    try meter("m").set(value)
    #expect(samples() == ["m \(expected)"])
  }

  @Test("The same name and labels in any order are the same series")
  func identity() throws {
    let first = try counter("a", [("x", "1"), ("y", "2")])
    #expect(try counter("a", [("y", "2"), ("x", "1")]) === first)
    #expect(try counter("a", [("y", "2"), ("x", "1"), ("z", "")]) === first)
    #expect(try counter("a", [("x", "1")]) !== first)
    let floating = registry.makeFloatingPointCounter(
      label: "a", dimensions: [("x", "1"), ("y", "2")])
    #expect(floating as? PrometheusCounter === first)
    first.increment(by: 0.5)
    first.increment(by: Int64(2))
    // A counter does not fall, and is always a number.
    for amount: Double in [-1, .nan, 0, -.infinity] { first.increment(by: amount) }
    #expect(samples().contains(#"a_total{x="1",y="2"} 2.5"#))
    first.reset()
    #expect(samples().contains(#"a_total{x="1",y="2"} 0"#))
  }

  @Test("A gauge goes up and down, and one that is read is read again")
  func gauges() throws {
    let gauge = try meter("m")
    gauge.set(Int64(3))
    gauge.increment(by: 1.5)
    gauge.decrement(by: 4)
    #expect(samples() == ["m 0.5"])
    registry.gauge("m", help: "now read", labels: []) { 7 }
    #expect(samples() == ["m 7"])
    // A collector may use the registry while it is read.
    registry.gauge("m", help: "now read") { [registry] in Double(registry.text().count * 0) }
    registry.gauge("n", help: "", labels: [("a", "b")]) { nil }
    registry.gauge("m", help: "now read") { 8 }
    #expect(samples() == ["m 8"])
  }

  @Test("Numbers that are summed up have buckets of their own")
  func recorders() throws {
    let recorder = registry.makeRecorder(label: "size", dimensions: [], aggregate: true)
    let histogram = try #require(recorder as? PrometheusHistogram)
    for number in [0.5, 3, 2_000_000, .nan] { histogram.record(number) }
    histogram.record(Int64(5))
    let lines = samples()
    #expect(lines.first == #"size_bucket{le="1"} 1"#)
    #expect(lines.contains(#"size_bucket{le="5"} 3"#))
    #expect(
      lines.suffix(3) == [
        #"size_bucket{le="+Inf"} 4"#, "size_sum 2000008.5", "size_count 4",
      ])
  }

  @Test("Kinds that claim one name, or each other's samples, get names of their own")
  func clashes() throws {
    try counter("a").increment(by: Int64(1))
    try meter("a_total").set(Int64(2))
    try meter("a_total", [("x", "1")]).set(Int64(3))
    try meter("wait_seconds_count").set(Int64(4))
    try timer("wait").recordNanoseconds(0)
    let lines = samples()
    #expect(lines.prefix(3) == ["a_total 1", "a_total_gauge 2", #"a_total_gauge{x="1"} 3"#])
    #expect(lines.contains("wait_seconds_count 4"))
    #expect(lines.contains("wait_seconds_histogram_count 1"))
    let types = registry.text().split(separator: "\n").filter { $0.hasPrefix("# TYPE") }
    #expect(types.count == 4 && Set(types).count == 4)
  }

  @Test("Beyond the maximum number of series, further ones are counted as one")
  func bound() throws {
    let registry = PrometheusRegistry(maximumSeriesCount: 3)
    for number in 0..<100 {
      try counter("a", [("path", "/\(number)")], of: registry).increment(by: Int64(1))
    }
    for number in 0..<50 { try counter("b\(number)", of: registry).increment(by: Int64(1)) }
    #expect(
      samples(of: registry) == [
        #"a_total{overflow="true"} 97"#, #"a_total{path="/0"} 1"#, #"a_total{path="/1"} 1"#,
        #"a_total{path="/2"} 1"#, #"overflow_total{overflow="true"} 50"#,
      ])
    // What is there is still found; what is gone makes room.
    try counter("a", [("path", "/1")], of: registry).increment(by: Int64(1))
    #expect(samples(of: registry).contains(#"a_total{path="/1"} 2"#))
    let shared = try counter("a", [("path", "/99")], of: registry)
    registry.destroyCounter(shared)
    #expect(samples(of: registry).contains(#"a_total{overflow="true"} 97"#))
    for path in ["/0", "/1", "/2"] {
      registry.destroyCounter(try counter("a", [("path", path)], of: registry))
    }
    try counter("c", of: registry).increment(by: Int64(1))
    #expect(samples(of: registry).contains("c_total 1"))
  }

  @Test("A destroyed metric is gone with its name, and starts over")
  func destruction() throws {
    let (counter, timer, meter) = (try counter("a"), try timer("b"), try meter("c"))
    let floating = registry.makeFloatingPointCounter(label: "d", dimensions: [])
    let recorder = registry.makeRecorder(label: "e", dimensions: [], aggregate: true)
    counter.increment(by: Int64(1))
    registry.destroyCounter(counter)
    registry.destroyTimer(timer)
    registry.destroyMeter(meter)
    registry.destroyFloatingPointCounter(floating)
    registry.destroyRecorder(recorder)
    registry.destroyRecorder(recorder)
    #expect(registry.text() == "")
    counter.increment(by: Int64(1))
    #expect(try self.counter("a") !== counter)
    #expect(samples() == ["a_total 0"])
  }

  @Test("Many who count and read at once lose nothing")
  func concurrency() async throws {
    await withTaskGroup(of: Void.self) { group in
      for task in 0..<8 {
        group.addTask { [registry] in
          for number in 0..<1000 {
            let counter = registry.makeCounter(label: "n", dimensions: [("k", "\(number % 10)")])
            (counter as? PrometheusCounter)?.increment(by: Int64(1))
            let timer = registry.makeTimer(label: "t", dimensions: [])
            (timer as? PrometheusHistogram)?.recordNanoseconds(1)
            if number % 100 == task { _ = registry.text() }
          }
        }
      }
    }
    let lines = samples()
    #expect((0..<10).allSatisfy { lines.contains("n_total{k=\"\($0)\"} 800") })
    #expect(lines.contains("t_seconds_count 8000"))
  }
}
