import FlowTestSupport
import Testing

@testable import FlowCore

/// Which cells of a stream's images changed, and how strength follows motion.
@Suite struct ChangeDetectorTests {
  /// Gray with noise of a deviation, and a bright square.
  private static func image(
    square x: Int? = nil, y: Int = 0, side: Int = 8, noise: Double = 0, seed: UInt64 = 0,
    width: Int = 60, height: Int = 44
  ) -> PixelImage {
    var generator = GaussianNoise(seed: seed)
    let drawn = generator.latents(shape: [3, height, width]).scalars
    let pixels = (0..<3 * width * height).map { index in
      let (column, row) = (index / 3 % width, index / 3 / width)
      let isInside = x.map { $0..<$0 + side ~= column && y..<y + side ~= row } ?? false
      let level = (isInside ? 200 : 100) + noise * Double(drawn[index])
      return UInt8(min(max(level.rounded(), 0), 255))
    }
    return PixelImage(width: width, height: height, pixels: pixels)
  }

  @Test("The first image is all change, the same again none")
  func first() {
    var detector = ChangeDetector(threshold: 0.04)
    #expect(detector.take(Self.image()).fraction == 1)
    #expect(detector.take(Self.image()).isEmpty)
    #expect(detector.take(Self.image(width: 64)).fraction == 1)
  }

  @Test("A change marks its cells and their neighbors, up to the image's edges")
  func cells() {
    var detector = ChangeDetector(threshold: 0.04)
    _ = detector.take(Self.image())
    let changed = detector.take(Self.image(square: 16, y: 16))
    #expect(changed.bounds == PixelRegion(x: 8, y: 8, width: 24, height: 24))
    #expect(changed[2, 2] && changed[1, 1] && !changed[0, 0] && !changed[4, 2])
    // The last column is 4 pixels wide, the last row 4 high.
    let corner = detector.take(Self.image(square: 56, y: 40))
    #expect(corner[7, 5] && corner[2, 2])
    #expect(corner.bounds == PixelRegion(x: 8, y: 8, width: 52, height: 36))
    #expect(corner.intersects(PixelRegion(x: 59, y: 43, width: 1, height: 1)))
    #expect(!corner.intersects(PixelRegion(x: 40, y: 8, width: 8, height: 24)))
  }

  @Test("Camera noise is no change, and what is held does not change with it")
  func noise() {
    var detector = ChangeDetector(threshold: 0.04)
    let first = Self.image(noise: 5)
    _ = detector.take(first)
    for seed in 1..<40 {
      // A block's mean of two noises of deviation 5 deviates by 1.8 of the 10.2 that count.
      #expect(detector.take(Self.image(noise: 5, seed: UInt64(seed))).isEmpty)
    }
    #expect(detector.held == first)
  }

  @Test("Slow changes add up, since each cell is compared with what is held")
  func drift() {
    var detector = ChangeDetector(threshold: 0.04)
    func flat(_ level: UInt8) -> PixelImage {
      PixelImage(width: 16, height: 16, pixels: [UInt8](repeating: level, count: 768))
    }
    _ = detector.take(flat(100))
    let changed = (101...130).map { !detector.take(flat(UInt8($0))).isEmpty }
    // 0.04 of 255 is 10.2.
    #expect(changed.indices.filter { changed[$0] }.map { $0 + 101 } == [111, 122])
    #expect(detector.held == flat(122))
  }

  @Test("Only changed cells are taken over")
  func held() throws {
    var detector = ChangeDetector(threshold: 0.04)
    let (first, second) = (Self.image(noise: 3), Self.image(square: 16, y: 16, noise: 3, seed: 1))
    _ = detector.take(first)
    let changed = detector.take(second)
    let held = try #require(detector.held)
    for y in 0..<44 {
      for x in 0..<60 {
        let expected = changed[x / 8, y / 8] ? second : first
        let place = 3 * (y * 60 + x)
        #expect(held.pixels[place..<place + 3] == expected.pixels[place..<place + 3])
      }
    }
  }

  @Test("Strength falls with motion by the published rule, and returns")
  func strength() {
    func flat(_ level: UInt8) -> PixelImage {
      PixelImage(width: 8, height: 8, pixels: [UInt8](repeating: level, count: 192))
    }
    var motion = MotionStrength(response: 0.1)
    #expect(motion.next(base: 0.5, image: flat(100)) == 0.5)
    // A difference of 0.2 in the range -1 to 1 is full motion: 0.9 * 0.4 + 0.1 * 0.5.
    #expect(motion.next(base: 0.5, image: flat(200)) == (0.41 * 128).rounded() / 128)
    #expect(motion.next(base: 0.5, image: flat(100)) == (0.401 * 128).rounded() / 128)
    // 0.9 * 0.5 + 0.1 * 0.401.
    #expect(motion.next(base: 0.5, image: flat(100)) == (0.4901 * 128).rounded() / 128)
    #expect(MotionStrength.motion(from: flat(100), to: flat(106)) > 0.2)
    var small = MotionStrength(response: 0.9)
    _ = small.next(base: 0.1, image: flat(0))
    #expect(small.next(base: 0.1, image: flat(255)) == 1 / 128.0)
  }

  @Test("A part of latents is taken out, put back, and blended where nothing changed")
  func latents() {
    let shape: Shape = [2, 4, 6]
    let whole = Latents(shape: shape, scalars: (0..<48).map(Float.init))
    let window = PixelRegion(x: 2, y: 1, width: 3, height: 2)
    let cropped = whole.cropped(to: window)
    #expect(cropped.shape == [2, 2, 3])
    #expect(cropped.scalars == [8, 9, 10, 14, 15, 16, 32, 33, 34, 38, 39, 40])
    #expect(whole.replacing(window, with: cropped, covering: window) == whole)
    let other = Latents(shape: cropped.shape, scalars: cropped.scalars.map { -$0 })
    let part = PixelRegion(x: 3, y: 2, width: 1, height: 1)
    let replaced = whole.replacing(part, with: other, covering: window)
    let differing = whole.scalars.indices.filter { replaced.scalars[$0] != whole.scalars[$0] }
    #expect(differing == [15, 39] && replaced.scalars[15] == -15)
    var changed = CellMap(width: 24, height: 16, marked: false)
    changed[0, 0] = true
    let zeros = Latents(zeros: shape)
    let blended = zeros.blended(with: whole, weight: 0.5, except: changed, factor: 4)
    // Cells of 8 pixels are 2x2 latents of 4 pixels.
    #expect(blended.scalars[0...2] == [0, 0, 1] && blended.scalars[12] == 6)
  }
}
