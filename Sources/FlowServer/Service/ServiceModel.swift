internal import FlowCore
internal import FlowModels
internal import StreamFlow

/// A model as clients and other hosts see it.
package struct ServiceModel: Codable, Sendable {
  /// One of its images in flight.
  package struct Row: Codable, Sendable {
    package let request: String
    package let picture: Int
    package let stage: Int
    package let steps: Int
    package let advances: Bool
  }

  /// The images of one size, which share network calls.
  package struct Batch: Codable, Sendable {
    package let width: Int
    package let height: Int
    package let rowCapacity: Int
    package let tickSeconds: Double
    package let rows: [Row]
  }

  /// An adapter that requests may use.
  package struct Adapter: Codable, Sendable {
    /// Its name in `controls`.
    package let name: String
    /// `controlnet`, `t2i-adapter` or `ip-adapter`.
    package let kind: String
    /// The distributions of its strength that it knows.
    package let presets: [String]
  }

  /// What is known of a model that was read.
  package struct Details: Codable, Sendable {
    package let width: Int
    package let height: Int
    package let sizeMultiple: Int
    package let steps: Int
    package let guidance: String
    package let guidanceScale: Float
    package let canEdit: Bool
    /// The most images that it reads as references; nil from a host that does not say.
    package var references: Int?
    /// The adapters of the model; nil from a worker of an older version.
    package var adapters: [Adapter]?
    /// How many times larger its images are meant to be shown, by an upscaler of its own.
    package var upscale: Int?
  }

  /// The name that requests say.
  package let name: String
  /// How far it is: unloaded, loading, ready or failed.
  package let state: String
  /// What is known of it; nil until it is read.
  package let details: Details?
  package let memoryBytes: Int
  package var batches: [Batch]

  package init(
    name: String, state: String, details: Details?, memoryBytes: Int, batches: [Batch]
  ) {
    (self.name, self.state, self.details) = (name, state, details)
    (self.memoryBytes, self.batches) = (memoryBytes, batches)
  }

  /// The size of its images where a request says none.
  func defaultSize(within limits: ServerLimits) -> PixelSize? {
    details.map {
      limits.defaultSize(native: PixelSize(width: $0.width, height: $0.height))
    }
  }
}

/// A worker elsewhere.
package struct ServiceWorker: Codable, Sendable {
  /// Its name among all workers.
  package let name: String
  /// What it computes with.
  package let device: String
  /// The models that it has.
  package let models: [String]
  /// The images that it makes just now.
  package let busy: Int
  /// The most that it makes at once.
  package let capacity: Int
  /// The images that it made.
  package let pictures: Int
  /// Mean seconds of an image from its start to its end; 0 before the first.
  package let imageSeconds: Double
  /// Images a second over the last minute.
  package let picturesPerSecond: Double
  /// The images that were handed to it after another worker had not finished them.
  package let redelivered: Int
  /// The images that another worker had finished first.
  package let superseded: Int
  /// Seconds since it was heard of last.
  package var ageSeconds: Double

  package init(
    name: String, device: String, models: [String], busy: Int, capacity: Int, pictures: Int,
    imageSeconds: Double, picturesPerSecond: Double, redelivered: Int, superseded: Int,
    ageSeconds: Double = 0
  ) {
    (self.name, self.device, self.models) = (name, device, models)
    (self.busy, self.capacity, self.pictures) = (busy, capacity, pictures)
    (self.imageSeconds, self.picturesPerSecond) = (imageSeconds, picturesPerSecond)
    (self.redelivered, self.superseded, self.ageSeconds) = (redelivered, superseded, ageSeconds)
  }
}

extension ServiceWorker {
  /// What metrics say of it.
  var gauges: [(label: String, value: Double)] {
    [
      ("streamflow_worker_rows_busy", Double(busy)),
      ("streamflow_worker_rows", Double(capacity)),
      ("streamflow_worker_pictures", Double(pictures)),
      ("streamflow_worker_image_seconds", imageSeconds),
      ("streamflow_worker_redelivered", Double(redelivered)),
      ("streamflow_worker_superseded", Double(superseded)),
      ("streamflow_worker_age_seconds", ageSeconds),
    ]
  }
}

/// The prompts that a model was trained on.
package struct ModelPrompts: Codable, Sendable {
  package struct Subject: Codable, Sendable {
    let name: String
    let otherNames: [String]
  }

  private(set) var object = "prompts"
  let model: String
  /// Whether other prompts are likely to give poor images; otherwise the lists are empty.
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
