/// The response to an unknown path: what this server is, where its API is described, and which path
/// does what the client probably wanted.
struct UnknownPath {
  /// The routes of the server.
  let paths: PathMethods

  /// The error for a path.
  func error(_ path: String) -> ServerError {
    let shown = "'\(path.prefix(80))'"
    let description = "the API is described at /openapi.json"
    if let other = ForeignAPI.path(path) {
      let reason = other.api.map { ", which does not have \($0)" } ?? ""
      return .notFound(
        "there is no \(shown) here: this is StreamFlow\(reason); use \(other.use); \(description)")
    }
    if let near = nearest(to: path) {
      return .notFound(
        "there is no \(shown) here; did you mean \(near)? This is StreamFlow; \(description)")
    }
    return .notFound(
      "there is no \(shown) here: this is StreamFlow, an image server; \(description), images are "
        + "made with POST /v1/images/generations, and the web page is at /")
  }

  /// The route that the path most likely means, if any.
  private func nearest(to path: String) -> String? {
    // A base URL without its version, or with the version twice.
    var candidates = ["/v1" + (path.hasPrefix("/") ? path : "/" + path)]
    for prefix in ["/v1", "/api"] where path.hasPrefix(prefix + "/") {
      candidates.append(String(path.dropFirst(prefix.count)))
    }
    if let found = candidates.first(where: { !paths.methods(of: $0).isEmpty }) { return found }
    return paths.nearest(to: path)
  }
}

/// Paths of other programs' APIs, which their clients request from this server.
enum ForeignAPI {
  /// The API of a path, and its counterpart here.
  static func path(_ path: String) -> (api: String?, use: String)? {
    var path = path.split(separator: "?").first.map(String.init) ?? path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    for api in all {
      for (beginning, use) in api.paths
      where path == beginning || path.hasPrefix(beginning + "/") { return (api.name, use) }
    }
    return nil
  }

  private typealias API = (name: String?, paths: [(beginning: String, use: String)])

  private static let generate = "POST /v1/images/generations"
  private static let edit = "POST /v1/images/edits"
  private static let job = "GET /v1/jobs/{id}"
  private static let cancel = "DELETE /v1/jobs/{id}"
  private static let models = "GET /v1/models"
  private static let status = "GET /v1/status"

  /// The first match wins, so longer paths come before their prefixes.
  private static let all: [API] = [
    (
      "AUTOMATIC1111's API",
      [
        ("/sdapi/v1/txt2img", generate), ("/sdapi/v1/img2img", edit),
        ("/sdapi/v1/progress", status), ("/sdapi/v1/memory", status),
        ("/sdapi/v1/interrupt", cancel), ("/sdapi/v1/skip", cancel),
        ("/sdapi/v1/sd-models", models), ("/sdapi", generate),
      ]
    ),
    (
      "stable-diffusion.cpp's own API",
      [
        ("/sdcpp/v1/img_gen", "POST /v1/jobs or \(generate)"), ("/sdcpp/v1/jobs", job),
        ("/sdcpp", models), ("/txt2img", generate), ("/img2img", edit),
      ]
    ),
    (
      "Ollama's API",
      [
        ("/api/generate", generate), ("/api/chat", generate), ("/api/tags", models),
        ("/api/show", models), ("/api/ps", status), ("/api/version", status),
      ]
    ),
    (
      "ComfyUI's API",
      ["", "/api"].flatMap { prefix in
        [
          ("\(prefix)/prompt", "POST /v1/jobs or \(generate)"), ("\(prefix)/history", job),
          ("\(prefix)/queue", status), ("\(prefix)/system_stats", status),
          ("\(prefix)/view", "GET /v1/jobs/{id}/images/{index}"),
          ("\(prefix)/ws", "GET /v1/jobs/{id}/events"), ("\(prefix)/object_info", models),
          ("\(prefix)/upload/image", edit), ("\(prefix)/interrupt", cancel),
        ]
      }
    ),
    (
      "OpenAI's other APIs",
      [
        ("/v1/images/variations", edit), ("/v1/chat/completions", generate),
        ("/v1/completions", generate), ("/v1/responses", generate), ("/v1/engines", models),
        ("/v1/embeddings", generate), ("/v1/audio", generate),
      ]
    ),
    (
      nil,
      [
        ("/predictions", generate), ("/generate", generate), ("/health", "GET /healthz"),
        ("/v1/health", "GET /healthz"), ("/livez", "GET /healthz"), ("/ping", "GET /healthz"),
        ("/ready", "GET /readyz"), ("/docs", "GET /openapi.json"),
        ("/redoc", "GET /openapi.json"), ("/swagger", "GET /openapi.json"),
        ("/swagger.json", "GET /openapi.json"), ("/openapi.yaml", "GET /openapi.json"),
      ]
    ),
  ]
}
