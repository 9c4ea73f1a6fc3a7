import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowGraph

@Suite struct SafetensorsTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func open(_ bytes: [UInt8]) throws -> Safetensors {
    try Safetensors(path: folder.write(bytes, as: "weights.safetensors"))
  }

  private func open(header: String, dataCount: Int) throws -> Safetensors {
    try open(
      SafetensorsWriter.file(header: header, data: [UInt8](repeating: 0, count: dataCount)))
  }

  @Test("A whole file gives its tensors, types, shapes and texts")
  func whole() throws {
    let header = #"""
      {"__metadata__":{"format":"pt","note":"A\u00e9\ud83e\udd8a\n"},
       "half":{"dtype":"F16","shape":[2],"data_offsets":[8,12]},
       "brain":{"shape":[2,1],"dtype":"BF16","data_offsets":[12,16]},
       "single":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
       "long":{"dtype":"I64","shape":[],"data_offsets":[16,24]},
       "empty":{"dtype":"F32","shape":[0,5],"data_offsets":[24,24]},
       "double":{"dtype":"F64","shape":[1],"data_offsets":[24,32]},
       "word":{"dtype":"I32","shape":[1],"data_offsets":[32,36]},
       "short":{"dtype":"I16","shape":[1],"data_offsets":[36,38]},
       "tiny":{"dtype":"I8","shape":[1],"data_offsets":[38,39]},
       "byte":{"dtype":"U8","shape":[1],"data_offsets":[39,40]},
       "flag":{"dtype":"BOOL","shape":[1],"data_offsets":[40,41]}}
      """#
    let data: [UInt8] = [
      0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0,  // 1, -2
      0, 0x3c, 0, 0xc4,  // 1, -4
      0x80, 0x3f, 0x20, 0x41,  // 1, 10
      0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
      0, 0, 0, 0, 0, 0, 0xf8, 0xbf,  // -1.5
      0xfd, 0xff, 0xff, 0xff, 0xfc, 0xff, 0xfb, 0xfb, 1,  // -3, -4, -5, 251, true
    ]
    let file = try open(SafetensorsWriter.file(header: header, data: data))
    #expect(file.metadata == ["format": "pt", "note": "Aé🦊\n"])
    #expect(try file.tensors["single"]?.floats() == [1, -2])
    #expect(try file.tensors["half"]?.floats() == [1, -4])
    #expect(try file.tensors["brain"]?.floats() == [1, 10])
    #expect(try file.tensors["long"]?.floats() == [-2])
    let small = ["double": -1.5, "word": -3, "short": -4, "tiny": -5, "byte": 251, "flag": 1]
    for (name, value) in small {
      #expect(try file.tensors[name]?.floats() == [Float(value)], "\(name)")
    }
    #expect(file.tensors["brain"]?.shape == [2, 1])
    #expect(file.tensors["empty"]?.shape.elementCount == 0)
  }

  @Test(
    "A hostile header is refused with what is wrong in it",
    arguments: [
      (
        #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
        8, "names 'a' twice"
      ),
      (
        #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#,
        12, "begins 'b' at 4 where the one before ends at 8"
      ),
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 4, "ends 'a' at 8 of 4"),
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 12, "continues for 4 bytes"),
      (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#, 8, "takes 12 bytes"),
      (#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,8]}}"#, 8, "takes 4 bytes"),
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#, 8, "begins 'a' at 8"),
      (
        #"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#, 8,
        "beyond any memory"
      ),
      (
        #"{"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,8]}}"#, 8,
        "beyond any memory"
      ),
      (
        #"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}"#, 8,
        "a number beyond 64 bits"
      ),
      (#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#, 8, "no integer"),
      (#"{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}"#, 8, "no ']'"),
      (#"{"a":{"dtype":"F32","shape":[2]}}"#, 8, "does not say dtype, shape and two data_offsets"),
      (
        #"{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#, 8,
        "once too often"
      ),
      (
        #"{"a":{"dtype":"F8_E8M0","shape":[2],"data_offsets":[0,8]}}"#, 8, "takes 2 bytes"
      ),
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#, 8, "no '}'"),
      (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}x"#, 8, "something after the end"),
      (#"["a"]"#, 0, "no '{'"), ("", 0, "no '{'"), (#"{"a"#, 0, "no end"),
      (#"{"\ud800":{}}"#, 0, "half a surrogate pair"),
    ])
  func hostile(header: String, dataCount: Int, expected: String) throws {
    let error = #expect(throws: GraphError.self) {
      try open(header: header, dataCount: dataCount)
    }
    #expect(error?.code == .weightsInvalid)
    #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
    #expect(error?.message.contains("weights.safetensors") == true)
  }

  @Test(
    "A length beyond the file or beyond 100 MB is refused before anything is read",
    arguments: [UInt64.max, 1 << 63, 100_000_001, 9, 17])
  func length(length: UInt64) throws {
    let bytes =
      (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } + Array("{}      ".utf8)
    let error = #expect(throws: GraphError.self) { try open(bytes) }
    #expect(error?.message.contains("names a header of \(length) bytes in a file of 16") == true)
  }

  @Test("Every truncation of a file is refused, and no flipped bit crashes")
  func damage() throws {
    let whole = SafetensorsWriter.file([("a", [2, 2], [1, 2, 3, 4]), ("b.c", [3], [5, 6, 7])])
    _ = try open(whole)
    for count in 0..<whole.count {
      #expect(throws: GraphError.self) { try open(Array(whole.prefix(count))) }
    }
    for bit in 0..<whole.count * 8 {
      var bytes = whole
      bytes[bit / 8] ^= 1 << (bit % 8)
      guard let file = try? open(bytes) else { continue }
      for weight in file.tensors.values { _ = try? weight.floats() }
    }
  }

  @Test("Tensors off the alignment of their type are read, wherever the header ends")
  func unaligned() throws {
    for misalignment in 0..<8 {
      let file = try open(
        SafetensorsWriter.file(
          typed: [
            ("alpha", "F16", [], [0, 0x44]),
            ("a", "F32", [3], SafetensorsWriter.bytes(of: [1, -2, 3])),
            ("b", "F64", [1], [0, 0, 0, 0, 0, 0, 0xf8, 0xbf]),
          ], misalignment: misalignment))
      #expect(try file.tensors["alpha"]?.floats() == [4])
      #expect(try file.tensors["a"]?.floats() == [1, -2, 3])
      #expect(try file.tensors["b"]?.floats() == [-1.5])
    }
  }

  @Test("A type that cannot be read is an error only where the tensor is used")
  func unsupportedTypes() throws {
    let types = ["F4", "F6_E2M3", "F8_E8M0", "F8_E4M3FNUZ", "C64", "X9"]
    for type in types {
      let count = type == "C64" ? 32 : type == "F4" ? 2 : type == "F6_E2M3" ? 3 : 4
      let file = try open(
        SafetensorsWriter.file(typed: [
          ("odd", type, [4], [UInt8](repeating: 0, count: count)),
          ("fine", "U16", [2], [1, 0, 255, 255]),
        ]))
      #expect(try file.tensors["fine"]?.floats() == [1, 65535])
      let odd = try #require(file.tensors["odd"])
      #expect(odd.type == nil && odd.typeName == type)
      let error = #expect(throws: GraphError.self) { try odd.floats() }
      #expect(error?.code == .typeUnsupported)
      #expect(error?.message.contains("'odd' is stored as \(type), which is not") == true)
    }
  }

  @Test("Unsigned integers of every width are read")
  func unsigned() throws {
    let file = try open(
      SafetensorsWriter.file(typed: [
        ("a", "U64", [1], [0, 0, 0, 0, 1, 0, 0, 0]), ("b", "U32", [1], [0, 0, 0, 0x80]),
      ]))
    #expect(try file.tensors["a"]?.floats() == [0x1p32])
    #expect(try file.tensors["b"]?.floats() == [0x1p31])
  }

  @Test("Texts that are null are none")
  func nullMetadata() throws {
    let file = try open(
      header: #"{"__metadata__": null ,"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
      dataCount: 1)
    #expect(file.metadata.isEmpty && file.tensors.count == 1)
  }

  @Test("An empty tensor may be listed after the one that begins at the same byte")
  func emptyTensor() throws {
    let header = #"""
      {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
       "scaled_fp8":{"dtype":"F8_E4M3","shape":[0],"data_offsets":[0,0]}}
      """#
    #expect(try open(header: header, dataCount: 4).tensors.count == 2)
  }

  @Test(
    "A file of another format is named, with what to do",
    arguments: [
      ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
      ("PK\u{3}\u{4}archive/data.pkl", "is a PyTorch checkpoint"), ("GGUF\u{3}", "is a GGUF file"),
      ("<!DOCTYPE html><html>", "is a web page"), ("", "is 0 bytes long"),
    ])
  func foreign(content: String, expected: String) throws {
    let error = #expect(throws: GraphError.self) { try open(Array(content.utf8)) }
    #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
  }

  @Test("A missing file and a folder are errors that name the path")
  func missing() {
    let error = #expect(throws: GraphError.self) { try Safetensors(path: "/nowhere/x.safetensors") }
    #expect(error?.message == "cannot open '/nowhere/x.safetensors': No such file or directory")
    #expect(throws: GraphError.self) { try Safetensors(path: folder.path) }
  }

  @Test(
    "The hash is XXH64",
    arguments: [
      ("", 0xef46_db37_51d8_e999), ("a", 0xd24e_c4f1_a98c_6e5b), ("abc", 0x44bc_2cf5_ad77_0999),
      ("Nobody inspects the spammish repetition", 0xfbce_a83c_8a37_8bf1),
    ] as [(String, UInt64)])
  func hash(text: String, expected: UInt64) {
    #expect(ContentHash.of(Array(text.utf8)).value == expected)
    // The same bytes at an odd address.
    let shifted = [0] + Array(text.utf8)
    let hash = unsafe ContentHash.of(shifted.span.bytes.extracting(droppingFirst: 1))
    #expect(hash.value == expected)
  }
}
