import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels

/// Models with keys and values of their largest self-attention downsampled.
@Suite struct KeyDownsamplingTests {
  @Test("A factor that is out of range is rejected, and a model without a UNet")
  func refused() throws {
    let starter = try Checkpoint.starter64()
    #expect(starter.keyDownsampling == 1)
    #expect(try starter.downsamplingKeys(by: 2).keyDownsampling == 2)
    for factor in [-1, 0, 1, 5] {
      let error = #expect(throws: ModelError.self) { try starter.downsamplingKeys(by: factor) }
      #expect(error?.code == .requestInvalid && error?.settings == [.keyDownsampling])
      #expect(error?.message.contains("got \(factor)") == true)
    }
    let transformer = try Checkpoint(folder: Bundle.module.fixture("pipelines/flux"))
    let error = #expect(throws: ModelError.self) { try transformer.downsamplingKeys(by: 2) }
    #expect(error?.code == .unsupported && error?.message.contains("has no such network") == true)
  }
}
