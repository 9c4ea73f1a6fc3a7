internal import FlowModels
internal import Foundation
internal import Hummingbird
internal import StreamFlow

/// `/v1/models/ID/prompts`: the prompts that a model was trained on.
struct PromptRoutes: Sendable {
  let shelf: ModelShelf

  func add(to router: some RouterMethods<ServerContext>) {
    router.get("v1/models/:id/prompts") { _, context in
      let name = context.parameters.get("id") ?? ""
      let host = try shelf.host(name.removingPercentEncoding ?? name)
      return Response.json(Prompts(model: host.name, try await host.loaded()))
    }
  }

  private struct Prompts: Encodable {
    struct Subject: Encodable {
      let name: String
      let otherNames: [String]
    }

    let object = "prompts"
    let model: String
    /// Whether other prompts are likely to give poor results; if not, the lists are empty.
    let isLimited: Bool
    let template: String?
    let subjects: [Subject]
    let backgrounds: [String]
    let sizes: [String]

    init(model: String, _ checkpoint: Checkpoint) {
      self.model = model
      let vocabulary = checkpoint.vocabulary
      isLimited = vocabulary != nil
      template = vocabulary?.template
      subjects = (vocabulary?.subjects ?? []).map {
        Subject(name: $0.name, otherNames: $0.otherNames)
      }
      backgrounds = vocabulary?.backgrounds ?? []
      sizes = (vocabulary?.sizes ?? []).map { "\($0.width)x\($0.height)" }
    }
  }
}
