import Testing

@testable import FlowText

@Suite struct DecodedTextTests {
  private static func utf16(_ text: String, isBig: Bool) -> [UInt8] {
    text.utf16.flatMap {
      isBig ? [UInt8($0 >> 8), UInt8($0 & 0xff)] : [UInt8($0 & 0xff), UInt8($0 >> 8)]
    }
  }

  private static func utf32(_ text: String, isBig: Bool) -> [UInt8] {
    text.unicodeScalars.flatMap { scalar -> [UInt8] in
      let bytes = (0..<4).map { UInt8(truncatingIfNeeded: scalar.value >> ($0 * 8)) }
      return isBig ? bytes.reversed() : bytes
    }
  }

  @Test("A byte-order mark names the encoding and is not part of the text")
  func marks() throws {
    let text = "a fox 🦊\nÉté\r\n"
    let files: [[UInt8]] = [
      Array(text.utf8), [0xef, 0xbb, 0xbf] + Array(text.utf8),
      [0xff, 0xfe] + Self.utf16(text, isBig: false), [0xfe, 0xff] + Self.utf16(text, isBig: true),
      [0xff, 0xfe, 0, 0] + Self.utf32(text, isBig: false),
      [0, 0, 0xfe, 0xff] + Self.utf32(text, isBig: true),
    ]
    for file in files { #expect(try DecodedText(file).text == text) }
    #expect(try DecodedText([]).text.isEmpty && DecodedText([0xef, 0xbb, 0xbf]).text.isEmpty)
  }

  @Test(
    "What is not text is refused with its line",
    arguments: [
      ([0x61, 0x0a, 0x62, 0xe9, 0x0a], 2, "line 2 is not UTF-8 (byte 0xE9)"),
      ([0x61, 0x0d, 0x0a, 0xc3], 2, "line 2 is not UTF-8"),
      ([0x61, 0x00, 0x62, 0x00], 1, "line 1 has a NUL byte and is not text"),
      ([0xff, 0xfe, 0x61, 0x00, 0x0a, 0x00, 0x00, 0xd8], 2, "line 2 is not UTF-16"),
      ([0xff, 0xfe, 0x61, 0x00, 0x62], 1, "line 1 is not UTF-16"),
      ([0, 0, 0xfe, 0xff, 0, 0x11, 0, 0], 1, "line 1 is not UTF-32"),
      ([0, 0, 0xfe, 0xff, 0, 0], 1, "line 1 is not UTF-32"),
      ([0xff], 1, "line 1 is not UTF-8 (byte 0xFF)"),
    ] as [([UInt8], Int, String)])
  func refused(bytes: [UInt8], line: Int, message: String) {
    let problem = #expect(throws: DecodedText.Problem.self) { try DecodedText(bytes) }
    #expect(
      problem?.line == line && problem?.message.hasPrefix(message) == true,
      "\(problem?.message ?? "")")
  }
}
