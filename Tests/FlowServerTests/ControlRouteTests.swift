import FlowCore
import FlowImage
import FlowModels
import FlowTestSupport
import Foundation
import StreamFlow
import Testing

@testable import FlowServer

/// Adapters in requests, jobs and live streams, with a tiny seeded checkpoint.
@Suite(.serialized, .tags(.engine)) struct ControlRouteTests {
  private static func folder(_ name: String) -> String {
    URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../StreamFlowTests/Fixtures/models/\(name)").standardizedFileURL.path
  }

  private static func checkpoint() throws -> Checkpoint {
    try Checkpoint(folder: folder("sd")).attaching([
      AdapterFile(path: folder("controlnet")), AdapterFile(path: folder("t2i-adapter")),
    ])
  }

  private static func server() async throws -> RunningServer { try await starting.value }
  private static let starting = Task {
    try await RunningServer { options in
      options.models = [ServedModel(name: "sd") { try checkpoint() }]
    }
  }

  private static func picture(_ shade: Int, width: Int = 40, height: Int = 30) -> PixelImage {
    PixelImage(
      width: width, height: height, pixels: (0..<width * height * 3).map { UInt8($0 * shade % 256) }
    )
  }

  private static func base64(_ image: PixelImage) throws -> String {
    Data(try image.png()).base64EncodedString()
  }

  private static func image(_ answer: LoopbackClient.Answer) throws -> PixelImage {
    let text = try #require(answer["data", "0", "b64_json"] as? String, "\(answer.text)")
    return try PixelImage(picture: Array(try #require(Data(base64Encoded: text))))
  }

  private static func expected(
    _ change: (inout GenerationRequest) -> Void
  ) async throws -> PixelImage {
    let checkpoint = try checkpoint()
    var request = checkpoint.request("a fox")
    (request.seed, request.stepCount) = (5, 3)
    request.guidance = .none
    change(&request)
    let generator = try Generator(checkpoint: checkpoint, engines: .ofTests)
    var iterator = try await generator.images(for: [request]).makeAsyncIterator()
    return try #require(try await iterator.next()).image
  }

  private static let body =
    #""prompt": "a fox", "seed": 5, "steps": 3, "guidance": "none""#

  private static func expectSame(_ image: PixelImage, _ other: PixelImage) {
    // Engines of other row counts round differently, in the network and in the decoder.
    expectClose(image.pixels.map(Float.init), other.pixels.map(Float.init), tolerance: 2)
  }

  @Test("The models name their adapters")
  func names() async throws {
    let answer = try LoopbackClient.ask(try await Self.server().port, "GET", "/v1/models")
    let adapters = answer["data", "0", "streamflow", "adapters"] as? [[String: Any]] ?? []
    #expect(adapters.map { $0["name"] as? String } == ["controlnet", "t2i-adapter"])
    #expect(adapters.map { $0["kind"] as? String } == ["controlnet", "t2i-adapter"])
  }

  @Test("A control image in JSON, as base64 and as a data URL, gives the library's image")
  func generations() async throws {
    let server = try await Self.server()
    let control = Self.picture(7)
    let expected = try await Self.expected {
      $0.controls = [
        ControlInput(
          "controlnet", image: control, preprocessing: ControlImage(.canny), scale: 1.5,
          range: 0...0.7)
      ]
    }
    for prefix in ["", "data:image/png;base64,"] {
      let answer = try LoopbackClient.ask(
        server.port, "POST", "/v1/images/generations",
        json: """
          {\(Self.body), "controls": [{"adapter": "controlnet", "scale": 1.5, "end": 0.7,
           "preprocess": "canny", "image": "\(prefix)\(try Self.base64(control))"}]}
          """)
      Self.expectSame(try Self.image(answer), expected)
      let text = try #require(answer["data", "0", "b64_json"] as? String)
      let metadata = try ImageMetadata(of: Array(try #require(Data(base64Encoded: text))))
      #expect(metadata.parameters?.contains("controlnet:1.5 canny 0.0-0.7") == true)
    }
    let plain = try LoopbackClient.ask(
      server.port, "POST", "/v1/images/generations", json: "{\(Self.body)}")
    #expect(try Self.image(plain) != expected)
  }

  @Test("An edit in JSON, and one in a form with the adapter's image as a file, are the same")
  func edits() async throws {
    let server = try await Self.server()
    let (source, control) = (Self.picture(3, width: 64, height: 64), Self.picture(11))
    let expected = try await Self.expected {
      $0.spacing = .uniform
      $0.source = InputImage(image: source, strength: 0.7, fit: ImageFit(.cover))
      $0.controls = [
        ControlInput("controlnet"), ControlInput("t2i-adapter", image: control, scale: 0.5),
      ]
    }
    let json = try LoopbackClient.ask(
      server.port, "POST", "/v1/images/edits",
      json: """
        {\(Self.body), "strength": 0.7, "image": "\(try Self.base64(source))", "controls":
         [{"adapter": "controlnet"},
          {"adapter": "t2i-adapter", "scale": 0.5, "image": "\(try Self.base64(control))"}]}
        """)
    Self.expectSame(try Self.image(json), expected)
    var form: [UInt8] = []
    func add(_ header: String, _ content: [UInt8]) {
      form += Array("--x\r\nContent-Disposition: form-data; name=\(header)\r\n\r\n".utf8)
      form += content + Array("\r\n".utf8)
    }
    for (name, value) in [
      ("prompt", "a fox"), ("seed", "5"), ("steps", "3"), ("guidance", "none"),
      ("strength", "0.7"),
      ("controls", #"[{"adapter": "controlnet"}, {"adapter": "t2i-adapter", "scale": 0.5}]"#),
    ] { add("\"\(name)\"", Array(value.utf8)) }
    add("\"image\"; filename=\"a.png\"", try source.png())
    add("\"controls[1]\"; filename=\"b.png\"", try control.png())
    form += Array("--x--\r\n".utf8)
    let answer = try LoopbackClient.ask(
      server.port, "POST", "/v1/images/edits",
      headers: ["Content-Type": "multipart/form-data; boundary=x"], body: form)
    #expect(try Self.image(answer) == Self.image(json))
  }

  @Test("A job stores the images of its adapters, and makes the same image")
  func jobs() async throws {
    let server = try await Self.server()
    let controls =
      #""controls": [{"adapter": "controlnet", "image": "\#(try Self.base64(Self.picture(5)))"}]"#
    let image = try Self.image(
      try LoopbackClient.ask(
        server.port, "POST", "/v1/images/generations", json: "{\(Self.body), \(controls)}"))
    let job = try LoopbackClient.ask(
      server.port, "POST", "/v1/jobs", json: "{\(Self.body), \(controls)}")
    let id = try #require(job["id"] as? String, "\(job.text)")
    _ = try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)/events")
    let made = try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)/images/0")
    #expect(try PixelImage(picture: made.body) == image)
  }

  @Test("An IP-Adapter acts in a mask's area, in JSON, in a job and on the way to a worker")
  func masks() async throws {
    var file = AdapterFile(path: Self.folder("ip-plus.safetensors"))
    file.imageEncoder =
      URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../FlowModelsTests/Fixtures/image-adapters/image_encoder")
      .standardizedFileURL.path
    let checkpoint = try Checkpoint(folder: Self.folder("sd")).attaching([
      file, AdapterFile(path: Self.folder("controlnet")),
    ])
    let server = try await RunningServer { options in
      options.models = [ServedModel(name: "sd") { checkpoint }]
    }
    let reference = Self.picture(9)
    let mask = ImageMask(
      width: 16, height: 16, coverage: (0..<256).map { $0 % 16 < 8 ? UInt8(255) : 0 })
    var request = checkpoint.request("a fox")
    (request.seed, request.stepCount, request.guidance) = (5, 3, .none)
    request.controls = [ControlInput("ip-plus", image: reference, mask: mask)]
    let generator = try Generator(checkpoint: checkpoint, engines: .ofTests)
    var iterator = try await generator.images(for: [request]).makeAsyncIterator()
    let expected = try #require(try await iterator.next()).image

    func body(_ adapter: String, mask: String) throws -> String {
      """
      {\(Self.body), "controls": [{"adapter": "\(adapter)", "mask": "\(mask)",
       "image": "\(try Self.base64(reference))"}]}
      """
    }
    let json = try body("ip-plus", mask: try Self.base64(mask.image))
    let answer = try LoopbackClient.ask(
      server.port, "POST", "/v1/images/generations", json: json)
    let made = try Self.image(answer)
    Self.expectSame(made, expected)
    let everywhere = try LoopbackClient.ask(
      server.port, "POST", "/v1/images/generations",
      json: json.replacing(#""mask": "\#(try Self.base64(mask.image))","#, with: ""))
    #expect(try Self.image(everywhere) != made)
    let job = try LoopbackClient.ask(server.port, "POST", "/v1/jobs", json: json)
    let id = try #require(job["id"] as? String, "\(job.text)")
    _ = try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)/events")
    let stored = try LoopbackClient.ask(server.port, "GET", "/v1/jobs/\(id)/images/0")
    #expect(try PixelImage(picture: stored.body) == made)

    var fields = try RequestFields(json: Array(json.utf8), limits: ServerLimits().json)
    let order = try ImageOrder(&fields, limits: ServerLimits())
    let portable = try PortableOrder(
      ServiceOrder(
        order, indices: nil, client: "c", name: "r1", urgency: .awaited, deadline: nil), model: "sd"
    )
    #expect(portable.version == 3)
    let read = try ServiceOrder(
      json: try portable.json(ofImage: 0), version: 3, input: portable.input, client: "c",
      name: "r1")
    #expect(read.order.controls?.map(\.mask) == [mask])

    for (adapter, mask, words) in [
      ("controlnet", try Self.base64(mask.image), "reads no mask"),
      ("ip-plus", "AAAA", "PNG"),
      ("ip-plus", try Self.base64(Self.picture(0)), "covers nothing"),
    ] {
      let refused = try LoopbackClient.ask(
        server.port, "POST", "/v1/images/generations", json: try body(adapter, mask: mask))
      #expect(refused.status == 400 || refused.status == 415, "\(refused.text)")
      #expect((refused["error", "message"] as? String)?.contains(words) == true, "\(refused.text)")
      #expect((refused["error", "param"] as? String)?.hasPrefix("controls") == true)
    }
    await server.stop()
  }

  @Test("An order that another process makes carries its images beside its parameters")
  func portable() throws {
    let (source, control) = (Self.picture(3, width: 64, height: 64), Self.picture(5))
    var fields = try RequestFields(
      json: Array(
        """
        {\(Self.body), "controls": [{"adapter": "controlnet"},
         {"adapter": "t2i-adapter", "image": "\(try Self.base64(control))"}]}
        """.utf8), limits: ServerLimits().json)
    var order = try ImageOrder(&fields, limits: ServerLimits())
    for input in [nil, InputImage(image: source, strength: 0.5)] {
      order.source = input
      let work = ServiceOrder(
        order, indices: nil, client: "c", name: "r1", urgency: .awaited, deadline: nil)
      let portable = try PortableOrder(work, model: "sd")
      let json = try portable.json(ofImage: 0)
      #expect(json.utf8.count < 1000, "\(json)")
      let read = try ServiceOrder(
        json: json, version: portable.version, input: portable.input, client: "c", name: "r1")
      #expect(read.order.controls?.map(\.image) == [nil, control])
      #expect(read.order.source?.image == input?.image)
      #expect(portable.version == 2)
    }
    // References, which an older worker would leave out, need its successor.
    order.source = nil
    order.references = [source, control]
    let portable = try PortableOrder(
      ServiceOrder(
        order, indices: nil, client: "c", name: "r1", urgency: .awaited, deadline: nil), model: "sd"
    )
    let json = try portable.json(ofImage: 0)
    #expect(portable.version == 3 && json.utf8.count < 1000, "\(json)")
    let read = try ServiceOrder(
      json: json, version: portable.version, input: portable.input, client: "c", name: "r1")
    #expect(read.order.references == [source, control])
    #expect(read.order.controls?.map(\.image) == [nil, control])
    #expect(throws: ServerError.self) {
      try ServiceOrder(json: json, version: 3, input: nil, client: "c", name: "r1")
    }
  }

  @Test(
    "Wrong controls are refused with the parameter",
    arguments: [
      (#"[{"adapter": "controlnet"}]"#, "controls[0].image", "is missing"),
      (
        #"[{"adapter": "depth", "image": "IMAGE"}]"#, "controls",
        "it has 'controlnet', 't2i-adapter'"
      ),
      (#"[{"image": "IMAGE"}]"#, "controls", "several adapters, 'controlnet', 't2i-adapter'"),
      (#"[{"adapter": "controlnet", "image": "x y"}]"#, "controls[0].image", "not base64"),
      (
        #"[{"adapter": "controlnet", "image": "https://a.b/c.png"}]"#, "controls[0].image",
        "loads none"
      ),
      (#"[{"adapter": "controlnet", "image": "AAAA"}]"#, "controls[0].image", "PNG"),
      (
        #"[{"adapter": "controlnet", "image": "IMAGE", "scale": 5}]"#, "controls[0].scale",
        "0.0 to 4.0"
      ),
      (
        #"[{"adapter": "controlnet", "image": "IMAGE", "start": 0.5, "end": 0.5}]"#,
        "controls[0].end", "above 'start'"
      ),
      (
        #"[{"adapter": "controlnet", "image": "IMAGE", "preprocess": "hed"}]"#,
        "controls[0].preprocess", "canny"
      ),
      (#"[{"adapter": "controlnet", "image": "IMAGE", "preset": "style"}]"#, "controls", "preset"),
      (
        #"[{"adapter": "controlnet", "image": "IMAGE", "weight": 1}]"#, "controls[0].weight",
        "unknown"
      ),
      (#"{}"#, "controls", "an array"),
    ])
  func wrong(controls: String, parameter: String, words: String) async throws {
    let text = controls.replacing("IMAGE", with: try Self.base64(Self.picture(5)))
    let answer = try LoopbackClient.ask(
      try await Self.server().port, "POST", "/v1/images/generations",
      json: "{\(Self.body), \"controls\": \(text)}")
    #expect(answer.status == 400 || answer.status == 415, "\(answer.text)")
    #expect(answer["error", "param"] as? String == parameter, "\(answer.text)")
    let message = answer["error", "message"] as? String ?? ""
    #expect(message.contains(words), "\(message)")
  }

  @Test("A live stream takes controls and a mask while it runs, and keeps an image")
  func live() async throws {
    let server = try await Self.server()
    let opened = try LoopbackClient.ask(
      server.port, "POST", "/v1/streams", json: "{\(Self.body), \"stages\": 2}")
    let id = try #require(opened["id"] as? String, "\(opened.text)")
    func change(_ json: String) throws -> LoopbackClient.Answer {
      try LoopbackClient.ask(server.port, "PATCH", "/v1/streams/\(id)", json: json)
    }
    let image = try Self.base64(Self.picture(9))
    let still = try change(#"{"controls": [{"adapter": "controlnet", "image": "\#(image)"}]}"#)
    #expect(still["settings", "controls", "0", "reads_frames"] as? Bool == false, "\(still.text)")
    let weaker = try change(
      #"{"controls": [{"adapter": "controlnet", "keep_image": true, "scale": 0.25}]}"#)
    #expect(weaker["settings", "controls", "0", "reads_frames"] as? Bool == false)
    #expect(weaker["settings", "controls", "0", "scale"] as? Double == 0.25)
    let none = try change(#"{"controls": [{"adapter": "t2i-adapter", "keep_image": true}]}"#)
    #expect(
      none.status == 400 && none["error", "param"] as? String == "controls[0].keep_image",
      "\(none.text)")
    let frames = try change(#"{"controls": [{"adapter": "controlnet", "preprocess": "canny"}]}"#)
    #expect(frames["settings", "controls", "0", "reads_frames"] as? Bool == true)
    let white = PixelImage(width: 8, height: 8, pixels: [UInt8](repeating: 255, count: 192))
    let masked = try change(#"{"mask": "\#(try Self.base64(white))", "mask_blur": 4}"#)
    #expect(masked["settings", "mask"] as? Bool == true, "\(masked.text)")
    let put = try LoopbackClient.ask(
      server.port, "PUT", "/v1/streams/\(id)/frames", body: try Self.picture(3).png())
    #expect(put.status == 202, "\(put.text)")
    while try LoopbackClient.ask(server.port, "GET", "/v1/streams/\(id)")["statistics", "made"]
      as? Int != 1
    { try await Task.sleep(for: .milliseconds(5)) }
    let plain = try change(#"{"mask": null, "controls": []}"#)
    #expect(plain["settings", "mask"] as? Bool == false)
    #expect((plain["settings", "controls"] as? [Any])?.isEmpty == true)
    #expect(try LoopbackClient.ask(server.port, "DELETE", "/v1/streams/\(id)").status == 204)
  }
}
