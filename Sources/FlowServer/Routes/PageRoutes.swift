internal import HTTPTypes
internal import Hummingbird

/// Serves the web UI: a few files that are embedded in the program.
struct PageRoutes: Sendable {
  /// A file of the web UI.
  struct File: Sendable {
    let path: String
    let type: String
    let bytes: [UInt8]
  }

  private static let style = "text/css; charset=utf-8"
  private static let script = "text/javascript; charset=utf-8"

  /// All files.
  static let files = [
    File(path: "/", type: "text/html; charset=utf-8", bytes: PackageResources.index_html),
    File(path: "/page.css", type: style, bytes: PackageResources.page_css),
    File(path: "/live.css", type: style, bytes: PackageResources.live_css),
    File(path: "/edit.css", type: style, bytes: PackageResources.edit_css),
    File(path: "/page.js", type: script, bytes: PackageResources.page_js),
    File(path: "/archive.js", type: script, bytes: PackageResources.archive_js),
    File(path: "/controls.js", type: script, bytes: PackageResources.controls_js),
    File(path: "/create.js", type: script, bytes: PackageResources.create_js),
    File(path: "/elements.js", type: script, bytes: PackageResources.elements_js),
    File(path: "/gallery.js", type: script, bytes: PackageResources.gallery_js),
    File(path: "/history.js", type: script, bytes: PackageResources.history_js),
    File(path: "/input.js", type: script, bytes: PackageResources.input_js),
    File(path: "/live.js", type: script, bytes: PackageResources.live_js),
    File(path: "/livemask.js", type: script, bytes: PackageResources.livemask_js),
    File(path: "/making.js", type: script, bytes: PackageResources.making_js),
    File(path: "/mask.js", type: script, bytes: PackageResources.mask_js),
    File(path: "/matrix.js", type: script, bytes: PackageResources.matrix_js),
    File(path: "/mistakes.js", type: script, bytes: PackageResources.mistakes_js),
    File(path: "/order.js", type: script, bytes: PackageResources.order_js),
    File(path: "/output.js", type: script, bytes: PackageResources.output_js),
    File(path: "/parts.js", type: script, bytes: PackageResources.parts_js),
    File(path: "/progress.js", type: script, bytes: PackageResources.progress_js),
    File(path: "/prompts.js", type: script, bytes: PackageResources.prompts_js),
    File(path: "/server.js", type: script, bytes: PackageResources.server_js),
    File(path: "/sources.js", type: script, bytes: PackageResources.sources_js),
    File(path: "/status.js", type: script, bytes: PackageResources.status_js),
    File(path: "/strokes.js", type: script, bytes: PackageResources.strokes_js),
    File(path: "/variation.js", type: script, bytes: PackageResources.variation_js),
    File(path: "/viewer.js", type: script, bytes: PackageResources.viewer_js),
    File(path: "/zip.js", type: script, bytes: PackageResources.zip_js),
  ]

  static let paths = Set(files.map(\.path) + ["/", "/favicon.ico"])

  /// The content security policy: scripts, styles and images only from this server.
  ///
  /// - Parameter host: the server's host in requests; browsers before CSP 3 do not accept a
  ///   WebSocket of the same host as the page's own.
  static func policy(host: String?) -> String {
    var sources = "'self'"
    // A policy cannot contain an IPv6 address.
    if let host, Authority(host) != nil, !host.hasPrefix("[") {
      sources += " ws://\(host) wss://\(host)"
    }
    return "default-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
      + "connect-src \(sources); frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
  }

  func add(to router: some RouterMethods<ServerContext>) {
    for file in Self.files {
      router.get(RouterPath(String(file.path.dropFirst()))) { _, context in
        var response = Response.bytes(file.bytes, type: file.type, caching: "no-cache")
        if let name = HTTPField.Name("Content-Security-Policy") {
          response.headers[name] = Self.policy(host: context.view?.url.host)
        }
        if let name = HTTPField.Name("Referrer-Policy") { response.headers[name] = "no-referrer" }
        return response
      }
    }
    router.get("favicon.ico") { _, _ in Response(status: .noContent) }
  }
}
