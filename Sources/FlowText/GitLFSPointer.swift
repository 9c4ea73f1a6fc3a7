/// The small text file that Git LFS puts in place of a file that was not fetched.
package enum GitLFSPointer {
  /// The problem and its remedy, to follow the file's name in an error.
  package static let problem =
    "is a Git LFS pointer, not the file itself; fetch the file with `git lfs pull`"

  /// Whether the contents of a file are a Git LFS pointer.
  package static func isPointer(_ bytes: some Sequence<UInt8>) -> Bool {
    bytes.starts(with: "version https://git-lfs.".utf8)
  }
}
