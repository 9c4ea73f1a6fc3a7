internal import Foundation
internal import Hummingbird

/// `/v1/models/ID/prompts`: the prompts that a model was trained on.
struct PromptRoutes: Sendable {
  let service: any ImageService

  func add(to router: some RouterMethods<ServerContext>) {
    router.get("v1/models/:id/prompts") { _, context in
      let name = context.parameters.get("id") ?? ""
      return Response.json(try await service.prompts(of: name.removingPercentEncoding ?? name))
    }
  }
}
