import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowGraph

@Suite struct GGUFTests {
  typealias Tensor = GGUFWriter.Tensor

  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func open(_ bytes: [UInt8]) throws -> GGUF {
    try GGUF(path: folder.write(bytes, as: "weights.gguf"))
  }

  private static func floats(_ count: Int) -> [UInt8] {
    SafetensorsWriter.bytes(of: (0..<count).map { Float($0) })
  }

  private static let two = GGUFWriter([
    Tensor("a", [3, 2], floats(6)), Tensor("b", [32], type: 8, [UInt8](repeating: 1, count: 34)),
  ])

  private static func shaped(_ extents: [Int32], type: UInt32 = 9) -> GGUFWriter {
    var writer = two
    writer.settings = [
      (
        "comfy.gguf.orig_shape.a", type,
        GGUFWriter.bytes(UInt32(5)) + GGUFWriter.bytes(UInt64(extents.count))
          + extents.flatMap { GGUFWriter.bytes($0) }
      )
    ]
    return writer
  }

  private static func changed(_ change: (inout GGUFWriter) -> Void) -> [UInt8] {
    var writer = two
    change(&writer)
    return writer.bytes
  }

  @Test("A whole file gives its tensors, in both versions and any alignment")
  func whole() throws {
    for (version, alignment) in [(2, 32), (3, 32), (3, 1), (3, 256)] as [(UInt32, Int)] {
      var writer = Self.two
      (writer.version, writer.alignment) = (version, alignment)
      if alignment != 32 {
        writer.settings = [("general.alignment", 4, GGUFWriter.bytes(UInt32(alignment)))]
      }
      let file = try open(writer.bytes)
      #expect(file.architecture == nil)
      #expect(file.tensors["a"]?.shape == [2, 3])
      #expect(try file.tensors["a"]?.floats() == [0, 1, 2, 3, 4, 5])
      // 0x0101 is 257 / 2^24 as a float16.
      #expect(try file.tensors["b"]?.floats() == [Float](repeating: 257 * 0x1p-24, count: 32))
    }
    #expect(try open(Self.shaped([1, 3, 2]).bytes).tensors["a"]?.shape == [1, 3, 2])
  }

  @Test("A store opens a file by its first bytes, whatever it is called")
  func store() throws {
    let path = try folder.write(Self.two.bytes, as: "model.safetensors")
    let store = try WeightStore(file: path)
    #expect(store.weights.keys.sorted() == ["a", "b"] && store.byteCount == 24 + 34)
    #expect(throws: GraphError.self) { try Safetensors(path: path) }
    #expect(store.compressed(to: .int8).identity != store.compressed(to: .int4).identity)
  }

