internal import FlowCore
internal import FlowModels

/// The conditionings of one image.
struct RequestConditioning {
  let prompted: Conditioning
  let unprompted: Conditioning?
  /// The conditioning of the prompt that describes the input image, for edits that read it.
  let source: Conditioning?
  /// The conditioning of the prompt for the network without some of its layers, for requests with
  /// skip-layer guidance.
  var skipping: Conditioning?
  /// The number of chunks that all of them can share.
  let chunkCount: Int
}

extension Conditioner {
  /// Encodes the conditionings that a request's guidance reads.
  func conditioning(of request: GenerationRequest) throws -> RequestConditioning {
    let prompted = try prompted(request)
    let unprompted =
      try request.readsUnconditional(readsScale: readsGuidanceScale) ? unprompted(request) : nil
    var source: Conditioning?
    if let editing = request.editing, editing.method.readsSourcePrompt {
      source = try sourcePrompted(request, editing)
    }
    var chunkCount = prompted.chunkCount
    for other in [unprompted, source].compactMap({ $0 }) {
      chunkCount = try layout.length(chunkCount, other.chunkCount)
    }
    return RequestConditioning(
      prompted: prompted, unprompted: unprompted, source: source, chunkCount: chunkCount)
  }

  /// The number of chunks of a tick that admits the first requests, up to a number of rows.
  func chunkCount(
    ofFirst rowCount: Int, of requests: some Sequence<GenerationRequest>
  ) throws -> Int {
    // Of lanes, the first one counts.
    let requests = layout == .joint ? Array(requests.prefix(1)) : Array(requests)
    var chunks = 1
    var rows = 0
    for request in requests {
      let isAlone = rows == 0
      rows += request.guidance.rowsPerStep
      guard rows <= rowCount,
        let joined = try layout.joined(
          chunks, by: conditioning(of: request).chunkCount, isAlone: isAlone)
      else { break }
      chunks = joined
    }
    return chunks
  }
}
