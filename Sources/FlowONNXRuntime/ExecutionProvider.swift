internal import FlowEngine

/// An execution provider of ONNX Runtime with its device.
enum ExecutionProvider: Hashable, Sendable {
  case cpu
  /// An NVIDIA GPU by index, with the library's own kernels.
  case cuda(Int)
  /// An NVIDIA GPU by index, with TensorRT; CUDA runs operators that TensorRT does not support.
  case tensorRT(Int)
  /// Apple's GPU and Neural Engine.
  case coreML

  /// The accelerators, best first, each with its first device.
  static let accelerators: [ExecutionProvider] = [.tensorRT(0), .cuda(0), .coreML]

  /// The provider of a device name: `CPU`, `cuda`, `cuda:1`, `tensorrt:0`, `coreml`.
  init?(deviceName: String) {
    let parts = deviceName.split(separator: ":", omittingEmptySubsequences: false)
    let number = parts.count == 2 ? Int(parts[1]).flatMap { $0 >= 0 ? $0 : nil } : 0
    switch (parts[0], parts.count, number) {
    case ("CPU", 1, _): self = .cpu
    case ("coreml", 1, _): self = .coreML
    case ("cuda", 1...2, let number?): self = .cuda(number)
    case ("tensorrt", 1...2, let number?): self = .tensorRT(number)
    default: return nil
    }
  }

  /// The device's name.
  var deviceName: String {
    switch self {
    case .cpu: "CPU"
    case .cuda(let number): "cuda:\(number)"
    case .tensorRT(let number): "tensorrt:\(number)"
    case .coreML: "coreml"
    }
  }

  /// ONNX Runtime's name of the provider.
  var libraryName: String {
    switch self {
    case .cpu: "CPUExecutionProvider"
    case .cuda: "CUDAExecutionProvider"
    case .tensorRT: "TensorrtExecutionProvider"
    case .coreML: "CoreMLExecutionProvider"
    }
  }

  /// The package that contains the provider and its requirements, for errors.
  var needs: String {
    let wheel =
      "`pip install onnxruntime-gpu` (or `Scripts/setup.sh --onnxruntime --cuda` in a checkout of "
      + "StreamFlow) carries it"
    return switch self {
    case .cpu: "every build contains it"
    case .cuda: "\(wheel); it needs CUDA 13 and cuDNN 9"
    case .tensorRT:
      "\(wheel); it needs CUDA 13, cuDNN 9, and TensorRT 10 (libnvinfer.so.10, "
        + "libnvonnxparser.so.10)"
    case .coreML: "the wheel `onnxruntime` for macOS on Apple silicon contains it"
    }
  }
}

extension ONNXRuntime {
  /// Checks that the library was built with a provider.
  ///
  /// - Throws: `deviceUnavailable`, with the package that contains it and its requirements.
  func require(_ provider: ExecutionProvider) throws(EngineError) {
    guard !providers.contains(provider.libraryName) else { return }
    throw EngineError(
      code: .deviceUnavailable,
      message: "onnxruntime:\(provider.deviceName) needs \(provider.libraryName), and '\(path)' "
        + "(ONNX Runtime \(version)) has \(providers.joined(separator: ", ")); \(provider.needs)")
  }
}
