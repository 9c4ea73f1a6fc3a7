import Testing

@testable import FlowServer

@Suite struct MultipartFormTests {
  static let type = "multipart/form-data; boundary=abc"

  /// A body of the boundary `abc` whose parts' header lines and contents are these.
  static func body(_ parts: [(header: String, content: String)]) -> [UInt8] {
    let parts = parts.map { "--abc\r\n\($0.header)\r\n\r\n\($0.content)\r\n" }
    return Array((parts.joined() + "--abc--\r\n").utf8)
  }

  static func field(_ name: String) -> String {
    "Content-Disposition: form-data; name=\(name)"
  }

  // MARK: - What clients write

  @Test("The body of Python's requests 2.34: fields, an empty one, quotes and UTF-8")
  func requests() throws {
    var body = Array(
      """
      --dd345db8eab8c641398353541309a988\r
      Content-Disposition: form-data; name="prompt"\r
      \r
      ein F\u{FC}chslein \u{1F98A}\r
      --dd345db8eab8c641398353541309a988\r
      Content-Disposition: form-data; name="n"\r
      \r
      2\r
      --dd345db8eab8c641398353541309a988\r
      Content-Disposition: form-data; name="empty"\r
      \r
      \r
      --dd345db8eab8c641398353541309a988\r
      Content-Disposition: form-data; name="image"; filename="fuchs %22rot%22.png"\r
      Content-Type: image/png\r
      \r

      """.utf8)
    let png: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0x00, 0xFF]
    body += png + Array("\r\n--dd345db8eab8c641398353541309a988--\r\n".utf8)
    let form = try MultipartForm(
      body, contentType: "multipart/form-data; boundary=dd345db8eab8c641398353541309a988")
    #expect(form.parts.map(\.name) == ["prompt", "n", "empty", "image"])
    #expect(try form.text(named: "prompt") == "ein F\u{FC}chslein \u{1F98A}")
    #expect(try form.text(named: "n") == "2")
    #expect(try form.text(named: "empty") == "")
    #expect(try form.text(named: "seed") == nil)
    #expect(form.first(named: "prompt")?.fileName == nil)
    let image = try #require(form.first(named: "image"))
    #expect(image.fileName == "fuchs \"rot\".png")
    #expect(image.contentType == "image/png")
    #expect(Array(image.content) == png)
  }

  @Test("The body of urllib3 2.7: escaped line ends in a name, dashes in a file")
  func urllib3() throws {
    let body = Array(
      """
      --0123456789abcdef\r
      Content-Disposition: form-data; name="a%22b%0D%0Ac"\r
      \r
      x\r
      --0123456789abcdef\r
      Content-Disposition: form-data; name="bild"; filename="na\u{EF}ve.png"\r
      Content-Type: image/png\r
      \r
      --\r
      -\r
      --0123456789abcdef--\r

      """.utf8)
    let form = try MultipartForm(
      body, contentType: "multipart/form-data; boundary=0123456789abcdef")
    #expect(form.parts.map(\.name) == ["a\"b\r\nc", "bild"])
    #expect(form.parts.map(\.fileName) == [nil, "na\u{EF}ve.png"])
    #expect(try form.text(named: "bild") == "--\r\n-")
  }

  @Test("The body of curl 7.88: a boundary of dashes, a backslash as it is, a file that ends in CR")
  func curl() throws {
    var body = Array(
      """
      --------------------------b9e6cf990fccfea2\r
      Content-Disposition: form-data; name="prompt"\r
      \r
      a fox\r
      --------------------------b9e6cf990fccfea2\r
      Content-Disposition: form-data; name="image"; filename="a%22b\\c"\r
      Content-Type: image/jpeg\r
      \r

      """.utf8)
    body += [0xFF, 0xD8, 0xFF, 0x0A, 0x0D]
    body += Array(
      """
      \r
      --------------------------b9e6cf990fccfea2\r
      Content-Disposition: form-data; name="empty"\r
      \r
      \r
      --------------------------b9e6cf990fccfea2--\r

      """.utf8)
    let form = try MultipartForm(
      body, contentType: "multipart/form-data; boundary=------------------------b9e6cf990fccfea2")
    #expect(form.parts.map(\.name) == ["prompt", "image", "empty"])
    #expect(form.first(named: "image")?.fileName == "a\"b\\c")
    #expect(form.parts.map(\.content.count) == [5, 5, 0])
    #expect(form.first(named: "image")?.content.last == 0x0D)
  }

  @Test(
    "Names and file names in all their spellings",
    arguments: [
      ("name=image", "image", nil),
      ("name=\"image\"", "image", nil),
      ("NAME = \"image\" ; filename=\"a;b.png\"", "image", "a;b.png"),
      (#"name="a\"b\\c""#, #"a"b\c"#, nil),
      (#"name="a"; filename="C:\dir\a.png""#, "a", #"C:\dir\a.png"#),
      ("name=\"%41%22%0d%0a%\"", "%41\"\r\n%", nil),
      ("name=\"a\"; filename=\"\"", "a", ""),
      ("name=\"a\"; filename*=UTF-8''na%C3%AFve.png", "a", "na\u{EF}ve.png"),
      ("name=\"a\"; filename*=UTF-8''x; filename=\"y\"", "a", "y"),
      ("name=\" a \";", " a ", nil),
      ("name=\"%22\u{301}\"", "\"\u{301}", nil),
    ] as [(String, String, String?)])
  func names(parameters: String, name: String, fileName: String?) throws {
    let line = "content-disposition:Form-Data; \(parameters)"
    let form = try MultipartForm(Self.body([(line, "x")]), contentType: Self.type)
    #expect(form.parts.map(\.name) == [name])
    #expect(form.parts.map(\.fileName) == [fileName])
  }

  @Test(
    "Boundaries quoted and not, of 1 to 70 characters",
    arguments: [
      ("boundary=abc", "abc"), ("boundary=\"abc\"; charset=utf-8", "abc"),
      ("charset=utf-8;BOUNDARY=\"a b:c=d\"", "a b:c=d"),
      ("boundary=----=_Part_1'()+,./:?", "----=_Part_1'()+,./:?"), ("boundary=-", "-"),
      ("boundary=\(String(repeating: "x", count: 70))", String(repeating: "x", count: 70)),
    ])
  func boundaries(parameter: String, boundary: String) throws {
    let body = "--\(boundary)\r\n\(Self.field("a"))\r\n\r\nx\r\n--\(boundary)--"
    let form = try MultipartForm(
      Array(body.utf8), contentType: "Multipart/Form-Data; \(parameter)")
    #expect(try form.text(named: "a") == "x")
  }

  @Test(
    "What is before, after and between parts",
    arguments: [
      ("--abc--", []),
      ("--abc--\r\n", []),
      (
        "a preamble\r\n--abc\r\nF\r\n\r\nx\r\n--abc--an epilogue\r\n--abc--",
        ["x\r\n--abc--an epilogue"]
      ),
      ("\r\n--abc \t\r\nF\r\n\r\nx\r\n--abc-- \t\r\nan epilogue\r\n--abc\r\n", ["x"]),
      ("--abcd\r\n--abc\r\nF\r\n\r\nx\r\n--abcd\r\n--ab\r\n--abc--", ["x\r\n--abcd\r\n--ab"]),
      ("--abc\r\nF\r\n\r\n--abc--", [""]),
      ("--abc\r\nF\r\n\r\n\r\n--abc--", [""]),
      ("--abc\r\nF\r\n\r\n\r\n\r\n--abc--", ["\r\n"]),
      ("--abc\r\nF\r\n\r\n\r\r\n\r\n\r\n--abc--", ["\r\r\n\r\n"]),
      ("--abc\r\nF\r\n\r\nx\n--abc\n\r\n--abc--", ["x\n--abc\n"]),
      ("--abc\r\nF\r\n\r\n1\r\n--abc\r\nF\r\n\r\n2\r\n--abc--", ["1", "2"]),
    ])
  func edges(body: String, contents: [String]) throws {
    let body = body.replacing("F\r\n", with: "\(Self.field("f"))\r\n")
    let form = try MultipartForm(Array(body.utf8), contentType: Self.type)
    #expect(form.parts.map { String(decoding: $0.content, as: UTF8.self) } == contents)
  }

  // MARK: - Hostile bytes

  @Test("No byte is looked at more than a few times, however much is nearly a boundary")
  func linearTime() throws {
    let boundary = String(repeating: "-", count: 70)
    let type = "multipart/form-data; boundary=\(boundary)"
    let start = "--\(boundary)\r\n\(Self.field("a"))\r\n\r\n"
    let nearly = [
      String(repeating: "\r\n--\(boundary.dropLast())", count: 1000),
      String(repeating: "\r\n--\(boundary)-", count: 1000),
      String(repeating: "\r\n--\(boundary)x", count: 1000),
      String(repeating: "\r", count: 50_000), String(repeating: "\r\n", count: 50_000),
      String(repeating: "-", count: 50_000),
      "\r\n--\(boundary)" + String(repeating: " ", count: 50_000),
      String(repeating: "\r\n--\(boundary)--   ", count: 1000),
    ]
    for content in nearly {
      for preamble in [start, ""] {
        let bytes = CountingBytes(Array((preamble + content).utf8))
        var scanner = try? MultipartScanner(bytes, boundary: MultipartBoundary(contentType: type))
        if try scanner?.header(of: 1, limit: 8192) != nil { _ = try scanner?.content() }
        #expect(bytes.readCount <= 4 * bytes.count, "\(content.prefix(80).debugDescription)")
      }
    }
  }

  @Test("Ten thousand spoiled bodies are read or refused, and their parts lie in them")
  func mutations() throws {
    let seeds: [[UInt8]] = [
      Self.body([
        (Self.field("\"prompt\""), "a fox"),
        (
          Self.field("\"image\"; filename=\"a%22.png\"") + "\r\nContent-Type: image/png",
          "\u{0}\r\n--ab"
        ),
      ]),
      Array("pre\r\n--abc \r\n\(Self.field("\"a\\\"\""))\r\n\r\n\r\n--abc-- \r\npost".utf8),
    ]
    let pieces = [
      "\r", "\n", "\r\n", "--", "--abc", "\r\n--abc", "--abc--", ":", ";", "\"", "\\", "%22", "=",
      "\0",
      "name=", "filename*=UTF-8''%", "Content-Disposition: form-data; name=a\r\n",
    ].map { Array($0.utf8) }
    var random = SplitMix(state: 7)
    var readCount = 0
    for number in 0..<10_000 {
      var body = seeds[number % seeds.count]
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let place = Int.random(in: 0...body.count, using: &random)
        let end = min(place + Int.random(in: 0...8, using: &random), body.count)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: body.removeSubrange(place..<end)
        case 1: body.insert(contentsOf: pieces.randomElement(using: &random) ?? [], at: place)
        case 2: body.removeSubrange(place...)
        default:
          for index in place..<end { body[index] = UInt8.random(in: 0...255, using: &random) }
        }
      }
      guard let form = try? MultipartForm(body, contentType: Self.type) else { continue }
      readCount += 1
      var position = 0
      for part in form.parts {
        #expect(part.content.startIndex >= position && part.content.endIndex <= body.count)
        #expect(!part.name.isEmpty)
        position = part.content.endIndex
      }
    }
    // Some of either, or the test tests nothing.
    #expect((500...9500).contains(readCount))
  }
}

/// Bytes that count how often they are looked at.
struct CountingBytes: RandomAccessCollection {
  private final class Counter { var count = 0 }

  private let bytes: [UInt8]
  private let counter = Counter()

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var readCount: Int { counter.count }
  var startIndex: Int { 0 }
  var endIndex: Int { bytes.count }

  subscript(index: Int) -> UInt8 {
    counter.count += 1
    return bytes[index]
  }
}

/// SplitMix64, so that a failure comes again.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }
}
