import FlowTestSupport
import Foundation
import Testing

@testable import FlowNATS

/// The client against a real server.
@Suite(.tags(.process)) struct JetStreamTests {
  private let server: NATSServer

  init() throws { server = try NATSServer() }

  private func connect() async throws -> JetStream {
    JetStream(try await NATSConnection.connect(NATSOptions(url: server.url, name: "test")))
  }

  @Test("Streams refuse duplicates and what is too much, and hand out what is left")
  func queue() async throws {
    let stream = try await connect()
    var jobs = StreamConfiguration("JOBS", subjects: ["jobs.>"])
    jobs.retention = .workqueue
    jobs.discard = .new
    jobs.max_msgs = 2
    jobs.duplicate_window = Duration.seconds(60).nanoseconds
    try await stream.ensure(jobs)
    // A second gateway finds it.
    try await stream.ensure(jobs)
    try await stream.ensure(
      ConsumerConfiguration(
        "work", filter: "jobs.a.*", acknowledgementTime: .seconds(1), deliveryCount: 2,
        pendingCount: 10), of: "JOBS")
    func publish(_ number: Int) async throws -> JetStream.Stored {
      try await stream.publish(
        NATSMessage(
          "jobs.a.\(number)", headers: ["Nats-Msg-Id": "\(number)"], payload: [UInt8(number)]))
    }
    #expect(try await publish(1).duplicate != true)
    #expect(try await publish(1).duplicate == true)
    _ = try await publish(2)
    let full = await #expect(throws: NATSError.self) { try await publish(3) }
    #expect(full?.code == .full, "\(full?.message ?? "")")
    #expect(try await stream.info(of: "JOBS").state.messages == 2)

    let puller = try Puller(stream)
    if let first = try await puller.next(of: "work", in: "JOBS") {
      #expect(first.payload == [1] && first.count == 1 && first.pendingCount == 1)
      try await first.acknowledge()
    } else {
      Issue.record("no job")
    }
    if let second = try await puller.next(of: "work", in: "JOBS") {
      #expect(second.payload == [2])
      try await second.giveBack()
    }
    var isRefused = false
    while !isRefused {
      // What is given back is there again in a moment.
      guard let again = try await puller.next(of: "work", in: "JOBS") else { continue }
      #expect(again.payload == [2] && again.count == 2)
      try await again.refuse()
      isRefused = true
    }
    let isEmpty = try await puller.next(of: "work", in: "JOBS") == nil
    #expect(isEmpty)
    // What was refused for good has left the queue too.
    #expect(try await stream.info(of: "JOBS").state.messages == 0)
    let missing = await #expect(throws: NATSError.self) {
      _ = try await puller.next(of: "nobody", in: "JOBS") == nil
    }
    #expect(missing?.isOfConnection == true, "\(missing?.message ?? "")")
    stream.connection.close()
  }

  @Test("Files are whole, or an error says that they are not")
  func objects() async throws {
    let stream = try await connect()
    try await stream.ensure(
      ObjectStore.configuration(bucket: "images", byteCount: 4 << 20, lifetime: .seconds(600)))
    let store = ObjectStore(stream, bucket: "images")
    var generator = SystemRandomNumberGenerator()
    let large = (0..<300_000).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    try await store.put(large, as: "a large/one")
    #expect(try await store.get("a large/one") == large)
    try await store.put([], as: "empty")
    #expect(try await store.get("empty") == [])
    #expect(try await store.get("absent") == nil)
    // Another of the same name takes its place, and its chunks are gone.
    try await store.put(Array(large.prefix(200_000)), as: "a large/one")
    #expect(try await store.get("a large/one")?.count == 200_000)
    #expect(try await stream.subjects("$O.images.C.>", of: "OBJ_images").count == 1)

    // A chunk that is missing, then one of which a byte was changed.
    let chunk = try #require(try await stream.subjects("$O.images.C.>", of: "OBJ_images").first)
    let last = try #require(try await stream.last(chunk, of: "OBJ_images"))
    try await stream.remove(last.sequence, of: "OBJ_images")
    let short = await #expect(throws: NATSError.self) { try await store.get("a large/one") }
    #expect(short?.code == .damaged && short?.message.contains("not whole") == true)
    var changed = last.payload
    changed[100] ^= 1
    try await stream.publish(NATSMessage(chunk, payload: changed))
    let wrong = await #expect(throws: NATSError.self) { try await store.get("a large/one") }
    #expect(
      wrong?.code == .damaged && wrong?.message.contains("was changed") == true,
      "\(wrong?.message ?? "")")

    // A full bucket refuses, and keeps nothing of what it refused.
    try await store.remove("a large/one")
    #expect(try await stream.subjects("$O.images.C.>", of: "OBJ_images").isEmpty)
    let full = await #expect(throws: NATSError.self) {
      try await store.put([UInt8](repeating: 7, count: 5 << 20), as: "too much")
    }
    #expect(full?.code == .full, "\(full?.message ?? "")")
    #expect(try await store.get("too much") == nil)
    #expect(try await stream.subjects("$O.images.C.>", of: "OBJ_images").isEmpty)
    stream.connection.close()
  }

  @Test("Values are read, listed and removed by their keys")
  func values() async throws {
    let stream = try await connect()
    try await stream.ensure(KeyValueStore.configuration(bucket: "W", lifetime: .seconds(600)))
    let store = KeyValueStore(stream, bucket: "W")
    try await store.put([1], for: "a")
    try await store.put([2], for: "b")
    try await store.put([3], for: "a")
    #expect(try await store.value("a") == [3])
    #expect(try await store.keys() == ["a", "b"])
    try await store.remove("a")
    #expect(try await store.value("a") == nil)
    #expect(try await store.value("b") == [2])
    #expect(store.key(of: "$KV.W.b") == "b")
    stream.connection.close()
  }

  @Test("A server that was killed is found again, with what it stored")
  func restart() async throws {
    let stream = try await connect()
    try await stream.ensure(StreamConfiguration("S", subjects: ["s.>"]))
    try await stream.publish(NATSMessage("s.1", payload: [1]))
    let events = stream.connection.events
    server.kill()
    let away = await #expect(throws: NATSError.self) {
      _ = try await stream.connection.request(
        NATSMessage("$JS.API.INFO"), timeout: .milliseconds(200))
    }
    #expect(away?.code == .timeout)
    try server.start()
    for await event in events where event == .reconnected { break }
    #expect(try await stream.last("s.1", of: "S")?.payload == [1])
    stream.connection.close()
  }

  @Test("Nobody to answer, no server, and a closed connection are distinguished")
  func failures() async throws {
    let stream = try await connect()
    let nobody = await #expect(throws: NATSError.self) {
      _ = try await stream.connection.request(NATSMessage("nobody"))
    }
    #expect(nobody?.code == .noResponders)
    let task = Task { try await stream.connection.request(NATSMessage("nobody.else")) }
    task.cancel()
    _ = await task.result
    stream.connection.close()
    await #expect(throws: NATSError.self) {
      _ = try await stream.connection.request(NATSMessage("nobody"))
    }
    let url = server.url
    server.kill()
    let gone = await #expect(throws: NATSError.self) {
      _ = try await NATSConnection.connect(NATSOptions(url: url, name: "test"))
    }
    #expect(gone?.code == .unreachable)
    #expect(gone?.message.contains("nats-server --jetstream") == true, "\(gone?.message ?? "")")
  }

  @Test("The shim's declarations are those of the library's own header")
  func declarations() throws {
    let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [
      "clang", "-std=c11", "-Wall", "-Werror", "-fsyntax-only",
      "-I\(package)/Sources/CNATS/include",
      "\(package)/Tests/FlowNATSTests/Fixtures/declarations.c",
    ]
    let pipe = Pipe()
    process.standardError = pipe
    try process.run()
    let words = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(String(decoding: words, as: UTF8.self))")
  }
}

