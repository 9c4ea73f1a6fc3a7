internal import FlowCore
internal import FlowEngine
internal import FlowGraph

/// Brings pictures of any size to one size, in the engine: `rows * picture * columns`, where the
/// two matrices resample the axes (``PictureFit``).
final class PictureFitter {
  private struct Key: Hashable {
    let width: Int
    let height: Int
    let fit: PictureFit
  }

  private let width: Int
  private let height: Int
  private let configuration: EngineConfiguration
  private var engines: [(key: Key, engine: Engine)] = []

  /// The sizes that are kept: a camera has one, a folder of pictures has several.
  private static let capacity = 4

  private final class Engine {
    var session: Session
    init(_ session: consuming Session) { self.session = session }
  }

  init(width: Int, height: Int, configuration: EngineConfiguration) {
    self.width = width
    self.height = height
    self.configuration = configuration
  }

  /// The picture at this size.
  func callAsFunction(_ image: PixelImage, fit: PictureFit) throws(EngineError) -> PixelImage {
    guard image.width != width || image.height != height else { return image }
    let engine = try engine(for: Key(width: image.width, height: image.height, fit: fit))
    let pixels = image.pixels
    engine.session.write(pixels.span, input: 0)
    try engine.session.run()
    return engine.session.read(output: 0, as: UInt8.self) { span in
      PixelImage(width: width, height: height, pixels: [UInt8](copying: span))
    }
  }

  private func engine(for key: Key) throws(EngineError) -> Engine {
    if let index = engines.firstIndex(where: { $0.key == key }) {
      let known = engines.remove(at: index)
      engines.append(known)
      return known.engine
    }
    let engine = try make(key)
    if engines.count == Self.capacity { engines.removeFirst() }
    engines.append((key, engine))
    return engine
  }

  private func make(_ key: Key) throws(EngineError) -> Engine {
    let graph: Graph
    do { graph = try self.graph(from: key) } catch { throw EngineError(wrapping: error) }
    // So small that it is made faster than it is read from a disk.
    let session = try Session(
      ONNXModel(graph, weightsIdentity: []), configuration: configuration, cache: nil)
    let (columns, rows) = key.fit.extents(
      width: key.width, height: key.height, toWidth: width, toHeight: height)
    session.write(rows.filter(from: key.height, to: height).span, input: 1)
    session.write(columns.filter(from: key.width, to: width).span, input: 2)
    let background = key.fit.background
    let colors = [background.red, background.green, background.blue].map(Float.init)
    session.write(input: 3, as: Float.self) { backdrop in
      for row in 0..<height {
        for column in 0..<width {
          let isInside = rows.target.contains(row) && columns.target.contains(column)
          for channel in 0..<3 {
            backdrop[(channel * height + row) * width + column] =
              isInside ? 0 : colors[channel]
          }
        }
      }
    }
    return Engine(session)
  }

  private func graph(from key: Key) throws(GraphError) -> Graph {
    let graph = Graph(name: "fit_\(key.height)x\(key.width)_to_\(height)x\(width)")
    let pixels = graph.input("pixels", shape: [key.height, key.width * 3], type: .uint8)
    let rows = graph.input("rows", shape: [height, key.height])
    let columns = graph.input("columns", shape: [width, key.width])
    let backdrop = graph.input("backdrop", shape: [3, height, width])
    // Rows first: the picture need not be turned to planes while it is large.
    let lines = try rows.matrixProduct(pixels.cast(to: .float32))
    let planes = try lines.reshaped([height, key.width, 3]).transposed([2, 0, 1])
    let picture = try planes.matrixProduct(columns.transposed([1, 0])) + backdrop
    let bytes = try picture.clamped(to: 0...255).rounded().transposed([1, 2, 0]).cast(to: .uint8)
    graph.output(bytes, as: "picture")
    return graph
  }
}

extension [UInt8] {
  /// The bytes of a span.
  init(copying span: Span<UInt8>) {
    self.init(repeating: 0, count: span.count)
    var bytes = mutableSpan
    for index in span.indices { bytes[index] = span[index] }
  }
}
