import Foundation
import Testing

@testable import FlowServer

@Suite final class ResultStoreTests {
  private let parent = NSTemporaryDirectory() + "/ResultStoreTests-\(UUID().uuidString)"
  private let start = ContinuousClock.now

  deinit { try? FileManager.default.removeItem(atPath: parent) }

  private func store(byteCount: Int = 1000, lifetime: Duration = .seconds(60)) throws -> ResultStore
  {
    try ResultStore(folder: parent, maximumByteCount: byteCount, lifetime: lifetime)
  }

  private func names(in folder: String?) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: #require(folder)).sorted()
  }

  private func mode(_ path: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return try #require((attributes[.posixPermissions] as? NSNumber)?.intValue)
  }

  @Test("An image comes back as it was, from a folder that is nobody else's")
  func keeping() async throws {
    let store = try store()
    let folder = try #require(await store.path)
    let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0) }
    let png = try await store.keep(bytes, format: .png)
    let jpeg = try await store.keep([], format: .jpeg)
    #expect(png.description.hasSuffix(".png") && jpeg.description.hasSuffix(".jpg"))
    #expect(png.mediaType == "image/png" && jpeg.mediaType == "image/jpeg")
    // Larger than all there may be, it made no room for itself by its own going.
    #expect(try await store.bytes(of: jpeg) == [])
    #expect(try names(in: folder) == [jpeg.description])
    let again = try await store.keep(Array(bytes.prefix(900)), format: .png)
    #expect(try await store.bytes(of: again) == Array(bytes.prefix(900)))
    #expect(try mode(folder) == 0o700)
    #expect(try mode("\(folder)/\(again)") == 0o600)
    #expect(
      folder.dropFirst(parent.count + 1).wholeMatch(of: /streamflow-results-\d+-[0-9a-f]{16}/)
        != nil)
    await store.close()
    #expect(try names(in: parent) == [])
    #expect(try await store.bytes(of: again) == nil)
    await #expect(throws: ResultStoreError.self) { try await store.keep([1], format: .png) }
  }

  @Test("The oldest go first where there is no room, and never the newest")
  func room() async throws {
    let store = try store(byteCount: 1000)
    var kept: [ResultName] = []
    for size in [400, 400, 200] {
      kept.append(try await store.keep(Array(repeating: 1, count: size), format: .png))
    }
    #expect(await store.byteCount == 1000)
    kept.append(try await store.keep(Array(repeating: 1, count: 500), format: .png))
    #expect(await store.byteCount == 700)
    for (name, isThere) in zip(kept, [false, false, true, true]) {
      #expect(try await (store.bytes(of: name) != nil) == isThere)
    }
    let large = try await store.keep(Array(repeating: 2, count: 5000), format: .png)
    #expect(try await store.bytes(of: large)?.count == 5000)
    #expect(await store.count == 1)
    #expect(try names(in: await store.path) == [large.description])
    _ = try await store.keep([1], format: .png)
    #expect(await store.byteCount == 1)
  }

  @Test("An image is gone after its time, from the disk too")
  func expiry() async throws {
    let store = try store(lifetime: .seconds(10))
    let first = try await store.keep([1], format: .png, now: start)
    let second = try await store.keep([2], format: .png, now: start + .seconds(5))
    #expect(try await store.bytes(of: first, now: start + .seconds(9.9)) == [1])
    #expect(try await store.bytes(of: first, now: start + .seconds(10)) == nil)
    #expect(try await store.bytes(of: second, now: start + .seconds(10)) == [2])
    #expect(try names(in: await store.path) == [second.description])
    await store.expire(now: start + .seconds(15))
    #expect(try names(in: await store.path) == [])
    #expect(await store.byteCount == 0)
  }

  @Test("Images that are removed make room, once")
  func removal() async throws {
    let store = try store()
    let names = [
      try await store.keep([1], format: .png), try await store.keep([2, 3], format: .jpeg),
    ]
    await store.remove([names[0], names[0]])
    #expect(await store.byteCount == 2)
    #expect(try await store.bytes(of: names[0]) == nil)
    #expect(try await store.bytes(of: names[1]) == [2, 3])
    // Somebody else's cleaning up is no failure.
    let folder = try #require(await store.path)
    try FileManager.default.removeItem(atPath: "\(folder)/\(names[1])")
    #expect(try await store.bytes(of: names[1]) == nil)
    #expect(await store.byteCount == 0)
    await store.remove(names)
  }

  @Test(
    "A request path that is not a name has no result",
    arguments: [
      "", ".png", "../../etc/passwd", "0123456789abcdef0123456789abcdef",
      "0123456789abcdef0123456789abcdef.gif", "0123456789abcdef0123456789abcdef.png/",
      "0123456789abcdef0123456789abcdef.PNG", "0123456789ABCDEF0123456789abcdef.png",
      "0123456789abcdef0123456789abcde.png", "0123456789abcdef0123456789abcdef0.png",
      "0123456789abcdef0123456789abcdeg.png", "0123456789abcdef0123456789abcdef.jpeg",
      "0123456789abcdef0123456789abcdef..png", "0123456789abcdef0123456789abcdef.png\0",
      "\u{FF10}123456789abcdef0123456789abcdef.png", "0123456789abcdef0123456789abcdef/png",
      "0123456789abcdef0123456789abcdef.\u{301}png", "../456789abcdef0123456789abcdef.png",
    ])
  func names(text: String) { #expect(ResultName(text) == nil) }

  @Test("A name is read as it is written, and is random")
  func randomNames() throws {
    var generator = SystemRandomNumberGenerator()
    var seen: Set<ResultName> = []
    for number in 0..<1000 {
      let name = ResultName(number % 2 == 0 ? .png : .jpeg, using: &generator)
      #expect(ResultName(name.description) == name)
      seen.insert(name)
    }
    #expect(seen.count == 1000)
  }

  @Test("Folders of stores that live stay, those of the dead go, and others are no concern")
  func neighbors() async throws {
    let files = FileManager.default
    let dead = "streamflow-results-4194303-0123456789abcdef"
    let others = ["streamflow-results-mine", "streamflow-results-1-0123456789abcdeg", "photos"]
    for name in [dead] + others {
      try files.createDirectory(atPath: "\(parent)/\(name)", withIntermediateDirectories: true)
      try Data([1]).write(to: URL(fileURLWithPath: "\(parent)/\(name)/a.png"))
    }
    let linked = "\(parent)/streamflow-results-2-0123456789abcdef"
    try files.createSymbolicLink(atPath: linked, withDestinationPath: "\(parent)/photos")
    let first = try store()
    let name = try await first.keep([1], format: .png)
    let second = try store()
    #expect(try await first.bytes(of: name) == [1])
    #expect(await first.path != second.path)
    let left = try names(in: parent)
    #expect(!left.contains(dead))
    #expect(others.allSatisfy(left.contains))
    #expect(try names(in: "\(parent)/photos") == ["a.png"])
    await second.close()
    await second.close()
    #expect(try await first.bytes(of: name) == [1])
    await first.close()
  }

  @Test("A store without references takes its folder along")
  func scope() async throws {
    do { _ = try await store().keep([1], format: .png) }
    #expect(try names(in: parent) == [])
  }

  @Test("A full disk is reported, and leaves nothing half written")
  func fullDisk() throws {
    let folder = try ResultFolder(in: parent)
    let error = #expect(throws: ResultStoreError.self) {
      try folder.write([1, 2, 3], to: "a.png") { file, bytes in
        _ = FolderFiles.put(file, [bytes[0]])
        errno = ENOSPC
        return false
      }
    }
    #expect(error?.code == .diskFull)
    #expect(
      error?.message
        == "cannot write 3 bytes to '\(folder.path)': No space left on device; free some space, or "
        + "shorten the retention of images")
    #expect(try names(in: folder.path) == [])
    try folder.write([1, 2, 3], to: "a.png")
    #expect(try folder.read("a.png") == [1, 2, 3])
  }

  @Test("A folder that cannot be made, or is gone, is reported")
  func unusable() async throws {
    try FileManager.default.createDirectory(atPath: parent, withIntermediateDirectories: true)
    try Data().write(to: URL(fileURLWithPath: "\(parent)/file"))
    #expect(throws: ResultStoreError.self) {
      _ = try ResultFolder(in: "\(parent)/file")
    }
    let store = try store()
    let folder = try #require(await store.path)
    try FileManager.default.removeItem(atPath: folder)
    do {
      _ = try await store.keep([1], format: .png)
      Issue.record("kept in a folder that is gone")
    } catch {
      #expect("\(error)" == "cannot write to '\(folder)': No such file or directory")
    }
    #expect(await store.byteCount == 0)
  }
}
