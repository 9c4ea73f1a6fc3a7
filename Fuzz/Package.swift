// swift-tools-version: 6.2
import PackageDescription

// Fuzzers are a package of their own: users never build them. See Scripts/fuzz.sh.
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .unsafeFlags(["-parse-as-library"]),
]

let package = Package(
  name: "Fuzz",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "StreamFlow", path: "..")],
  targets: [
    .executableTarget(
      name: "FuzzSafetensors",
      dependencies: [.product(name: "StreamFlow", package: "StreamFlow")],
      swiftSettings: settings),
    .executableTarget(
      name: "FuzzGGUF",
      dependencies: [.product(name: "StreamFlow", package: "StreamFlow")],
      swiftSettings: settings),
    .executableTarget(
      name: "FuzzTokenizer",
      dependencies: [.product(name: "StreamFlow", package: "StreamFlow")],
      swiftSettings: settings),
    .executableTarget(
      name: "FuzzPicture",
      dependencies: [.product(name: "StreamFlow", package: "StreamFlow")],
      swiftSettings: settings),
    .executableTarget(
      name: "FuzzMultipart",
      dependencies: [.product(name: "FlowServer", package: "StreamFlow")],
      swiftSettings: settings),
    .executableTarget(
      name: "FuzzRequest",
      dependencies: [.product(name: "FlowServer", package: "StreamFlow")],
      swiftSettings: settings),
  ]
)
