#if canImport(Darwin)
  private import Darwin
#elseif canImport(Glibc)
  private import Glibc
#endif

/// Memory that was freed, and that the allocator keeps for what may come.
package enum FreedMemory {
  /// Gives it back to the system, as far as whole pages of it are free.
  ///
  /// The C library's allocator returns by itself only what lies at the end of its heap. Weights
  /// that an engine has brought into its own layout are hundreds of blocks of all sizes between
  /// those of other engines: without this, a process that makes and lets go of engines grows with
  /// the holes between them, although what it uses stays the same. To be called after engines were
  /// let go of. Allocators without such a function are left alone.
  package static func returnToSystem() {
    #if canImport(Darwin)
      _ = unsafe malloc_zone_pressure_relief(nil, 0)
    #elseif canImport(Glibc)
      // The module has no <malloc.h>; and where another allocator was put in its place, there may
      // be no such function.
      typealias Trim = @convention(c) (_ pad: Int) -> CInt
      guard let symbol = unsafe dlsym(nil, "malloc_trim") else { return }
      _ = unsafe unsafeBitCast(symbol, to: Trim.self)(0)
    #endif
  }
}
