internal import FlowCore
internal import Foundation
internal import SwiftProtobuf

extension GraphModule {
  /// How the ONNX format refers to a weight's bytes.
  public enum WeightLocation: Sendable {
    /// By address in this process's memory (the in-memory marker of OpenVINO and ONNX Runtime).
    case address
    /// By file and offset, as the ONNX format defines; the same in every process.
    case file
  }

  private static let addressMarker = "*/_ORT_MEM_ADDR_/*"

  /// The graph in the ONNX format (operator set 21), with external weights.
  ///
  /// - Parameter location: how weights are referred to; addresses are valid as long as this module.
  /// - Throws: `typeUnsupported` for a weight that cannot be read, `weightsInvalid` for a graph
  ///   that cannot be serialized.
  public func onnx(locatingWeightsBy location: WeightLocation) throws(GraphError) -> [UInt8] {
    try onnx { tensor throws(GraphError) in
      switch (tensor, location) {
      case (.weight(let weight), .address):
        (Self.addressMarker, UInt64(try copies.address(of: weight)))
      case (.weight(let weight), .file): (weight.file.path, UInt64(weight.offset))
      case (.derived(let tensor), .address):
        (Self.addressMarker, UInt64(try derivedTensors.address(of: tensor)))
      case (.derived(let tensor), .file): (tensor.location, UInt64(tensor.source.offset))
      }
    }
  }

  /// A tensor whose bytes are outside the graph.
  enum OutsideTensor {
    case weight(Weight)
    case derived(DerivedTensor)
  }

  /// The graph in the ONNX format; a function locates its weights.
  func onnx(
    placingWeightsBy place: (OutsideTensor) throws(GraphError) -> (location: String, offset: UInt64)
  ) throws(GraphError) -> [UInt8] {
    var model = Onnx_ModelProto.with { model in
      model.irVersion = 10
      model.producerName = "StreamFlow"
      model.opsetImport = [Onnx_OperatorSetIdProto.with { $0.version = 21 }]
      model.graph = Onnx_GraphProto.with {
        $0.name = name
        $0.input = inputs.map(Onnx_ValueInfoProto.init)
        $0.output = outputs.map(Onnx_ValueInfoProto.init)
        $0.node = nodes.map(Onnx_NodeProto.init)
        $0.initializer = constants.map(Onnx_TensorProto.init)
      }
    }
    model.graph.initializer += try weights.map { weight throws(GraphError) in
      try Onnx_TensorProto(weight, place: place(.weight(weight)))
    }
    model.graph.initializer += try derived.map { tensor throws(GraphError) in
      Onnx_TensorProto(tensor, place: try place(.derived(tensor)))
    }
    do {
      return try model.serializedBytes()
    } catch {
      throw GraphError(code: .weightsInvalid, message: "cannot write the graph \(name): \(error)")
    }
  }
}

extension ElementType {
  /// The code of the type in ONNX and its runtime.
  package var onnxCode: Int { onnxType.rawValue }

  var onnxType: Onnx_TensorProto.DataType {
    switch self {
    case .float64: .double
    case .float32: .float
    case .float16: .float16
    case .bfloat16: .bfloat16
    case .float8E4M3: .float8E4M3Fn
    case .float8E5M2: .float8E5M2
    case .uint64: .uint64
    case .uint32: .uint32
    case .uint16: .uint16
    case .int64: .int64
    case .int32: .int32
    case .int16: .int16
    case .int8: .int8
    case .uint8: .uint8
    case .bool: .bool
    }
  }
}

extension Onnx_ValueInfoProto {
  fileprivate init(_ port: Port) {
    self.init()
    name = port.name.description
    type.tensorType.elemType = Int32(port.type.onnxCode)
    type.tensorType.shape.dim = port.shape.dimensions.map { extent in
      Onnx_TensorShapeProto.Dimension.with { $0.dimValue = Int64(extent) }
    }
  }
}

extension Onnx_NodeProto {
  fileprivate init(_ node: Node) {
    self.init()
    name = node.outputs[0]
    opType = node.operation
    input = node.inputs
    output = node.outputs
    attribute = node.attributes.map { name, value in
      Onnx_AttributeProto.with { attribute in
        attribute.name = name
        switch value {
        case .integer(let integer):
          attribute.type = .int
          attribute.i = Int64(integer)
        case .integers(let integers):
          attribute.type = .ints
          attribute.ints = integers.map(Int64.init)
        case .float(let float):
          attribute.type = .float
          attribute.f = float
        case .string(let string):
          attribute.type = .string
          attribute.s = Data(string.utf8)
        }
      }
    }
  }
}

extension Onnx_TensorProto {
  fileprivate init(_ constant: Constant) {
    self.init()
    name = constant.name
    dataType = Int32(constant.type.onnxCode)
    dims = constant.shape.dimensions.map(Int64.init)
    rawData = Data(constant.bytes)
  }

  fileprivate init(
    _ weight: Weight, place: (location: String, offset: UInt64)
  ) throws(GraphError) {
    self.init()
    name = weight.name
    dataType = Int32(try weight.readableType().onnxCode)
    dims = weight.storedShape.dimensions.map(Int64.init)
    locate(at: place, byteCount: weight.byteCount)
  }

  fileprivate init(_ tensor: DerivedTensor, place: (location: String, offset: UInt64)) {
    self.init()
    name = tensor.name
    let type: DataType =
      switch tensor.elements {
      case .float32: .float
      case .int8: .int8
      case .uint8: .uint8
      case .int4: .int4
      case .uint4: .uint4
      }
    dataType = Int32(type.rawValue)
    dims = tensor.shape.dimensions.map(Int64.init)
    locate(at: place, byteCount: tensor.byteCount)
  }

  private mutating func locate(at place: (location: String, offset: UInt64), byteCount: Int) {
    dataLocation = .external
    externalData = [
      ("location", place.location), ("offset", "\(place.offset)"), ("length", "\(byteCount)"),
    ].map { key, value in
      Onnx_StringStringEntryProto.with {
        $0.key = key
        $0.value = value
      }
    }
  }
}
