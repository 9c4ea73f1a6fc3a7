import FlowTestSupport
import Testing

@testable import FlowText

@Suite struct WeightedPromptTests {
  private static func stretches(_ prompt: String) -> [WeightedText] {
    WeightedPrompt(parsing: prompt).sections.flatMap { $0 }
  }

  private static func expect(
    _ prompt: String, _ expected: [(String, Float)],
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let actual = stretches(prompt)
    #expect(actual.map(\.text) == expected.map(\.0), sourceLocation: sourceLocation)
    // Weights are products in Double, in another order than the examples': a rounding of Float.
    expectClose(
      actual.map(\.weight), expected.map(\.1), tolerance: 1e-6, sourceLocation: sourceLocation)
  }

  @Test(
    "The examples that the web UI publishes give what it publishes",
    arguments: [
      ("normal text", [("normal text", 1.0)]),
      ("an (important) word", [("an ", 1), ("important", 1.1), (" word", 1)]),
      ("(unbalanced", [("unbalanced", 1.1)]),
      (#"\(literal\]"#, [("(literal]", 1)]),
      ("(unnecessary)(parens)", [("unnecessaryparens", 1.1)]),
      (
        "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
        [
          ("a ", 1), ("house", 1.573), (" ", 1.1), ("on", 1), (" a ", 1.1), ("hill", 0.55),
          (", sun, ", 1.1), ("sky", 1.4641), (".", 1.1),
        ]
      ),
    ] as [(String, [(String, Float)])])
  func published(prompt: String, expected: [(String, Float)]) {
    Self.expect(prompt, expected)
  }

  @Test(
    "Other characters are text",
    arguments: [
      ("", []), ("()", []), ("a ) b ] c", [("a ) b ] c", 1.0)]), ("a:1.2)", [("a:1.2)", 1)]),
      ("(a:b)", [("a:b", 1.1)]), ("(a:1.2.3)", [("a:1.2.3", 1.1)]), ("(a:.)", [("a:.", 1.1)]),
      ("(a:1.2", [("a:1.2", 1.1)]), ("[a:1.2]", [("a:1.2", 1 / 1.1)]),
      ("(a:101)", [("a:101", 1.1)]), ("(a:1e2)", [("a:1e2", 1.1)]), ("(a:nan)", [("a:nan", 1.1)]),
      (#"\a\\b\"#, [(#"a\b"#, 1)]), (#"(a\))b"#, [("a)", 1.1), ("b", 1)]),
      ("(a:1)b", [("ab", 1)]), ("[(a)]b", [("ab", 1)]),
    ] as [(String, [(String, Float)])])
  func text(prompt: String, expected: [(String, Float)]) {
    Self.expect(prompt, expected)
  }

  @Test(
    "Tags of extra networks are taken out and read",
    arguments: [
      ("a fox <lora:watercolor:0.8>", "a fox ", "lora", "watercolor", 0.8),
      ("<lora:a b (v2):1>x", "x", "lora", "a b (v2)", 1),
      ("<lyco:x:0.5:0.7>", "", "lyco", "x", 0.7),
      ("<lora:x>", "", "lora", "x", 1), ("<lora:x:-2>", "", "lora", "x", -2),
      ("<LoRA: x : 0.25 >", "", "lora", "x", 0.25), ("<hypernet:h:1.5>", "", "hypernet", "h", 1.5),
      ("<lora:x:te=0.2:unet=0.6>", "", "lora", "x", 0.6), ("<lora:x:te=0.2>", "", "lora", "x", 0.2),
      ("<lora:x:strong>", "", "lora", "x", 1),
    ] as [(String, String, String, String, Float)])
  func tags(prompt: String, text: String, kind: String, name: String, weight: Float) throws {
    let parsed = WeightedPrompt(parsing: prompt)
    #expect(parsed.sections.flatMap { $0 }.map(\.text).joined() == text)
    let tag = try #require(parsed.networkTags.first)
    #expect(parsed.networkTags.count == 1)
    #expect(tag.kind.rawValue == kind && tag.name == name && tag.weight == weight)
    #expect(prompt.contains(tag.text))
  }

  @Test("A tag within brackets leaves the weights around it alone")
  func tagInBrackets() {
    Self.expect("(a <lora:x:0.5> b:1.5)c", [("a  b", 1.5), ("c", 1)])
    Self.expect("[<lora:x(:1>a]", [("a", 1 / 1.1)])
  }

  @Test(
    "Other tags are text",
    arguments: [
      "<cat-toy>", "<lora>", "<lora:>", "<lora:x:1", "<loras:x:1>", "a < b > c", "<:x>", "<",
      "<embedding:x:1>",
    ])
  func noTags(prompt: String) {
    let parsed = WeightedPrompt(parsing: prompt)
    #expect(parsed.networkTags.isEmpty)
    #expect(parsed.sections.flatMap { $0 }.map(\.text).joined() == prompt)
  }

  @Test("A long prompt of tags without ends is read in linear time")
  func openTags() {
    let prompt = String(repeating: "<lora:", count: 100_000)
    let parsed = WeightedPrompt(parsing: prompt)
    #expect(parsed.networkTags.isEmpty && parsed.sections[0].map(\.text) == [prompt])
  }

  @Test(
    "Numbers are read as they are written",
    arguments: [
      ("1.2", 1.2), (" 0.5 ", 0.5), (".5", 0.5), ("2.", 2), ("+3", 3), ("-1", -1), ("0", 0),
      ("100", 100),
    ] as [(String, Float)])
  func numbers(written: String, expected: Float) {
    Self.expect("(a:\(written))", [("a", expected)])
  }

  @Test("Round and square brackets nest each in itself")
  func overlapping() {
    Self.expect("(a [b) c]", [("a ", 1.1), ("b", 1), (" c", 1 / 1.1)])
  }

  @Test(
    "BREAK is a separate word in upper case, inside brackets too",
    arguments: [
      ("a BREAK b", ["a", "b"]), ("a  BREAK\n b", ["a", "b"]), ("a,BREAK,b", ["a,", ",b"]),
      ("BREAK", ["", ""]), ("a BREAK BREAK b", ["a", "", "b"]), ("(a BREAK b)", ["a", "b"]),
      ("(BREAK)", ["", ""]), ("a break b", ["a break b"]), ("BREAKfast", ["BREAKfast"]),
      ("a BREAK_", ["a BREAK_"]), ("éBREAK", ["éBREAK"]), ("BREA", ["BREA"]),
    ])
  func breaks(prompt: String, expected: [String]) {
    let sections = WeightedPrompt(parsing: prompt).sections
    #expect(sections.map { $0.map(\.text).joined() } == expected)
  }

  @Test("Any characters in any order are a prompt, of which no text is lost")
  func random() {
    var generator = SeededGenerator(state: 7)
    let signs = Array(#"()[]:\.12+- ,aBé🦊"#).map(String.init) + [":1.2)", "BREAK", "\u{301}"]
    for _ in 0..<5000 {
      let count = Int.random(in: 0..<40, using: &generator)
      let prompt = (0..<count).map { _ in signs.randomElement(using: &generator) ?? "" }.joined()
      let sections = WeightedPrompt(parsing: prompt).sections
      #expect(!sections.isEmpty)
      for section in sections {
        #expect(section.allSatisfy { $0.weight.isFinite && !$0.text.isEmpty })
        #expect(zip(section, section.dropFirst()).allSatisfy { $0.weight != $1.weight })
      }
      let kept = sections.flatMap { $0 }.flatMap { $0.text.unicodeScalars }
      let letters: Set<Unicode.Scalar> = [",", "a", "é", "🦊", "\u{301}"]
      #expect(
        kept.filter(letters.contains) == prompt.unicodeScalars.filter(letters.contains), "\(prompt)"
      )
    }
  }

  @Test("A hundred thousand brackets are parsed fast")
  func deep() {
    let brackets = String(repeating: "[", count: 100_000)
    #expect(Self.stretches(brackets + "a").map(\.text) == ["a"])
    #expect(Self.stretches(String(repeating: "a(b", count: 2000)).count <= 4000)
  }
}

/// SplitMix64, so that a failure comes again.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