  @Test(
    "A hostile file is refused with what is wrong in it",
    arguments: [
      (changed { $0.version = 4 }, "is of version 4, expected 2 or 3"),
      (changed { $0.version = 1 }, "is of version 1, expected 2 or 3"),
      (changed { $0.version = UInt32(3).byteSwapped }, "is big-endian"),
      (changed { $0.counts.tensors = 1 << 40 }, "names 1099511627776 tensors at byte 16"),
      (changed { $0.counts.settings = .max }, "names 18446744073709551615 settings"),
      (changed { $0.counts.tensors = 3 }, "has a tensor without a name at byte"),
      (changed { $0.tensors[1].name = "a" }, "names the tensor 'a' twice"),
      (changed { $0.tensors[1].offset = 0 }, "begins 'b' at 0, within 'a'"),
      (changed { $0.tensors[1].offset = 33 }, "begins 'b' at 33, expected a multiple of 32"),
      (changed { $0.tensors[1].offset = 64 }, "places 34 bytes of 'b' at 64, in 66 bytes"),
      (changed { $0.tensors[1].offset = .max - 31 }, "places 34 bytes of 'b' at 184467440737"),
      (changed { $0.tensors[0].extents = [3, 1 << 40] }, "places 13194139533312 bytes of 'a'"),
      (changed { $0.tensors[0].extents = [1 << 40, 1 << 40] }, "beyond any memory"),
      (changed { $0.tensors[0].extents = [.max] }, "beyond any memory"),
      (changed { $0.tensors[0].extents = [1 << 62] }, "beyond any memory"),
      (changed { $0.tensors[0].extents = [UInt64](repeating: 1, count: 9) }, "'a' 9 axes"),
      (changed { $0.tensors[1].extents = [31] }, "whose rows are multiples of 32"),
      (changed { $0.tensors[1].type = 99 }, "gives 'b' the unknown type 99"),
      (changed { $0.settings = [("x", 13, [])] }, "a setting of the type 13"),
      (changed { $0.settings = [("x", 0, [1]), ("x", 0, [1])] }, "the setting 'x' twice"),
      (
        changed { $0.settings = [("general.alignment", 4, [3, 0, 0, 0])] },
        "has the alignment integer(3), expected a power of two"
      ),
      (changed { $0.settings = [("general.alignment", 0, [0])] }, "has the alignment integer(0)"),
      (changed { $0.settings = [("x", 8, GGUFWriter.bytes(UInt64.max))] }, "bytes of a setting"),
      (changed { $0.settings = [("x", 8, GGUFWriter.bytes(UInt64(1)) + [0xff])] }, "not UTF-8"),
      (
        changed {
          $0.settings = [("x", 9, GGUFWriter.bytes(UInt32(0)) + GGUFWriter.bytes(UInt64(1 << 40)))]
        }, "names 1099511627776 elements of a list"
      ),
      (
        changed {
          let list = GGUFWriter.bytes(UInt32(9)) + GGUFWriter.bytes(UInt64(1))
          $0.settings = [("x", 9, list + list + list + list + list)]
        }, "lists 5 deep"
      ),
      (shaped([4, 2]).bytes, "gives 'a' the original shape"),
      (shaped([-3, -2]).bytes, "gives 'a' the original shape"),
      (Array("GGUF".utf8), "ends within the version at byte 4: expected 4 bytes, got 0"),
      (Array("GGML".utf8), "does not begin with GGUF"), ([], "ends within the marker at byte 0"),
    ] as [([UInt8], String)])
  func hostile(bytes: [UInt8], expected: String) throws {
    let error = #expect(throws: GraphError.self) { try open(bytes) }
    #expect(error?.code == .weightsInvalid)
    #expect(error?.message.contains(expected) == true, "\(error?.message ?? "")")
    #expect(error?.message.contains("weights.gguf") == true)
  }

  @Test("Every truncation of a file is refused, and no flipped bit crashes")
  func damage() throws {
    var writer = Self.shaped([1, 3, 2])
    writer.settings.append(("general.architecture", 8, GGUFWriter.text("flux")))
    let whole = writer.bytes
    #expect(try open(whole).architecture == "flux")
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

  @Test("A type that cannot be read is an error only where the tensor is used")
  func unsupportedTypes() throws {
    let bytes = Self.changed {
      ($0.tensors[1].extents, $0.tensors[1].type) = ([32], 20)
    }
    let file = try open(bytes)
    #expect(try file.tensors["a"]?.floats().count == 6)
    let error = #expect(throws: GraphError.self) { try file.tensors["b"]?.floats() }
    #expect(error?.code == .typeUnsupported)
    #expect(error?.message.contains("'b' is stored as IQ4_NL, which is not supported") == true)
  }

  @Test("Rows are cut where blocks end, and refused where they do not")
  func rows() throws {
    let block = [UInt8](repeating: 1, count: 34)
    let file = try open(
      GGUFWriter([Tensor("a", [32, 3], type: 8, block + block.map { $0 + 1 } + block)]).bytes)
    let weight = try #require(file.tensors["a"])
    #expect(try weight.rows(1..<2).floats() == Array(weight.floats()[32..<64]))
    #expect(
      try weight.transposed().floats().prefix(3)
        == [0, 32, 64].map { try weight.floats()[$0] }[...])
    let turned = try weight.reshaped([6, 16])
    let error = #expect(throws: GraphError.self) { try turned.rows(1..<2) }
    #expect(error?.message.contains("its rows share blocks of Q8_0") == true)
  }
}
