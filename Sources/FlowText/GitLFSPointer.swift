/// The small text that Git LFS leaves in the place of a file whose contents were not fetched.
package enum GitLFSPointer {
  /// What such a file is and what to do, after its name.
  package static let problem =
    "is a Git LFS pointer, not the file itself; fetch the file with `git lfs pull`"

  /// Whether the contents of a file are such a pointer.
  package static func isPointer(_ bytes: some Sequence<UInt8>) -> Bool {
    bytes.starts(with: "version https://git-lfs.".utf8)
  }
}
