internal import Foundation

/// The result of one check.
struct DoctorCheck: Encodable, Equatable {
  /// The state of a check, in order of gravity.
  enum State: String, Encodable {
    /// It works.
    case ok
    /// It is missing, and only some features need it.
    case missing
    /// It works with a drawback.
    case warning
    /// Images cannot be generated with the defaults.
    case failed
  }

  /// A short name, such as `openvino`.
  let name: String
  let state: State
  /// What was found, or what is wrong.
  let finding: String
  /// How to fix it; nil if it works.
  let remedy: String?

  /// A check that passed.
  static func ok(_ name: String, _ finding: String) -> DoctorCheck {
    DoctorCheck(name: name, state: .ok, finding: finding, remedy: nil)
  }

  /// A check that did not pass.
  ///
  /// - Parameters:
  ///   - name: its name.
  ///   - state: its state.
  ///   - message: what is wrong; errors of this package state the remedy after the first semicolon.
  ///   - remedy: the remedy, if the message states none.
  static func problem(
    _ name: String, _ state: State, _ message: String, remedy: String
  ) -> DoctorCheck {
    let parts = message.split(separator: "; ", maxSplits: 1).map(String.init)
    return DoctorCheck(
      name: name, state: state, finding: parts.first ?? message,
      remedy: parts.count == 2 ? parts[1] : remedy)
  }

  /// Its lines on a terminal.
  func lines(nameWidth: Int) -> [String] {
    let state = state.rawValue.padding(toLength: 8, withPad: " ", startingAt: 0)
    let name = name.padding(toLength: nameWidth, withPad: " ", startingAt: 0)
    let indent = String(repeating: " ", count: 10 + nameWidth)
    return ["\(state) \(name) \(finding)"] + (remedy.map { ["\(indent)-> \($0)"] } ?? [])
  }
}
