public import FlowEngine
internal import FlowONNXRuntime
internal import FlowOpenVINO
internal import Foundation
public import Testing

/// A backend that tests run on, on the CPU.
public struct TestBackend: Sendable, CustomTestStringConvertible {
  /// The backend.
  public let backend: any Backend

  /// OpenVINO, which is always there.
  public static let openVINO = TestBackend(backend: OpenVINOBackend())
  /// ONNX Runtime, which is there where it was set up.
  public static let onnxRuntime = TestBackend(backend: ONNXRuntimeBackend(cacheFolder: nil))

  /// What tests run on that name no backend: OpenVINO, or ONNX Runtime where
  /// `STREAMFLOW_TEST_BACKEND` is `onnxruntime`.
  public static let standard =
    ProcessInfo.processInfo.environment["STREAMFLOW_TEST_BACKEND"] == "onnxruntime"
    ? onnxRuntime : openVINO

  /// Whether its runtime can be loaded.
  public var isThere: Bool { (try? backend.devices()) != nil }

  /// OpenVINO, and the others that are there.
  public static let all: [TestBackend] =
    onnxRuntime.isThere ? [openVINO, onnxRuntime] : [openVINO]

  /// The backend's name.
  public var testDescription: String { backend.name }
}
