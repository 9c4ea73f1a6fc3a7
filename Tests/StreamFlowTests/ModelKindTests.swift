import FlowCore
import FlowTestSupport
import Foundation
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Which plan a checkpoint takes, and why.
@Suite(.tags(.engine)) struct ModelKindTests {
  private static func evidence(
    pipeline: String = "StableDiffusionPipeline", scheduler: String = "DEISMultistepScheduler",
    isTrailing: Bool = false, name: String = "model", loras: [String] = [], width: Int = 768,
    isXL: Bool = false, readsGuidance: Bool = false
  ) -> ModelKind.Evidence {
    .init(
      pipelineName: pipeline, schedulerName: scheduler, isTrailing: isTrailing, name: name,
      loraNames: loras, textWidth: width, readsPooledText: isXL, readsGuidance: readsGuidance,
      kinds: StableDiffusion.kinds)
  }

  @Test("Published models are known by what they have on disk")
  func published() {
    let euler = "EulerDiscreteScheduler"
    let ancestral = "EulerAncestralDiscreteScheduler"
    let cases: [(ModelKind.Evidence, String, Int, Float)] = [
      (
        Self.evidence(name: "perflow-sd15-dreamshaper"), "perflow:windows=4,prediction=diff_eps", 4,
        4.5
      ),
      (
        Self.evidence(name: "perflow-sd21-artius", width: 1024),
        "perflow:windows=4,prediction=velocity", 8, 7.5
      ),
      (
        Self.evidence(
          pipeline: "StableDiffusionXLPipeline", scheduler: euler, name: "perflow-sdxl-dreamshaper",
          width: 2048, isXL: true), "perflow:windows=4,prediction=ddim_eps", 6, 2
      ),
      (
        Self.evidence(
          pipeline: "RectifiedFlowPipeline", scheduler: "PNDMScheduler",
          name: "instaflow_0_9b_from_sd_1_5"), "rectified", 1, 1
      ),
      (
        Self.evidence(
          pipeline: "RectifiedFlowPipeline", scheduler: "PNDMScheduler",
          name: "2_rectified_flow_from_sd_1_5"), "rectified", 25, 1.5
      ),
      (
        Self.evidence(
          pipeline: "LatentConsistencyModelPipeline", scheduler: "LCMScheduler",
          name: "lcm_dreamshaper_v7", readsGuidance: true), "lcm", 4, 8.5
      ),
      (Self.evidence(scheduler: "PNDMScheduler", loras: ["lcm-lora-sdv1-5"]), "lcm", 4, 1),
      (
        Self.evidence(scheduler: "EulerDiscreteScheduler", loras: ["my-lcmish.safetensors"]),
        "euler", 25, 7.5
      ),
      (Self.evidence(scheduler: "LCMScheduler"), "lcm", 4, 1),
      (
        Self.evidence(scheduler: euler, isTrailing: true, name: "sd-turbo", width: 1024), "euler",
        1, 1
      ),
      (
        Self.evidence(
          pipeline: "StableDiffusionXLPipeline", scheduler: ancestral, isTrailing: true,
          name: "sdxl-turbo", width: 2048, isXL: true), "euler-ancestral", 1, 1
      ),
      (
        Self.evidence(scheduler: "DEISMultistepScheduler", name: "sdxs-512-dreamshaper"), "euler",
        1, 1
      ),
      (Self.evidence(scheduler: "FlowMatchEulerDiscreteScheduler"), "flow-match", 4, 1),
    ]
    for (evidence, plan, steps, scale) in cases {
      let family = ModelKind.of(evidence)
      #expect(family?.schedule.description == plan, "\(evidence)")
      #expect(family?.stepCount == steps && family?.guidanceScale == scale, "\(evidence)")
    }
    #expect(ModelKind.of(Self.evidence(scheduler: "PNDMScheduler")) == nil)
  }

  @Test("SDXS's folder is known by its name, and its DEIS scheduler takes one step")
  func sdxs() throws {
    let temporary = try TemporaryFolder()
    let folder = "\(temporary.path)/sdxs-512-dreamshaper"
    try FileManager.default.copyItem(atPath: PipelineTests.folder("sd"), toPath: folder)
    let path = "\(folder)/scheduler/scheduler_config.json"
    let euler = try String(contentsOfFile: path, encoding: .utf8)
    let deis = euler.replacing("EulerDiscreteScheduler", with: "DEISMultistepScheduler")
    func plan(_ text: String, _ stepCount: Int) throws -> StepPlan {
      try text.write(toFile: path, atomically: true, encoding: .utf8)
      let checkpoint = try Checkpoint(folder: folder)
      #expect(checkpoint.scheduleFinding.reason.hasPrefix("SDXS: "))
      #expect(checkpoint.defaults() == GenerationDefaults(stepCount: 1, guidanceScale: 1))
      var request = checkpoint.request("a fox", schedule: .automatic)
      request.stepCount = stepCount
      return try checkpoint.plan(for: request, width: 32, height: 32)
    }
    let one = try plan(deis.replacing("\"trailing\"", with: "\"linspace\""), 1)
    let row = try #require(one.rows.first)
    #expect(one.rows.count == 1 && one.initialNoiseScale == 1 && row.timestep == 999)
    #expect(abs(row.sample - 14.642590522766113) < 2e-5)
    #expect(abs(row.output + 14.579279899597168) < 2e-5)
    #expect(try plan(deis, 4) == plan(euler, 4))
    let leading = try plan(deis.replacing("\"trailing\"", with: "\"leading\""), 1)
    #expect(leading == (try plan(euler, 1)))
  }

  @Test("A schedule that the user chooses brings the numbers that suit it")
  func chosen() throws {
    let evidence = Self.evidence(scheduler: "PNDMScheduler")
    let cases: [(String, Int, Float)] = [
      ("perflow", 4, 4.5), ("perflow:windows=6", 6, 4.5), ("perflow:prediction=ddim_eps", 6, 2),
      ("perflow:prediction=velocity,windows=2", 8, 7.5), ("lcm", 4, 1), ("flow-match", 4, 1),
      ("euler", 25, 7.5), ("euler-ancestral", 25, 7.5),
    ]
    for (text, steps, scale) in cases {
      let choice = try #require(ScheduleChoice(text))
      let defaults = ModelKind.defaults(of: choice, evidence)
      #expect(defaults == .init(stepCount: steps, guidanceScale: scale), "\(text)")
    }
  }

  @Test("A choice reads back what it writes, and refuses what it does not know")
  func spellings() throws {
    for text in [
      "auto", "flow-match", "rectified", "lcm", "euler", "euler-ancestral",
      "perflow:windows=7,prediction=ddim_eps",
    ] {
      #expect(ScheduleChoice(text)?.description == text)
    }
    #expect(ScheduleChoice("perflow:prediction=epsilon") == ScheduleChoice("perflow"))
    for text in [
      "", "Perflow", "perflow:", "perflow:windows", "perflow:windows=0", "perflow:windows=x",
      "perflow:prediction=v", "perflow:steps=4", "lcm:4", "euler:", "perflow:windows=4,",
    ] { #expect(ScheduleChoice(text) == nil, "\(text)") }
  }

  @Test("The precedence of a folder's overrides, its name and its files")
  func folders() throws {
    let temporary = try TemporaryFolder()
    let folder = "\(temporary.path)/My-PeRFlow-v2"
    try FileManager.default.copyItem(atPath: PipelineTests.folder("sd"), toPath: folder)
    let scheduler = "\(folder)/scheduler/scheduler_config.json"
    let text = try String(contentsOfFile: scheduler, encoding: .utf8)
    try text.replacing("EulerDiscreteScheduler", with: "DEISMultistepScheduler")
      .write(toFile: scheduler, atomically: true, encoding: .utf8)
    let named = try Checkpoint(folder: folder)
    #expect(named.scheduleFinding.schedule == ScheduleChoice("perflow"))
    #expect(named.scheduleFinding.reason == "PeRFlow of Stable Diffusion 1: the name has 'perflow'")
    #expect(named.defaults() == .init(stepCount: 4, guidanceScale: 4.5))

    let other = try Checkpoint(folder: folder, name: "dreamshaper")
    #expect(other.scheduleFinding.schedule == nil)
    #expect(other.scheduleFinding.reason.contains("names DEISMultistepScheduler"))
    #expect(other.scheduleFinding.reason.contains("or set it in streamflow.json"))

    let choice = try #require(ScheduleChoice("perflow:windows=2,prediction=ddim_eps"))
    let notes = try other.noting(schedule: choice, stepCount: 8)
    #expect(notes.path == "\(folder)/streamflow.json")
    _ = try temporary.write(notes.bytes, as: "My-PeRFlow-v2/streamflow.json")
    let noted = try Checkpoint(folder: folder, name: "dreamshaper")
    #expect(noted.scheduleFinding.schedule == choice)
    #expect(noted.scheduleFinding.reason == "'\(folder)/streamflow.json' says so")
    #expect(noted.defaults() == .init(stepCount: 8, guidanceScale: 2))
    // Another schedule does not take the steps that were noted for this one.
    #expect(noted.defaults(for: .consistency).stepCount == 4)
    let again = try noted.noting(guidanceScale: 1.5)
    #expect(
      String(decoding: again.bytes, as: UTF8.self)
        == """
        {
          "schedule": "perflow:windows=2,prediction=ddim_eps",
          "steps": 8,
          "guidance_scale": 1.5
        }

        """)
    let error = #expect(throws: ModelError.self) { try noted.noting(stepCount: 1) }
    #expect(error?.message == "the piecewise schedule of 2 windows takes 2 to 1000 steps, got 1")
  }

  @Test("A model names the editing method of a source prompt, and its strength")
  func editing() throws {
    #expect(try Checkpoint.starter().defaultEditing.method.name == "fireflow")
    #expect(try Checkpoint.starter().editingDefaults(.flowEdit()).method.name == "flowedit")
    let temporary = try TemporaryFolder()
    let folder = "\(temporary.path)/sd"
    try FileManager.default.copyItem(atPath: PipelineTests.folder("sd"), toPath: folder)
    let plain = try Checkpoint(folder: folder)
    #expect(plain.defaultEditing == plain.editingDefaults(.flowEdit()))
    let inversion = EditingMethod.inversion(.fireFlow)
    #expect(plain.editingDefaults(inversion).strength == 1)
    func note(_ text: String) throws -> Checkpoint {
      _ = try temporary.write(Array(text.utf8), as: "sd/streamflow.json")
      return try Checkpoint(folder: folder)
    }
    let noted = try note(#"{"edit_method": "fireflow", "edit_strength": 0.7}"#)
    #expect(noted.defaultEditing == noted.editingDefaults(inversion))
    #expect(noted.defaultEditing.method == inversion && noted.defaultEditing.strength == 0.7)
    #expect(noted.editingDefaults(.rfInversion()).strength == 1)
    // Saving other defaults keeps them.
    let saved = String(decoding: try noted.noting(stepCount: 3).bytes, as: UTF8.self)
    #expect(
      saved.contains(#""edit_method": "fireflow""#) && saved.contains(#""edit_strength": 0.7"#))
    for (text, words) in [
      (#"{"edit_method": "soft"}"#, "such as flowedit or fireflow"),
      (#"{"edit_method": "magic"}"#, "such as flowedit or fireflow"),
      (#"{"edit_strength": 0.5}"#, "beside edit_method"),
      (#"{"edit_method": "flowedit", "edit_strength": 0}"#, "above 0 and at most 1"),
      (#"{"edit_methods": "flowedit"}"#, "edit_method, edit_strength only"),
    ] {
      let error = #expect(throws: ModelError.self, "\(text)") { try note(text) }
      #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
  }

  @Test("Guidance that cannot be given is refused with the reason")
  func guidance() async throws {
    let consistency = try Checkpoint(folder: PipelineTests.folder("lcm"))
    #expect(consistency.guidance(scale: 8.5) == .distilled(scale: 8.5))
    let plain = try Checkpoint(folder: PipelineTests.folder("sd"))
    #expect(plain.guidance(scale: 1) == .none && plain.guidance(scale: 2) == .full(scale: 2))
    // Model cards of few-step models write 0 for no guidance, as diffusers reads it.
    #expect(plain.guidance(scale: 0) == .none)
    let generator = try Generator(checkpoint: plain, engines: .ofTests)
    for (guidance, words) in [
      (Guidance.selfNegative(scale: 2), "an image made of text has none"),
      (.distilled(scale: 2), "does not read a guidance scale"),
      (.full(scale: .nan), "must be numbers"),
    ] {
      var request = GenerationRequest(prompt: "fox")
      request.guidance = guidance
      let error = await #expect(throws: ModelError.self) {
        try await generator.images(for: [request])
      }
      #expect(error?.code == .requestInvalid)
      #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
  }

  @Test("Every guidance and family's schedule in one stream gives what each alone gives")
  func mix() async throws {
    let checkpoint = try Checkpoint(folder: PipelineTests.folder("sd"))
    let schedules = ["perflow", "lcm", "euler-ancestral", "rectified", "flow-match"]
    let kinds: [Guidance] = [.none, .full(scale: 2), .onetimeNegative(scale: 2, delta: 0.8)]
    let requests = try (0..<15).map { index in
      var request = GenerationRequest(prompt: index % 2 == 0 ? "fox" : "grinning face")
      request.seed = UInt64(index)
      request.schedule = try #require(ScheduleChoice(schedules[index % 5]))
      request.guidance = kinds[index % 3]
      request.stepCount = 4 + index % 3
      return request
    }
    var options = GeneratorOptions()
    options.rowCapacity = 6
    let stream = try await Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
      .images(for: requests)
    let together = try await stream.reduce(into: [:]) { $0[$1.index] = $1.image.pixels }
    options.rowCapacity = 2
    let alone = try Generator(checkpoint: checkpoint, options: options, engines: .ofTests)
    for (index, request) in requests.enumerated() {
      let single = try await alone.images(for: [request]).reduce(into: []) { $0.append($1) }
      let expected = try #require(single.first).image.pixels.map(Float.init)
      let pixels = try #require(together[index]).map(Float.init)
      expectClose(pixels, expected, tolerance: 1)
    }
  }
}
