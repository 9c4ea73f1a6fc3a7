extension Checkpoint {
  /// The file name of a model's own upscaler.
  static let upscalerFileName = "streamflow-upscaler.safetensors"

  /// The model's own upscaler, which was trained for its images: `streamflow-upscaler.safetensors`
  /// in its folder, or `NAME.streamflow-upscaler.safetensors` beside a model in one file; nil if
  /// there is none.
  public var upscalerPath: String? {
    let path = notes.path(of: Self.upscalerFileName)
    return ConfigurationFile.exists(path) ? path : nil
  }
}
