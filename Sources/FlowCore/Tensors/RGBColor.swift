/// A color of 8-bit red, green and blue.
public struct RGBColor: Hashable, Sendable {
  /// The part of red.
  public var red: UInt8
  /// The part of green.
  public var green: UInt8
  /// The part of blue.
  public var blue: UInt8

  /// Creates a color from its parts.
  public init(red: UInt8, green: UInt8, blue: UInt8) {
    self.red = red
    self.green = green
    self.blue = blue
  }

  /// All parts at their most.
  public static let white = RGBColor(red: 255, green: 255, blue: 255)
  /// All parts at 0.
  public static let black = RGBColor(red: 0, green: 0, blue: 0)
}
