internal import FlowDigest
internal import FlowImage
internal import FlowVideo
internal import Foundation

/// The checks of libraries and programs beside the runtimes.
struct DoctorPrograms {
  func checks() async -> [DoctorCheck] {
    let checks = [codecs(), hashes(), await ffmpeg()]
    #if Server
      return checks + [Self.nats()]
    #else
      return checks
    #endif
  }

  private func codecs() -> DoctorCheck {
    let finding = CodecLibraries.descriptions.joined(separator: ", ")
    do {
      try CodecLibraries.check()
      return .ok("codecs", finding)
    } catch {
      return .problem(
        "codecs", .failed, "\(finding): \(error.message)",
        remedy: "reinstall the libraries (libpng and libturbojpeg)")
    }
  }

  private func ffmpeg() async -> DoctorCheck {
    let remedy = "install ffmpeg, or set STREAMFLOW_FFMPEG to its path; only video needs it"
    do {
      let ffmpeg = try FFmpeg.located()
      let version = try await ffmpeg.version()
      let encoders = try await ffmpeg.videoEncoders(among: ["libx264", "libx265", "libsvtav1"])
      let list = encoders.isEmpty ? "none of H.264, H.265, AV1" : encoders.joined(separator: ", ")
      return .ok("ffmpeg", "\(version), \(ffmpeg.path), encoders: \(list)")
    } catch let error as MediaError {
      return .problem("ffmpeg", .missing, error.message, remedy: remedy)
    } catch { return .problem("ffmpeg", .missing, "\(error)", remedy: remedy) }
  }

  private func hashes() -> DoctorCheck {
    do {
      _ = try MessageDigest(.sha256)
      return .ok("hashes", "SHA-256 of the system")
    } catch {
      return .problem(
        "hashes", .missing, "\(error)",
        remedy: "install OpenSSL's libcrypto; downloads and manifests need it")
    }
  }
}
