import Foundation
import Testing

@testable import FlowServer

@Suite struct JSONParserTests {
  private static let limits = JSONLimits(byteCount: 1 << 20, valueCount: 4096)

  private static func parse(_ text: String) throws(JSONError) -> JSONValue {
    try JSONParser.parse(text.utf8, limits: limits)
  }

  @Test(
    "Documents and their values",
    arguments: [
      ("null", .null), (" true\r\n", .bool(true)), ("false", .bool(false)), ("0", .integer(0)),
      ("-0", .integer(0)), ("-9223372036854775808", .integer(.min)),
      ("9223372036854775808", .unsigned(1 << 63)), ("18446744073709551615", .unsigned(.max)),
      ("18446744073709551616", .number(18446744073709551616)), ("1.5e-3", .number(0.0015)),
      ("1E+2", .number(100)), ("-0.0", .number(0)), ("\"\"", .string("")),
      (#""a\"\\\/\b\f\n\r\t\u00e9""#, .string("a\"\\/\u{8}\u{c}\n\r\té")),
      (#""\ud83e\udd8a fox""#, .string("🦊 fox")), ("\"🦊\u{7f}\"", .string("🦊\u{7f}")),
      (#""\u0000""#, .string("\0")), ("[]", .array([])), ("[ ]", .array([])),
      ("[1,[2], \"x\"]", .array([.integer(1), .array([.integer(2)]), .string("x")])),
      ("{}", .object([:])), ("\u{feff}{}", .object([:])),
      (
        "{ \"a\" : {\"\": null}, \"b\":[{}] }",
        .object(["a": .object(["": .null]), "b": .array([.object([:])])])
      ),
    ] as [(String, JSONValue)])
  func values(text: String, expected: JSONValue) throws {
    #expect(try Self.parse(text) == expected)
  }

  @Test(
    "Invalid JSON is rejected at the byte where it stops being JSON",
    arguments: [
      ("", 0), (" ", 1), ("{", 1), ("[", 1), ("[1", 2), ("[1,", 3), ("[1,]", 3), ("[,1]", 1),
      ("{\"a\"}", 4), ("{\"a\":}", 5), ("{\"a\":1,}", 7), ("{a:1}", 1), ("{'a':1}", 1),
      ("{\"a\":1 \"b\":2}", 7), ("nul", 3), ("True", 0), ("NaN", 0), ("Infinity", 0), ("01", 1),
      ("-", 1), ("+1", 0), (".5", 0), ("1.", 2), ("1e", 2), ("1e+", 3), ("0x10", 1), ("1_000", 1),
      ("\"", 1), ("\"a\nb\"", 2), ("\"\\x\"", 1), ("\"\\u12g4\"", 5), ("\"\\ud800\"", 1),
      ("\"\\udc00\"", 1), ("\"\\ud800\\u0041\"", 1), ("1 2", 2), ("{}}", 2), ("// a\n1", 0),
      ("1e999", 0), ("[1}", 2), ("{\"a\":1]", 6),
    ])
  func syntax(text: String, offset: Int) {
    #expect {
      try Self.parse(text)
    } throws: { error in
      if case .syntax(offset, _) = error as? JSONError { true } else { false }
    }
  }

  @Test("Bytes that are not UTF-8 are refused, in names as in texts")
  func encoding() {
    for bytes in [[0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22]] {
      #expect(throws: JSONError.syntax(offset: 1, expected: "UTF-8 text")) {
        try JSONParser.parse(bytes.map { UInt8($0) }, limits: Self.limits)
      }
    }
    #expect(throws: JSONError.self) {
      try JSONParser.parse(Array("{\"a".utf8) + [0x80] + Array("\":1}".utf8), limits: Self.limits)
    }
  }

  @Test("A name that is given twice is refused, however it is spelled")
  func repeatedNames() {
    #expect(throws: JSONError.repeatedName("a")) { try Self.parse(#"{"a": 1, "\u0061": 2}"#) }
  }

  @Test("No beginning of a document is a document")
  func prefixes() throws {
    let text = #"{"prompt": "a \"f\u00f6x\"", "n": 12.5e1, "blend": [{"w": true}, null], "x": {}}"#
    #expect(throws: Never.self) { try Self.parse(text) }
    for count in 0..<text.utf8.count {
      #expect(throws: JSONError.self, "\(count) bytes") {
        try JSONParser.parse(text.utf8.prefix(count), limits: Self.limits)
      }
    }
  }

  /// A parser that has refused a document, and why.
  private static func refused(_ text: String) -> (parser: JSONParser, error: JSONError?) {
    var parser = JSONParser(Array(text.utf8), limits: limits)
    do throws(JSONError) {
      _ = try parser.document()
      return (parser, nil)
    } catch { return (parser, error) }
  }

  @Test("What is nested too deeply is refused after as many bytes as levels")
  func depth() throws {
    for opening in ["[", "{\"a\":"] {
      let (parser, error) = Self.refused(String(repeating: opening, count: 500_000))
      #expect(error == .tooDeep(limit: 8))
      #expect(parser.position == 8 * opening.utf8.count + 1)
    }
    // Alternating, as an attack on decoders that try one type after another.
    let (parser, error) = Self.refused(String(repeating: "[{\"a\":", count: 600))
    #expect(error == .tooDeep(limit: 8) && parser.position < 60)
    // Eight levels are allowed, any number of times.
    let level = String(repeating: "[", count: 7) + String(repeating: "]", count: 7)
    #expect(throws: Never.self) { try Self.parse("[\(level),\(level),\(level)]") }
  }

  @Test("Too many values are refused at the first that is too much, unread what follows")
  func width() {
    for (value, bytesEach) in [("{}", 3), ("[]", 3), ("0", 2), ("\"\"", 3)] {
      let list = "[" + Array(repeating: value, count: 1_000_000).joined(separator: ",") + "]"
      let (parser, error) = Self.refused(list)
      #expect(error == .tooManyValues(limit: 4096))
      #expect(parser.position <= 4096 * bytesEach + 1, "\(value): \(parser.position)")
    }
    let members = (0..<5000).map { "\"\($0)\":0" }.joined(separator: ",")
    #expect(Self.refused("{\(members)}").error == .tooManyValues(limit: 4096))
  }

  @Test("A document that is too large, and a number that is too long, are refused")
  func size() {
    #expect(throws: JSONError.tooLarge(limit: 10)) {
      try JSONParser.parse(
        Array(repeating: 0x20, count: 11), limits: JSONLimits(byteCount: 10, valueCount: 1))
    }
    #expect(throws: JSONError.self) { try Self.parse(String(repeating: "1", count: 129)) }
    #expect(throws: Never.self) { try Self.parse(String(repeating: "1", count: 128)) }
  }

  @Test("A text of nothing but escapes is read in linear time")
  func escapes() throws {
    let count = (1 << 19) - 1
    let text = "\"" + String(repeating: "\\n", count: count) + "\""
    let start = ContinuousClock.now
    #expect(try Self.parse(text) == .string(String(repeating: "\n", count: count)))
    // A second in a debug build; copying the text at each escape took more than half a minute.
    #expect(ContinuousClock.now - start < .seconds(15))
  }
}
