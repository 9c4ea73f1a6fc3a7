import Testing

@testable import FlowServer

/// Errors of invalid forms, and of forms beyond the limits.
extension MultipartFormTests {
  private func message(
    _ body: [UInt8], _ type: String = Self.type, count: Int = 64, size: Int = 8192
  ) -> String {
    do {
      _ = try MultipartForm(
        body, contentType: type, maximumPartCount: count, maximumHeaderSize: size)
      return ""
    } catch { return error.message }
  }

  @Test(
    "A Content-Type of something other than a form is refused with a message",
    arguments: [
      ("", "the body must be multipart/form-data, got ''"),
      ("application/json", "the body must be multipart/form-data, got 'application/json'"),
      ("multipart/form-data", "Content-Type: multipart/form-data has no 'boundary' parameter"),
      (
        "multipart/form-data; boundary=",
        "the boundary must be 1 to 70 characters of A-Z a-z 0-9 '()+_,-./:=? and inner spaces, got 0: ''"
      ),
      (
        "multipart/form-data; boundary=\"a \"",
        "the boundary must be 1 to 70 characters of A-Z a-z 0-9 '()+_,-./:=? and inner spaces, got 2: 'a '"
      ),
      (
        "multipart/form-data; boundary=a*b",
        "the boundary must be 1 to 70 characters of A-Z a-z 0-9 '()+_,-./:=? and inner spaces, got 3: 'a*b'"
      ),
      (
        "multipart/form-data; boundary=\"abc",
        "Content-Type: the quoted value of 'boundary' has no closing quote"
      ),
      (
        "multipart/form-data; boundary=a; boundary=b", "Content-Type: 'boundary' is given twice"
      ),
      (
        "multipart/form-data; boundary=\"a\"b",
        "Content-Type: expected ';' or the end after the quoted value of 'boundary', got 'b'"
      ),
      (
        "multipart/form-data; boundary",
        "Content-Type: expected a parameter such as name=\"image\", got 'boundary'"
      ),
    ])
  func contentTypes(type: String, expected: String) {
    #expect(message(Array("--abc--".utf8), type) == expected)
  }

  @Test("A boundary of 71 characters is refused")
  func longBoundary() {
    let type = "multipart/form-data; boundary=\(String(repeating: "x", count: 71))"
    #expect(message([], type).contains("1 to 70 characters"))
  }

