import FlowCore
import FlowModels
import FlowTestSupport
import StreamFlow
import Testing

/// The `parameters` text of images: what other programs wrote, and what this one writes.
@Suite(.tags(.engine)) struct GenerationSettingsTests {
  @Test("AUTOMATIC1111's text is read: prompts of several lines, quotes, unknown names")
  func automatic1111() {
    let settings = GenerationSettings(
      parsing: """
        masterpiece, (a fox:1.2), <lora:film:0.8>
        second line: with a colon
        Negative prompt: blurry, lowres
        bad hands
        Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 3141592653, Size: 512x768, \
        Model hash: 6ce0161689, Model: v1-5-pruned, VAE: vae-ft-mse.safetensors, \
        Clip skip: 2, Lora hashes: "film: 12ab, other: 34cd", TI: "say \\"hi\\", then", \
        Version: v1.6.0
        """)
    #expect(
      settings.prompt == "masterpiece, (a fox:1.2), <lora:film:0.8>\nsecond line: with a colon")
    #expect(settings.negativePrompt == "blurry, lowres\nbad hands")
    #expect(settings.stepCount == 20 && settings.guidanceScale == 7)
    #expect(settings.seed == 3_141_592_653)
    #expect(settings.size?.width == 512 && settings.size?.height == 768)
    #expect(settings.sampler == "DPM++ 2M Karras" && settings.solver == nil)
    #expect(settings.model == "v1-5-pruned" && settings.skippedTextLayers == 1)
    #expect(settings["lora hashes"] == "film: 12ab, other: 34cd")
    #expect(settings["TI"] == "say \"hi\", then")
    // It names the generator only where it is not the default, the CUDA one.
    #expect(settings.noiseSource == .cuda && !settings.isFromStreamFlow)
  }

  @Test("stable-diffusion.cpp's text is read")
  func stableDiffusionCPP() {
    let settings = GenerationSettings(
      parsing: "a cat\nNegative prompt: dog\nSteps: 4, CFG scale: 1.000000, Guidance: 3.500000, "
        + "Eta: 0.000000, Seed: 42, Size: 512x512, Model: sd_turbo.safetensors, RNG: cpu, "
        + "Sampler: euler_a, Schedule: karras, Version: stable-diffusion.cpp")
    #expect(settings.prompt == "a cat" && settings.negativePrompt == "dog")
    #expect(settings.stepCount == 4 && settings.guidanceScale == 1 && settings.seed == 42)
    #expect(settings.noiseSource == .cpu)
    // Its guidance is another thing than the kind of guidance here, its schedule unknown.
    #expect(settings.guidanceKind == nil && settings.schedule == nil)
  }

  @Test("A text without settings is a prompt")
  func promptAlone() {
    let settings = GenerationSettings(parsing: "a fox: red, at noon\r\nwith: two lines\n\n")
    #expect(settings.prompt == "a fox: red, at noon\nwith: two lines")
    #expect(settings.fields.isEmpty && settings.noiseSource == nil)
    #expect(GenerationSettings(parsing: "").prompt.isEmpty)
    #expect(GenerationSettings(parsing: "Steps: 4").stepCount == 4)
  }

  @Test(
    "Hostile texts are read without a crash",
    arguments: [
      "\n\n\n", ":::::,,,", "a: \"unclosed, b: 1, c: 2", "Steps:", "Steps: \"", "a: \\, b: \"\\",
      "Negative prompt:", "Negative prompt:\nNegative prompt: x\nSteps: -3, Seed: -1, Size: x",
      "Size: 99999999999999999999x1, Seed: 99999999999999999999, Steps: 4e9",
      "Clip skip: -9223372036854775808, Steps: 1, Seed: 1",
      "Blend: spherical , Steps: 1, Seed: 1",
    ])
  func hostile(text: String) {
    let settings = GenerationSettings(parsing: text)
    #expect(settings.seed != .max && settings.blend == nil)
    #expect(settings.skippedTextLayers ?? 0 >= 0)
  }

  @Test("What the library writes reads back as the same request")
  func roundTrip() throws {
    let checkpoint = try Checkpoint.starter64()
    let generator = try Generator(checkpoint: checkpoint, engines: .ofTests)
    var request = GenerationRequest(prompt: "a \"red\" fox,\nsecond line \\ with : signs ")
    request.negativePrompt = " blue,\ngreen"
    request.seed = .max
    request.stepCount = 7
    request.guidance = .onetimeNegative(scale: 2.5, delta: 0.25)
    request.schedule = .piecewise(PiecewiseFlowSchedule())
    request.spacing = .uniform
    request.solver = .velocityAveraging(gain: 1.5, decay: 0.8)
    request.noiseSource = .cuda
    request.promptSyntax = .plain
    request.blend = PromptBlend(
      [.init(prompt: "a \"b\", c: d\\", weight: 0.25), .init(prompt: "e", weight: 0.5)],
      kind: .linear)
    request.seedBlend = SeedBlend(seed: 9, fraction: 0.75)
    let settings = GenerationSettings(parsing: generator.parameters(of: request))
    #expect(settings.isFromStreamFlow)
    #expect(settings.prompt == request.prompt)
    #expect(settings.negativePrompt == request.negativePrompt)
    #expect(settings.seed == request.seed && settings.stepCount == 7)
    #expect(settings.guidanceKind == .onetimeNegative && settings.guidanceScale == 2.5)
    #expect(settings.delta == 0.25 && settings.schedule == request.schedule)
    #expect(settings.spacing == .uniform && settings.solver == request.solver)
    #expect(settings.noiseSource == .cuda && settings.promptSyntax == .plain)
    #expect(settings.blend == request.blend && settings.seedBlend == request.seedBlend)
    #expect(settings.size?.width == 64 && settings.model == "starter")
  }

  @Test("Guidance that its scale does not imply is written")
  func guidance() throws {
    let generator = try Generator(checkpoint: Checkpoint.starter64(), engines: .ofTests)
    var request = GenerationRequest(prompt: "a fox")
    func kind(_ guidance: Guidance) -> Guidance.Kind? {
      request.guidance = guidance
      return GenerationSettings(parsing: generator.parameters(of: request)).guidanceKind
    }
    #expect(kind(.none) == nil && kind(.full(scale: 2)) == nil)
    #expect(kind(.full(scale: 1)) == .full)
  }
}
