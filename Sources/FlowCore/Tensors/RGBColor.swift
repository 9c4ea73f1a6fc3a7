/// A color of 8-bit red, green and blue.
public struct RGBColor: Hashable, Sendable {
  /// The red component.
  public var red: UInt8
  /// The green component.
  public var green: UInt8
  /// The blue component.
  public var blue: UInt8

  /// Creates a color from its components.
  public init(red: UInt8, green: UInt8, blue: UInt8) {
    self.red = red
    self.green = green
    self.blue = blue
  }

  /// White.
  public static let white = RGBColor(red: 255, green: 255, blue: 255)
  /// Black.
  public static let black = RGBColor(red: 0, green: 0, blue: 0)
}
