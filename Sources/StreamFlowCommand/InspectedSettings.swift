internal import StreamFlow

/// The settings of an image as `inspect --json` prints them.
struct InspectedSettings: Encodable {
  /// A JSON value: a number if the text is one.
  enum Value: Encodable, Equatable {
    case integer(Int64)
    case unsigned(UInt64)
    case number(Double)
    case text(String)
    case list([Value])

    init(_ text: String) {
      if let integer = Int64(text) {
        self = .integer(integer)
      } else if let unsigned = UInt64(text) {
        self = .unsigned(unsigned)
      } else if let number = Double(text), number.isFinite, text.first?.isLetter == false {
        self = .number(number)
      } else {
        self = .text(text)
      }
    }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .integer(let value): try container.encode(value)
      case .unsigned(let value): try container.encode(value)
      case .number(let value): try container.encode(value)
      case .text(let value): try container.encode(value)
      case .list(let values): try container.encode(values)
      }
    }
  }

  let prompt: String
  let negativePrompt: String
  /// The fields by name, in lower case with underscores: `cfg_scale`.
  let settings: [String: Value]

  init(_ settings: GenerationSettings) {
    prompt = settings.prompt
    negativePrompt = settings.negativePrompt
    let names = settings.fields.map(\.name)
    self.settings = Dictionary(
      names.map { name in
        let values = settings.values(of: name).map(Value.init)
        let key = name.lowercased().replacing(" ", with: "_").replacing("-", with: "_")
        return (key, values.count == 1 ? values[0] : .list(values))
      }
    ) { first, _ in first }
  }
}
