public import ArgumentParser
internal import FlowCore
public import StreamFlow

/// A seed, or `-1` for a random one.
enum SeedArgument: Equatable, ExpressibleByArgument {
  case number(UInt64)
  case random

  init?(argument: String) {
    if argument == "-1" {
      self = .random
    } else {
      guard let seed = UInt64(argument) else { return nil }
      self = .number(seed)
    }
  }
}

/// Width and height in pixels as `768x512`, or one number for both.
struct ImageSizeArgument: ExpressibleByArgument {
  let width: Int
  let height: Int

  init?(argument: String) {
    let extents = argument.lowercased().split(separator: "x", omittingEmptySubsequences: false)
      .map { Int($0) }
    guard (1...2).contains(extents.count), let width = extents[0],
      let height = extents[extents.count - 1]
    else { return nil }
    (self.width, self.height) = (width, height)
  }
}

/// A prompt with a weight after a colon.
struct BlendedPrompt: ExpressibleByArgument {
  let part: PromptBlend.Part

  init(part: PromptBlend.Part) { self.part = part }

  init?(argument: String) {
    guard let (prompt, weight) = weighted(argument) else { return nil }
    part = PromptBlend.Part(prompt: prompt, weight: weight)
  }
}

/// A seed with a weight after a colon.
struct BlendedSeed: ExpressibleByArgument {
  let blend: SeedBlend

  init(blend: SeedBlend) { self.blend = blend }

  init?(argument: String) {
    guard let (text, weight) = weighted(argument), let seed = UInt64(text) else { return nil }
    blend = SeedBlend(seed: seed, fraction: weight)
  }
}

/// A text, and the number from 0 to 1 after its last colon.
private func weighted(_ argument: String) -> (text: String, weight: Float)? {
  guard let colon = argument.lastIndex(of: ":"),
    let weight = Float(argument[argument.index(after: colon)...]), (0...1).contains(weight)
  else { return nil }
  return (String(argument[..<colon]), weight)
}

extension PromptBlend.Kind: ExpressibleByArgument {}

/// The batch size: a number, or automatic by the size of the image.
struct BatchSize: ExpressibleByArgument {
  let rows: Int?
  var defaultValueDescription: String { rows.map { "\($0)" } ?? "auto" }

  init(rows: Int?) { self.rows = rows }

  init?(argument: String) {
    if argument == "auto" {
      rows = nil
    } else {
      guard let number = Int(argument), number > 0 else { return nil }
      rows = number
    }
  }
}
