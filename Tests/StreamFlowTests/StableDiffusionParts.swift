@testable import FlowModels
@testable import StreamFlow

extension Checkpoint {
  /// What a checkpoint of Stable Diffusion is.
  var stableDiffusion: StableDiffusion {
    guard let family = family as? StableDiffusion else {
      preconditionFailure("\(name) is no Stable Diffusion")
    }
    return family
  }

  /// What its network's file says.
  var unet: UNetConfiguration { stableDiffusion.unet }
}
