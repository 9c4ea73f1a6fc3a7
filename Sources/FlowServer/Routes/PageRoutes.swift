internal import HTTPTypes
internal import Hummingbird

/// The page: a few files that are part of the program.
struct PageRoutes: Sendable {
  /// A file of the page.
  struct File: Sendable {
    let path: String
    let type: String
    let bytes: [UInt8]
  }

  private static let script = "text/javascript; charset=utf-8"

  /// All files.
  static let files = [
    File(path: "/", type: "text/html; charset=utf-8", bytes: PackageResources.index_html),
    File(path: "/page.css", type: "text/css; charset=utf-8", bytes: PackageResources.page_css),
    File(path: "/page.js", type: script, bytes: PackageResources.page_js),
    File(path: "/create.js", type: script, bytes: PackageResources.create_js),
    File(path: "/elements.js", type: script, bytes: PackageResources.elements_js),
    File(path: "/gallery.js", type: script, bytes: PackageResources.gallery_js),
    File(path: "/history.js", type: script, bytes: PackageResources.history_js),
    File(path: "/live.js", type: script, bytes: PackageResources.live_js),
    File(path: "/server.js", type: script, bytes: PackageResources.server_js),
    File(path: "/sources.js", type: script, bytes: PackageResources.sources_js),
    File(path: "/status.js", type: script, bytes: PackageResources.status_js),
  ]

  static let paths = Set(files.map(\.path) + ["/", "/favicon.ico"])

  /// Scripts, styles and pictures come from the server itself, and nothing from elsewhere.
  private static let policy =
    "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    + "connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

  func add(to router: some RouterMethods<ServerContext>) {
    for file in Self.files {
      router.get(RouterPath(String(file.path.dropFirst()))) { _, _ in
        var response = Response.bytes(file.bytes, type: file.type, caching: "no-cache")
        if let name = HTTPField.Name("Content-Security-Policy") {
          response.headers[name] = Self.policy
        }
        if let name = HTTPField.Name("Referrer-Policy") { response.headers[name] = "no-referrer" }
        return response
      }
    }
    router.get("favicon.ico") { _, _ in Response(status: .noContent) }
  }
}
