internal import FlowModels
internal import Synchronization

/// What the text encoders of several devices have made of prompts, so that each prompt is encoded
/// once, by whichever device comes to it first.
///
/// A device claims the prompts that it is about to encode; others leave the images that need them
/// until they are there.
final class SharedTexts: Sendable {
  /// A prompt and how it is read.
  struct Key: Hashable, Sendable {
    let prompt: String
    let syntax: PromptSyntax
    /// How many of the text encoders' last layers are skipped.
    let skippedLayers: Int
  }

  private struct State {
    var known = ByteBoundedCache<Key, TextStates>(capacity: 128 << 20)
    /// The prompts that are being encoded, and by whom.
    var claims: [Key: ObjectIdentifier] = [:]
    var waiters: [CheckedContinuation<Void, Never>] = []
    var encodedCount = 0
  }

  private let state = Mutex(State())

  /// How many prompts were encoded.
  var encodedCount: Int { state.withLock { $0.encodedCount } }

  /// What was made of a prompt, if it is there.
  func states(of key: Key) -> TextStates? { state.withLock { $0.known[key] } }

  /// Claims those of some prompts that nobody has encoded.
  ///
  /// - Returns: false, with nothing claimed, where another encodes one of them.
  func claim(_ keys: [Key], by owner: ObjectIdentifier) -> Bool {
    state.withLock { state in
      let missing = keys.filter { state.known[$0] == nil }
      guard missing.allSatisfy({ state.claims[$0] ?? owner == owner }) else { return false }
      for key in missing { state.claims[key] = owner }
      return true
    }
  }

  /// Shares what was made of a prompt.
  func add(_ states: TextStates, for key: Key) {
    state.withLock { state in
      guard state.known[key] == nil else { return }
      state.known.insert(states, for: key, byteCount: 4 * states.hidden.count)
      state.encodedCount += 1
    }
  }

  /// Gives up all claims of an owner, whether it has encoded or not; those who wait look again.
  func releaseClaims(of owner: ObjectIdentifier) {
    let waiters = state.withLock { state in
      guard !state.claims.isEmpty else { return [CheckedContinuation<Void, Never>]() }
      state.claims = state.claims.filter { $0.value != owner }
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  /// Waits until nobody else encodes any of some prompts.
  func wait(for keys: [Key], besides owner: ObjectIdentifier) async {
    while !isFree(keys, besides: owner) {
      await withCheckedContinuation { continuation in
        let isLate = state.withLock { state in
          guard keys.contains(where: { state.claims[$0] ?? owner != owner }) else { return true }
          state.waiters.append(continuation)
          return false
        }
        if isLate { continuation.resume() }
      }
    }
  }

  private func isFree(_ keys: [Key], besides owner: ObjectIdentifier) -> Bool {
    state.withLock { state in keys.allSatisfy { state.claims[$0] ?? owner == owner } }
  }
}
