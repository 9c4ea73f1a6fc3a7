#if !canImport(CryptoKit)
  internal import CLibCrypto

  /// OpenSSL's libcrypto in this process: found and loaded once.
  @safe
  struct DigestLibrary: Sendable {
    // Written once, before this value is shared.
    let functions: libcrypto_functions

    /// The library, loaded at the first use.
    private static let loaded = Result { () throws(DigestError) -> DigestLibrary in
      try DigestLibrary(candidates: ["libcrypto.so.3", "libcrypto.so.1.1"])
    }

    /// The library.
    ///
    /// - Throws: `DigestError`, with the names that were tried.
    static func shared() throws(DigestError) -> DigestLibrary { try loaded.get() }

    /// Loads the first of some libraries that can be loaded.
    init(candidates: [String]) throws(DigestError) {
      var problems: [String] = []
      let found = unsafe withUnsafeTemporaryAllocation(of: libcrypto_functions.self, capacity: 1) {
        table -> libcrypto_functions? in
        guard let base = table.baseAddress else { return nil }
        for candidate in candidates {
          var text: UnsafePointer<CChar>?
          if unsafe libcrypto_load(candidate, base, &text) == 1 { return unsafe base.pointee }
          problems.append(unsafe text.map { unsafe String(cString: $0) } ?? "")
        }
        return nil
      }
      guard let found else {
        throw DigestError(
          description: "OpenSSL's libcrypto was not found, which computes the hashes of files; "
            + "install it with `apt-get install libssl3` (\(problems.joined(separator: "; ")))")
      }
      functions = found
    }
  }

  /// A digest in libcrypto.
  @safe
  final class DigestContext: Sendable {
    private let library: DigestLibrary
    // Changed only by its one owner: `MessageDigest` copies it before a change where it is shared.
    private nonisolated(unsafe) let context: OpaquePointer

    init(_ function: MessageDigest.Function) throws(DigestError) {
      library = try DigestLibrary.shared()
      let functions = library.functions
      let kind = unsafe function == .sha256 ? functions.EVP_sha256() : functions.EVP_sha1()
      guard let context = unsafe functions.EVP_MD_CTX_new() else {
        throw DigestError(description: "libcrypto is out of memory")
      }
      unsafe self.context = context
      guard unsafe functions.EVP_DigestInit_ex(context, kind, nil) == 1 else {
        throw DigestError(description: "libcrypto does not allow \(function) on this system")
      }
    }

    private init(_ library: DigestLibrary, _ context: OpaquePointer) {
      self.library = library
      unsafe self.context = context
    }

    deinit { unsafe library.functions.EVP_MD_CTX_free(context) }

    func copy() -> DigestContext {
      guard let copy = unsafe library.functions.EVP_MD_CTX_new(),
        unsafe library.functions.EVP_MD_CTX_copy_ex(copy, context) == 1
      else {
        // Only a failed allocation of some hundred bytes leads here, which ends Swift's own code too.
        fatalError("libcrypto is out of memory")
      }
      return unsafe DigestContext(library, copy)
    }

    func update(_ bytes: UnsafeRawBufferPointer) {
      guard let base = bytes.baseAddress else { return }
      let status = unsafe library.functions.EVP_DigestUpdate(context, base, bytes.count)
      precondition(status == 1, "libcrypto refuses to add to a digest")
    }

    /// Ends the digest.
    func finish() -> [UInt8] {
      unsafe [UInt8](unsafeUninitializedCapacity: Int(CLIBCRYPTO_DIGEST_SIZE_LIMIT)) {
        bytes, size in
        var count: UInt32 = 0
        guard let base = bytes.baseAddress,
          unsafe library.functions.EVP_DigestFinal_ex(context, base, &count) == 1
        else {
          // A digest that was started can end: every caller ends a context once, and a copy of it.
          fatalError("libcrypto refuses to end a digest")
        }
        size = Int(count)
      }
    }
  }
#endif
