import ArgumentParser
import FlowModels
import Testing

@testable import StreamFlowCommand

/// The options of adapters.
@Suite struct AdapterArgumentTests {
  @Test("Each adapter has its mode, or none")
  func modes() throws {
    let options = try AdapterOptions.parse([
      "--adapter", "union:0.5", "--adapter-mode", "3", "--adapter", "style", "--adapter-mode",
      "none",
    ])
    #expect(options.modes.map(\.mode) == [3, nil])
    #expect(options.adapters.map(\.path) == ["union", "style"])
  }

  @Test(
    "Modes that do not fit the adapters are rejected",
    arguments: [
      (["--adapter-mode", "1"], "need --adapter"),
      (["--adapter", "a", "--adapter", "b", "--adapter-mode", "1"], "give each adapter its mode"),
      (["--adapter", "a", "--adapter-mode", "-1"], "adapter-mode"),
      (["--adapter", "a", "--adapter-mode", "canny"], "adapter-mode"),
    ])
  func refused(arguments: [String], words: String) {
    let error = #expect(throws: (any Error).self) { try AdapterOptions.parse(arguments) }
    let message = error.map { AdapterOptions.message(for: $0) } ?? ""
    #expect(message.contains(words), "\(message)")
  }

  #if Server
    @Test("A served model's mode belongs to the adapter before it")
    func servedModels() throws {
      let text = "film=sd15,adapter=canny,adapter=union,adapter-mode=2,image-encoder=clip"
      let model = try #require(OfferedModel(argument: text))
      #expect(
        model.adapters.files == [.init(path: "canny"), .init(path: "union", mode: 2)])
      #expect(OfferedModel(argument: "sd15,adapter-mode=2,adapter=union") == nil)
      #expect(OfferedModel(argument: "sd15,adapter=union,adapter-mode=canny") == nil)
      #expect(OfferedModel(argument: "sd15,adapter=union,adapter-mode=1,adapter-mode=2") == nil)
    }

    @Test("The options of a server are its model's adapters")
    func serverOptions() throws {
      let options = try ServedAdapterOptions.parse(["--adapter", "union", "--adapter-mode", "1"])
      let offered = try options.applied(to: [OfferedModel(name: "a", path: "a")])
      #expect(offered[0].adapters.files == [.init(path: "union", mode: 1)])
      for arguments in [
        ["--adapter-mode", "1"],
        ["--adapter", "a", "--adapter", "b", "--adapter-mode", "1"],
      ] {
        #expect(throws: (any Error).self) {
          try ServedAdapterOptions.parse(arguments).applied(to: [
            OfferedModel(name: "a", path: "a")
          ])
        }
      }
    }
  #endif
}
