import Foundation

/// A terminal for a process under test.
final class PseudoTerminal {
  /// The side that a test reads from.
  let master: Int32
  /// The path of the side that a process writes to.
  let path: String

  private struct Unavailable: Error {}

  /// Opens a terminal.
  ///
  /// - Parameter columns: its width.
  init(columns: UInt16 = 80) throws {
    #if os(Linux)
      master = unsafe open("/dev/ptmx", O_RDWR | O_NOCTTY)
      // TIOCSPTLCK and TIOCGPTN, which the headers hide: unlock, and the number of the other side.
      var (lock, number) = (Int32(0), UInt32(0))
      guard master >= 0, unsafe ioctl(master, 0x4004_5431, &lock) == 0,
        unsafe ioctl(master, 0x8004_5430, &number) == 0
      else { throw Unavailable() }
      path = "/dev/pts/\(number)"
    #else
      master = posix_openpt(O_RDWR | O_NOCTTY)
      guard master >= 0, grantpt(master) == 0, unlockpt(master) == 0,
        let name = unsafe ptsname(master)
      else { throw Unavailable() }
      path = unsafe String(cString: name)
    #endif
    var size = winsize(ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    guard unsafe ioctl(master, UInt(TIOCSWINSZ), &size) == 0 else { throw Unavailable() }
  }

  /// A handle for a process to write to.
  func handle() throws -> FileHandle {
    guard let handle = FileHandle(forUpdatingAtPath: path) else { throw Unavailable() }
    return handle
  }

  /// What processes write until the last of them has closed the terminal.
  func readAll() -> String {
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = unsafe read(master, &part, part.count)
      guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
      bytes += part[..<count]
    }
  }

  deinit { close(master) }
}
