// The standard library's `Array.span` and `Array.mutableSpan` are available from macOS 26; these are for all systems
// that this package supports, and hide them in files that import this module. Elements of simple types only: such
// an array is never a bridged `NSArray`, so that its elements are contiguous and stay where they are.

extension Array where Element: BitwiseCopyable {
  /// The elements, without a copy.
  @inlinable
  package var span: Span<Element> {
    @_lifetime(borrow self)
    get {
      let buffer = unsafe withUnsafeBufferPointer { buffer in unsafe buffer }
      let span = unsafe Span(_unsafeElements: buffer)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  /// The elements, for writing, without a copy where this array is their only owner.
  @inlinable
  package var mutableSpan: MutableSpan<Element> {
    @_lifetime(&self)
    mutating get {
      let buffer = unsafe withUnsafeMutableBufferPointer { buffer in unsafe buffer }
      let span = unsafe MutableSpan(_unsafeElements: buffer)
      return unsafe _overrideLifetime(span, mutating: &self)
    }
  }
}

extension Array {
  // The compiler ignores an unavailable declaration and takes the standard library's. A deprecated one it reports,
  // which is an error in this package: no program reaches these bodies.

  /// Of other elements there is no span on every system; `ContiguousArray` has one.
  @available(*, deprecated, message: "available from macOS 26 only; use ContiguousArray")
  package var span: Span<Element> {
    @_lifetime(borrow self)
    get { fatalError("Array.span of \(Element.self)") }
  }

  /// Of other elements there is no span on every system; `ContiguousArray` has one.
  @available(*, deprecated, message: "available from macOS 26 only; use ContiguousArray")
  package var mutableSpan: MutableSpan<Element> {
    @_lifetime(&self)
    mutating get { fatalError("Array.mutableSpan of \(Element.self)") }
  }
}
