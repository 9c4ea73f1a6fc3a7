public import ArgumentParser
internal import FlowCore
public import StreamFlow

/// Options of image-to-image generation, of `edit` and `video`.
struct SourceOptions: ParsableArguments {
  @Option(
    help: """
      Denoising strength, above 0 up to 1; 1 ignores the input (default: 0.5; 0.75 with a mask, 1 \
      where an image is extended, and the method's with --method). A model that edits by \
      instruction reads the input whole, unless this is given.
      """)
  var strength: Double?

  @Option(
    help: """
      How to fit inputs of another aspect ratio: cover (fill the size, cropped), contain (the \
      whole input on a background), or stretch. (default: cover)
      """)
  var fit: ImageFit.Kind?

  @Option(
    help: ArgumentHelp(
      "The color behind transparent pixels and beside contained images.", valueName: "rrggbb"))
  var background = ColorArgument(color: .white)

  func validate() throws {
    if let strength, !(strength > 0 && strength <= 1) {
      throw ValidationError("--strength must be above 0 and at most 1, got \(strength)")
    }
  }

  var imageFit: ImageFit { ImageFit(fit ?? .cover, background: background.color) }
}

/// A color in hexadecimal notation, as in CSS.
struct ColorArgument: ExpressibleByArgument {
  let color: RGBColor

  init(color: RGBColor) { self.color = color }

  init?(argument: String) {
    let digits = argument.hasPrefix("#") ? argument.dropFirst() : argument[...]
    guard digits.count == 6, let number = UInt32(digits, radix: 16) else { return nil }
    color = RGBColor(
      red: UInt8(number >> 16), green: UInt8(number >> 8 & 255), blue: UInt8(number & 255))
  }

  var defaultValueDescription: String {
    [color.red, color.green, color.blue]
      .map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}

extension ImageFit.Kind: ExpressibleByArgument {}
