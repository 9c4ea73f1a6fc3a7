internal import FlowCore

/// What steers one picture.
struct RequestConditioning {
  let prompted: Conditioning
  let unprompted: Conditioning?

  /// The number of chunks to which both can be repeated.
  var chunkCount: Int {
    ChunkCount.common(prompted.chunkCount, unprompted?.chunkCount ?? 1)
  }
}

extension Conditioner {
  /// Encodes what a request's guidance needs.
  func conditioning(of request: GenerationRequest) throws -> RequestConditioning {
    RequestConditioning(
      prompted: try prompted(request),
      unprompted: try request.guidance.readsUnprompted ? unprompted(request) : nil)
  }

  /// The number of chunks of a tick that admits the first of some requests, up to so many rows.
  func chunkCount(
    ofFirst rowCount: Int, of requests: some Sequence<GenerationRequest>
  ) throws -> Int {
    var chunks = 1
    var rows = 0
    for request in requests {
      let isAlone = rows == 0
      rows += request.guidance.rowsPerStep
      guard rows <= rowCount,
        let joined = try ChunkCount.joined(
          chunks, by: conditioning(of: request).chunkCount, isAlone: isAlone)
      else { break }
      chunks = joined
    }
    return chunks
  }
}