  @Test(
    "A body that is no form is refused in words",
    arguments: [
      (
        "",
        "the body of 0 bytes has no line '--abc'; the boundary of Content-Type must begin it and end in CR LF"
      ),
      ("--abc", "the body of 5 bytes has no line '--abc'"),
      ("--abd\r\nx\r\n", "the body of 10 bytes has no line '--abc'"),
      (
        "--abc\nF\n\nx\n--abc--\n",
        "the boundary's line at byte 0 must end in CR LF, got a CR or LF alone"
      ),
      (
        "--abc\r\nF\n\nx\n--abc--\n",
        "a header line of part 1 must end in CR LF, got a CR or LF alone"
      ),
      ("--abc\r\nF\rX", "a header line of part 1 must end in CR LF, got a CR or LF alone"),
      ("--abc\r\nF\r\n\r\nx\r\n--abc\n", "the boundary's line at byte 54 must end in CR LF"),
      ("--abc\r\n", "the body ends in the middle of the header of part 1, after 7 bytes"),
      ("--abc\r\nF", "the body ends in the middle of the header of part 1"),
      ("--abc\r\nF\r", "the body ends in the middle of the header of part 1"),
      ("--abc\r\nF\r\n\r", "the body ends in the middle of the header of part 1"),
      (
        "--abc\r\nF\r\n\r\n",
        "the body ends in the middle of part 'image', after 53 bytes; expected the line '--abc--' at the end"
      ),
      (
        "--abc\r\nF\r\n\r\nx\r\n--abc",
        "the body ends in the middle of part 'image', after 61 bytes"
      ),
      (
        "--abc\r\nF\r\n\r\nx\r\n--abc-",
        "the body ends in the middle of part 'image', after 62 bytes"
      ),
      ("--abc\r\nF\r\n\r\nx\r\n--abc\r\n", "the body ends in the middle of the header of part 2"),
      (
        "--abc\r\nF\r\n--abc--\r\n\r\n",
        "part 1: expected a header line 'Name: value', got '--abc--'"
      ),
      (
        "--abc\r\nF\r\n folded\r\n\r\nx",
        "part 1: expected a header line 'Name: value', got ' folded'"
      ),
      ("--abc\r\nF\r\n: x\r\n\r\nx", "part 1: expected a header line 'Name: value', got ': x'"),
      ("--abc\r\nA B: x\r\n\r\nx", "part 1: expected a header line 'Name: value', got 'A B: x'"),
      (
        "--abc\r\nA: \u{0}\r\n\r\nx",
        "part 1: a header line is not UTF-8 text, or contains control characters"
      ),
      (
        "--abc\r\nF\r\ncontent-disposition: x\r\n\r\nx",
        "part 1: 'content-disposition' is given twice"
      ),
      (
        "--abc\r\n\r\nx\r\n--abc--",
        "part 1 has no Content-Disposition; expected one such as form-data; name=\"image\""
      ),
      (
        "--abc\r\nContent-Disposition: attachment; name=a\r\n\r\nx",
        "part 1: Content-Disposition must be form-data, got 'attachment'"
      ),
      (
        "--abc\r\nContent-Disposition: form-data\r\n\r\nx",
        "part 1 has no name; expected form-data; name=\"image\""
      ),
      ("--abc\r\nContent-Disposition: form-data; name=\"\"\r\n\r\nx", "part 1 has no name"),
      (
        "--abc\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx",
        "part 1: Content-Disposition: the quoted value of 'name' has no closing quote"
      ),
      (
        "--abc\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\nx",
        "part 1: Content-Disposition: 'name' is given twice"
      ),
      (
        "--abc\r\nF\r\nContent-Transfer-Encoding: base64\r\n\r\nx",
        "part 'image': Content-Transfer-Encoding must be binary, got 'base64'"
      ),
    ])
  func refusals(body: String, expected: String) {
    var bytes: [UInt8] = []
    // "F" on a line of its own stands for the header of the field "image".
    for (index, piece) in body.split(separator: "F", omittingEmptySubsequences: false).enumerated()
    {
      if index > 0 { bytes += Array(Self.field("image").utf8) }
      bytes += Array(piece.utf8)
    }
    #expect(message(bytes).hasPrefix(expected))
  }

  @Test("Header lines and text that are not UTF-8 are refused")
  func encodings() throws {
    let bytes = Array("--abc\r\nA: ".utf8) + [0xFF] + Array("\r\n\r\nx\r\n--abc--".utf8)
    #expect(
      message(bytes) == "part 1: a header line is not UTF-8 text, or contains control characters")
    let body =
      Array("--abc\r\n\(Self.field("a"))\r\n\r\n".utf8) + [0xC3] + Array("\r\n--abc--".utf8)
    let form = try MultipartForm(body, contentType: Self.type)
    #expect(throws: MultipartError("part 'a' is not UTF-8 text (1 bytes)")) {
      try form.text(named: "a")
    }
  }

  @Test("As many parts and as long a header as are taken, and one more")
  func limits() {
    let three = Self.body(Array(repeating: (Self.field("a"), "x"), count: 3))
    #expect(message(three, count: 3) == "")
    #expect(message(three, count: 2) == "the form has more than 2 parts, which is the limit")
    let long = Self.body([(Self.field("a"), "x")])
    #expect(message(long, size: 38) == "")
    #expect(message(long, size: 37) == "the header of part 1 is longer than 37 bytes")
    let endless = Array("--abc\r\n".utf8) + Array(repeating: UInt8(ascii: "a"), count: 100_000)
    #expect(message(endless) == "the header of part 1 is longer than 8192 bytes")
    let quoted = MultipartError.quote(String(repeating: "x", count: 1000))
    #expect(quoted.count == 85)
  }
}
