# Homebrew formula for macOS on Apple silicon. Scripts/release.sh fills in the address, the version and the hash.
class Streamflow < Formula
  desc "Text-to-image generation with rectified-flow models, many images in flight"
  homepage "https://example.org/StreamFlow"
  url "https://example.org/StreamFlow/releases/download/@VERSION@/StreamFlow-@VERSION@.tar.gz"
  sha256 "@SHA256@"
  license "MIT"

  depends_on xcode: ["26.0", :build]
  depends_on "pkgconf" => :build
  depends_on arch: :arm64
  depends_on "jpeg-turbo"
  depends_on "libpng"
  depends_on :macos
  depends_on "openvino"

  def install
    system "swift", "build", "--disable-sandbox", "-c", "release", "--product", "streamflow"
    built = Pathname.new(Utils.safe_popen_read("swift", "build", "-c", "release", "--show-bin-path").chomp)
    # The command looks for its resources beside itself, through links.
    libexec.install built/"streamflow", built/"StreamFlow_FlowModels.bundle"
    (bin/"streamflow").write_env_script libexec/"streamflow",
      STREAMFLOW_OPENVINO: "${STREAMFLOW_OPENVINO:-#{Formula["openvino"].opt_prefix}}"
    generate_completions_from_executable(libexec/"streamflow", "--generate-completion-script")
  end

  service do
    run [opt_bin/"streamflow", "serve"]
    keep_alive true
    log_path var/"log/streamflow.log"
    error_log_path var/"log/streamflow.log"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/streamflow --version")
    assert_match "starter", shell_output("#{bin}/streamflow inspect starter")
  end
end
