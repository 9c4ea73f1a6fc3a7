import FlowModels
import FlowTestSupport
import Foundation
import StreamFlow
import Testing

/// What a user writes for a model, and where it is found.
@Suite struct ModelLocationTests {
  private let folder: TemporaryFolder
  private static let commits = ["a", "b"].map { String(repeating: $0, count: 40) }

  init() throws { folder = try TemporaryFolder() }

  private var environment: [String: String] {
    ["HF_HOME": "\(folder.path)/hf", "STREAMFLOW_MODELS": "\(folder.path)/models"]
  }

  private func location(_ text: String) throws -> ModelLocation {
    try ModelLocation(text, environment: environment)
  }

  private func snapshot(_ commit: String) throws -> String {
    let place = "hf/hub/models--org--name/snapshots/\(commit)"
    _ = try folder.write([], as: "\(place)/model_index.json")
    return "\(folder.path)/\(place)"
  }

  private func reference(_ revision: String, _ text: String) throws {
    _ = try folder.write(Array(text.utf8), as: "hf/hub/models--org--name/refs/\(revision)")
  }

  @Test("The starter is the embedded model, or the one in the folder of the user's choice")
  func starter() throws {
    for environment in [[:], ["STREAMFLOW_STARTER": ""]] {
      let embedded = try ModelLocation("starter", environment: environment)
      #expect(embedded.kind == .starter && embedded.name == "starter")
      #expect(embedded.path.contains("StreamFlow_FlowModels."))
    }
    func chosen(_ path: String) throws -> ModelLocation {
      try ModelLocation("starter", environment: ["STREAMFLOW_STARTER": path])
    }
    let own = try chosen(folder.path)
    #expect(own.kind == .starter && own.name == "starter" && own.path == folder.path)
    let file = try folder.write([], as: "weights.safetensors")
    for path in ["/nowhere", file] {
      let error = #expect(throws: ModelError.self) { try chosen(path) }
      #expect(error?.code == .fileMissing)
      #expect(
        error?.message
          == "STREAMFLOW_STARTER is '\(path)', which is not a folder; set it to a folder in "
          + "diffusers' layout, or unset it to use the embedded model")
    }
  }

  @Test("A folder and a file are found as they are named")
  func paths() throws {
    let file = try folder.write([], as: "own/weights.safetensors")
    #expect(try location(file).kind == .file && location(file).name == "weights")
    let own = try location("\(folder.path)/own/")
    #expect(own.kind == .folder && own.name == "own")
  }

  @Test("A name is looked up among the user's models, and does not lead out of them")
  func models() throws {
    _ = try folder.write([], as: "models/one/model_index.json")
    _ = try folder.write([], as: "models/set/two/model_index.json")
    _ = try folder.write([], as: "models/three.safetensors")
    _ = try folder.write([], as: "secret/model_index.json")
    #expect(try location("one").path == "\(folder.path)/models/one")
    #expect(try location("set/two").name == "two")
    #expect(try location("three").kind == .file && location("three").name == "three")
    for name in ["../secret", "set/../one", "./one", ""] {
      #expect(throws: ModelError.self) { try location(name) }
    }
  }

  @Test("org/name is looked up in the Hugging Face cache, at a branch, a tag or a commit")
  func hub() throws {
    let first = try snapshot(Self.commits[0])
    // Nothing says which commit `main` is, but there is only one.
    #expect(try location("org/name").path == first)
    #expect(try location("org/name").name == "name")
    let second = try snapshot(Self.commits[1])
    #expect(throws: ModelError.self) { try location("org/name") }
    try reference("main", Self.commits[1])
    try reference("refs/pr/1", "\(Self.commits[0])\n")
    #expect(try location("org/name").path == second)
    #expect(try location("org/name@refs/pr/1").path == first)
    #expect(try location("org/name@\(Self.commits[0])").path == first)
    #expect(throws: ModelError.self) { try location("org/name@v1") }
    // A path goes before the cache, and the user's models too.
    _ = try folder.write([], as: "models/org/name/model_index.json")
    #expect(try location("org/name").path == "\(folder.path)/models/org/name")
  }

  @Test("A reference that leads out of the snapshots is refused")
  func hostileReference() throws {
    _ = try snapshot(Self.commits[0])
    for text in ["..", "../../refs", "", "a/b", "\0"] {
      try reference("main", text)
      #expect(throws: ModelError.self) { try location("org/name") }
    }
    for revision in ["..", "../main", "a//b", "/main", "a\\b", ""] {
      #expect(throws: ModelError.self) { try location("org/name@\(revision)") }
    }
  }

  @Test("What is nowhere is an error that says where it was looked for and how to get it")
  func nowhere() throws {
    let error = #expect(throws: ModelError.self) { try location("org/name") }
    #expect(
      error?.message
        == "there is no model at 'org/name'; expected a folder in diffusers' layout, "
        + "a .safetensors or .gguf file, 'starter', a name in the folder $STREAMFLOW_MODELS, or "
        + "org/name of the Hugging Face cache, once it is downloaded (looked at "
        + "'org/name', '\(folder.path)/models/org/name', "
        + "'\(folder.path)/models/org/name.safetensors', "
        + "'\(folder.path)/models/org/name.gguf', "
        + "'\(folder.path)/hf/hub/models--org--name')")
    let name = HubModelName("org/name")
    #expect(error?.settings == [.model, .download(name, revision: nil)])
    let other = #expect(throws: ModelError.self) { try location("org/name@v1") }
    #expect(other?.settings == [.model, .download(name, revision: "v1")])
  }

  @Test("Names of models are the hub's: two plain halves")
  func names() {
    for text in ["org/name", "o/n", "XCLiu/instaflow_0_9B_from_sd_1_5", "a.b/c-d.e"] {
      #expect(HubModelName(text)?.description == text)
    }
    for text in [
      "name", "org/", "/name", "a/b/c", "../name", "org/..", "org/.", "org/a..b", "org/a--b",
      "org/-a", "org/a.", "org/a b", "org/ä", "org\\name", "org/a\0", "org/a+b",
      "org/\(String(repeating: "a", count: 97))",
    ] {
      #expect(HubModelName(text) == nil, "\(text)")
    }
  }

  @Test(
    "The cache lies where Hugging Face's tools keep it",
    arguments: [
      (["HF_HUB_CACHE": "/c", "HF_HOME": "/h"], "/c", "/h/token"),
      (["HF_HOME": "/h", "XDG_CACHE_HOME": "/x"], "/h/hub", "/h/token"),
      (["XDG_CACHE_HOME": "/x"], "/x/huggingface/hub", "/x/huggingface/token"),
      (["HOME": "/u"], "/u/.cache/huggingface/hub", "/u/.cache/huggingface/token"),
      (["HOME": "/u", "HF_HOME": "~/hf", "HF_TOKEN_PATH": "/t"], "/u/hf/hub", "/t"),
      (["HOME": "/u", "HF_HOME": "", "HF_HUB_CACHE": ""], "/u/.cache/huggingface/hub", nil),
    ])
  func places(environment: [String: String], folder: String, token: String?) {
    let cache = HubCache(environment: environment)
    #expect(cache.folder == folder)
    if let token { #expect(cache.tokenPath == token) }
  }
}
