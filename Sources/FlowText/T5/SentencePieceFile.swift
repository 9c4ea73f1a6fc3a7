/// A SentencePiece model (`spiece.model`): its pieces, and the normalization map.
struct SentencePieceFile {
  private(set) var pieces: [UnigramModel.Piece] = []
  /// The normalization map; empty if texts are not normalized.
  private(set) var map: ArraySlice<UInt8> = []

  /// Reads a model: the message `ModelProto` of sentencepiece_model.proto.
  init(_ bytes: [UInt8]) throws(ProtobufReader.Problem) {
    var reader = ProtobufReader(bytes[...])
    while let (field, value) = try reader.next() {
      switch (field, value) {
      case (1, .bytes(let message)): pieces.append(try Self.piece(message, pieces.count))
      case (2, .bytes(let message)): try Self.checkTrainer(message)
      case (3, .bytes(let message)): map = try Self.map(message) ?? map
      case (1...3, _): throw ProtobufReader.Problem(words: "has no message in field \(field)")
      default: break
      }
    }
  }

  private static func piece(
    _ message: ArraySlice<UInt8>, _ index: Int
  ) throws(ProtobufReader.Problem) -> UnigramModel.Piece {
    var reader = ProtobufReader(message)
    var text = ""
    var score: Float = 0
    while let (field, value) = try reader.next() {
      switch (field, value) {
      case (1, .bytes(let bytes)):
        guard let valid = String(validating: bytes, as: UTF8.self) else {
          throw ProtobufReader.Problem(words: "has a piece \(index) that is not UTF-8")
        }
        text = valid
      case (2, .float(let bits)): score = Float(bitPattern: bits)
      // Normal, unknown, control and unused pieces. User-defined pieces and bytes are rejected.
      case (3, .number(let type)) where [1, 2, 3, 5].contains(type): break
      case (1...3, _):
        throw ProtobufReader.Problem(words: "has a piece \(index) of a kind that T5 does not use")
      default: break
      }
    }
    return UnigramModel.Piece(text: text, score: Double(score))
  }

  private static func checkTrainer(
    _ message: ArraySlice<UInt8>
  ) throws(ProtobufReader.Problem) {
    var reader = ProtobufReader(message)
    while let (field, value) = try reader.next() {
      guard field == 3 else { continue }
      guard case .number(1) = value else {
        throw ProtobufReader.Problem(words: "is not a unigram model, as T5's is")
      }
    }
  }

  private static func map(
    _ message: ArraySlice<UInt8>
  ) throws(ProtobufReader.Problem) -> ArraySlice<UInt8>? {
    var reader = ProtobufReader(message)
    var map: ArraySlice<UInt8>?
    while let (field, value) = try reader.next() {
      guard field == 2 else { continue }
      guard case .bytes(let bytes) = value else {
        throw ProtobufReader.Problem(words: "has a normalizer without a map")
      }
      map = bytes
    }
    return map
  }
}
