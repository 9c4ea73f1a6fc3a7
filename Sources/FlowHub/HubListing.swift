internal import FlowModels
internal import Foundation
internal import StreamFlow
internal import Synchronization

/// A file of a repository, as the hub describes it.
struct HubFile: Equatable, Sendable {
  /// Its path in the repository.
  let path: String
  /// Its length in bytes.
  let byteCount: Int
  /// Expected hash of its contents.
  let digest: BlobDigest
}

/// The files of a revision.
struct HubListing: Sendable {
  /// The commit of the revision.
  let commit: String
  /// The paths of all files.
  let paths: [String]
  private let known: [String: HubFile]

  /// The description of a file if the list contains it; otherwise the hub must be asked.
  func file(_ path: String) -> HubFile? { known[path] }

  private struct Answer: Decodable {
    struct Sibling: Decodable {
      struct LargeFile: Decodable {
        let sha256: String?
        let size: Int?
      }
      let rfilename: String
      let size: Int?
      let blobId: String?
      let lfs: LargeFile?
    }
    let sha: String
    let siblings: [Sibling]
  }

  /// Parses the hub's response, none of which is trusted.
  init(json: Data, model: HubModelName) throws(HubError) {
    let answer: Answer
    do { answer = try JSONDecoder().decode(Answer.self, from: json) } catch {
      throw HubError(
        .answerInvalid,
        "the hub's file list of '\(model)' is invalid (expected JSON with 'sha' and 'siblings'); "
          + "check HF_ENDPOINT")
    }
    guard HubCache.isCommit(answer.sha) else {
      throw HubError(
        .answerInvalid,
        "the hub names '\(answer.sha)' as a commit of '\(model)', which is not a commit hash")
    }
    commit = answer.sha
    var known: [String: HubFile] = [:]
    for sibling in answer.siblings {
      let path = sibling.rfilename
      guard Self.isSafe(path) else {
        throw HubError(
          .answerInvalid,
          "the hub lists a file \(path.debugDescription) of '\(model)', which leads out of its "
            + "folder or is not a path; nothing was downloaded")
      }
      let digest = sibling.lfs == nil ? sibling.blobId : sibling.lfs?.sha256
      if let size = sibling.lfs?.size ?? sibling.size, size >= 0, let digest = BlobDigest(digest) {
        known[path] = HubFile(path: path, byteCount: size, digest: digest)
      }
    }
    self.known = known
    paths = Set(answer.siblings.map(\.rfilename)).sorted()
  }

  /// Whether a path stays in its folder and is printable: components separated by `/`, none of them
  /// `.`, `..` or empty, without terminal control or text direction characters.
  static func isSafe(_ path: String) -> Bool {
    path.utf8.count <= 1024
      && path.unicodeScalars.allSatisfy {
        !$0.isUnsafeToPrint && $0 != "\t" && $0 != "\n" && $0 != "\\"
      }
      && path.split(separator: "/", omittingEmptySubsequences: false)
        .allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." && $0.utf8.count <= 255 }
  }
}

/// Collects a small body.
final class BodyReceiver: ResponseReceiver {
  private let data = Mutex(Data())
  private let limit: Int

  /// Creates a receiver that rejects a body longer than the limit.
  init(limit: Int) { self.limit = limit }

  var body: Data { data.withLock { $0 } }

  func receive(head: ResponseHead) {}

  func receive(body: Data) throws {
    let count = data.withLock { data in
      data.append(body)
      return data.count
    }
    guard count <= limit else {
      throw HubError(.answerInvalid, "the hub's answer is longer than \(limit) bytes; refused")
    }
  }
}

extension HubClient {
  /// Requests the file list of the revision.
  func listing() async throws -> HubListing {
    let receiver = BodyReceiver(limit: 64 << 20)
    let head = try await send(to: listingAddress, receiver: receiver)
    guard head.status == 200 else { throw failure(head, of: nil) }
    return try HubListing(json: receiver.body, model: model)
  }

  /// Requests the description of one file that the list does not contain.
  func description(of path: String, at commit: String) async throws -> HubFile {
    var found: HubFile?
    let head = try await send(
      "HEAD", to: address(of: path, at: commit), receiver: BodyReceiver(limit: 0)
    ) { head in
      let size = head["X-Linked-Size"] ?? (head.isSuccess ? head["Content-Length"] : nil)
      let digest = head["X-Linked-Etag"] ?? (head.isSuccess ? head["ETag"] : nil)
      if let size = size.flatMap(Int.init), size >= 0, let digest = BlobDigest(digest) {
        found = HubFile(path: path, byteCount: size, digest: digest)
      }
      return found != nil
    }
    if let found { return found }
    guard head.isSuccess else { throw failure(head, of: path) }
    throw HubError(
      .answerInvalid,
      "\(access.endpoint) gives no length and hash of '\(path)', so it could not be checked; "
        + "unset HF_ENDPOINT, or name a hub that does")
  }
}
