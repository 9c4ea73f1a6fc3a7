import FlowTestSupport
import Foundation
import Testing

@testable import FlowNATS

/// The seeds of nkey users; the expected keys are those of the official Python package nkeys.
@Suite struct KeySeedTests {
  private static let seed = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"

  @Test(
    "A seed gives the public key",
    arguments: [
      (seed, "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"),
      (
        "SUAP77X57T57V6PY673PL5HT6LY7B37O5XWOX2XJ5DT6NZPE4PRODYCLOI",
        "UC5PY4N6VU5MLZFWH2OIEFXOOGRUVLWGK4RO5W6KOKFU5GZ4ZTRZND3N"
      ),
    ])
  func keys(seed: String, key: String) throws {
    #expect(try NKeySeed.publicKey(ofSeed: seed) == key)
  }

  @Test("What is no user's seed is refused")
  func refusals() throws {
    let account = "SAAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYMHI"
    var others = ["", "S", account, Self.seed.lowercased(), Self.seed + "A"]
    others.append(String(Self.seed.dropLast()))
    // Every changed letter is noticed.
    for index in Self.seed.indices {
      var text = Self.seed
      text.replaceSubrange(index...index, with: Self.seed[index] == "A" ? "B" : "A")
      others.append(text)
    }
    for text in others { #expect(try NKeySeed.publicKey(ofSeed: text) == nil, "\(text)") }
  }

  @Test("The file of a seed must be its owner's alone")
  func files() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Array("# a user\n\(Self.seed)\n".utf8), as: "user.nk")
    func mode(_ mode: Int) throws {
      try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }
    try mode(0o600)
    #expect(try NKeySeed(file: path).publicKey.hasPrefix("UAB2CB5"))
    for shared in [0o640, 0o604, 0o644, 0o660] {
      try mode(shared)
      let error = try #require(throws: NATSError.self) { try NKeySeed(file: path) }
      #expect(error.code == .settingInvalid && error.message.contains("chmod 600"), "\(error)")
    }
    // A link is as open as what it leads to.
    let link = "\(folder.path)/link.nk"
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
    #expect(throws: NATSError.self) { try NKeySeed(file: link) }
    let empty = try folder.write([], as: "empty.nk")
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: empty)
    let nothing = try #require(throws: NATSError.self) { try NKeySeed(file: empty) }
    #expect(nothing.message.contains("holds no seed"))
    #expect(throws: NATSError.self) { try NKeySeed(file: "\(folder.path)/absent.nk") }
  }
}

/// The client library.
@Suite struct NATSLibraryTests {
  @Test("An absent library is an error with the remedy")
  func missing() throws {
    let error = try #require(throws: NATSError.self) {
      try NATSLibrary(candidates: ["/nothing/libnats.so"])
    }
    #expect(error.code == .libraryMissing)
    for word in ["apt-get install libnats-dev", "Scripts/setup.sh --nats", "STREAMFLOW_NATS"] {
      #expect(error.message.contains(word), "\(error)")
    }
    #expect(NATSLibrary.candidates(environment: ["STREAMFLOW_NATS": "/a.so"]) == ["/a.so"])
    #expect(NATSLibrary.candidates(environment: [:]).count > 1)
  }

  @Test("Another library is distinguished from NATS's")
  func other() throws {
    #if os(Linux)
      let error = try #require(throws: NATSError.self) {
        try NATSLibrary(candidates: ["libc.so.6"])
      }
      #expect(error.message.contains("it is no NATS client library"), "\(error)")
    #endif
  }
}