/// Who is let in.
@Suite(.tags(.process)) struct AuthorizationTests {
  private static let seed = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y"
  private static let key = "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK"

  @Test("A key lets its user in, within what the user may do")
  func key() async throws {
    let server = try NATSServer(
      """
      accounts { FLEET { jetstream: enabled, users: [ { nkey: \(Self.key), permissions {
        publish: ["$JS.API.INFO", "allowed"], subscribe: ["_INBOX_test.>"] } } ] } }
      """)
    defer { server.kill() }
    let folder = try TemporaryFolder()
    let file = try folder.write(Array(Self.seed.utf8), as: "user.nk")
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file)
    var options = NATSOptions(url: server.url, name: "test")
    options.timeout = .seconds(2)
    let stranger = await #expect(throws: NATSError.self) {
      _ = try await NATSConnection.connect(options)
    }
    #expect(stranger?.code == .notAuthorized, "\(stranger?.message ?? "")")
    #expect(stranger?.message.contains("name the file of an nkey seed") == true)
    options.seedFile = file
    options.inboxPrefix = "_INBOX_test"
    let connection = try await NATSConnection.connect(options)
    #expect(try await !connection.request(NATSMessage("$JS.API.INFO")).payload.isEmpty)
    // A forbidden message is dropped, and the refusal is reported asynchronously.
    try await connection.publish(NATSMessage("forbidden"))
    var refusal: String?
    for await case .refused(let words) in connection.events {
      refusal = words
      break
    }
    #expect(refusal?.lowercased().contains("permissions violation") == true, "\(refusal ?? "")")
    connection.close()
  }

  @Test("TLS takes certificates of the named authority alone")
  func encryption() async throws {
    let folder = try TemporaryFolder()
    func openssl(_ arguments: String) throws {
      let process = Process()
      process.executableURL = URL(filePath: "/usr/bin/env")
      process.arguments = ["openssl"] + arguments.split(separator: " ").map(String.init)
      process.currentDirectoryURL = URL(filePath: folder.path)
      process.standardError = FileHandle.nullDevice
      process.standardOutput = FileHandle.nullDevice
      try process.run()
      process.waitUntilExit()
      try #require(process.terminationStatus == 0, "\(arguments)")
    }
    for name in ["ca", "other"] {
      try openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout \(name).key -out \(name).pem -subj /CN=\(name)"
      )
    }
    try openssl(
      "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout server.key -out server.csr -subj /CN=localhost"
    )
    _ = try folder.write(Array("subjectAltName=DNS:localhost".utf8), as: "names")
    try openssl(
      "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out server.pem -extfile names"
    )
    let server = try NATSServer(
      "tls { cert_file: \"\(folder.path)/server.pem\", key_file: \"\(folder.path)/server.key\" }")
    defer { server.kill() }
    func connect(_ scheme: String, _ authority: String?) async throws {
      var options = NATSOptions(url: "\(scheme)://localhost:\(server.port)", name: "test")
      options.authorityFile = authority.map { "\(folder.path)/\($0).pem" }
      try await NATSConnection.connect(options).close()
    }
    try await connect("tls", "ca")
    for (scheme, authority) in [("tls", "other"), ("nats", nil), ("tls", nil)] {
      let error = await #expect(throws: NATSError.self) { try await connect(scheme, authority) }
      #expect(error?.code == .unreachable, "\(scheme) \(authority ?? "") \(error?.message ?? "")")
    }
    let absent = await #expect(throws: NATSError.self) { try await connect("tls", "absent") }
    #expect(absent?.code == .settingInvalid, "\(absent?.message ?? "")")
  }
}
