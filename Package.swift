// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
  name: "StreamFlow",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "StreamFlow", targets: ["StreamFlow", "FlowMedia"]),
    .library(name: "FlowCore", targets: ["FlowCore"]),
    .executable(name: "streamflow", targets: ["StreamFlowCommand"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.5.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
  ],
  targets: [
    .target(name: "FlowCore", swiftSettings: settings),
    .target(
      name: "FlowGraph",
      dependencies: [
        "FlowCore", .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      swiftSettings: settings),
    .target(name: "COpenVINO"),
    .target(
      name: "FlowEngine", dependencies: ["COpenVINO", "FlowCore", "FlowGraph"],
      swiftSettings: settings),
    .target(name: "FlowText", swiftSettings: settings),
    .systemLibrary(
      name: "CPNG", pkgConfig: "libpng",
      providers: [.apt(["libpng-dev"]), .brew(["libpng"])]),
    .systemLibrary(
      name: "CTurboJPEG", pkgConfig: "libturbojpeg",
      providers: [.apt(["libturbojpeg0-dev"]), .brew(["jpeg-turbo"])]),
    .target(
      name: "FlowMedia",
      dependencies: [
        "CPNG", "CTurboJPEG", "FlowCore",
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(
          name: "SystemPackage", package: "swift-system", condition: .when(platforms: [.linux])),
      ],
      swiftSettings: settings),
    .target(
      name: "StreamFlow", dependencies: ["FlowCore", "FlowGraph", "FlowEngine", "FlowText"],
      resources: [.copy("Resources/starter"), .copy("Resources/clip")], swiftSettings: settings),
    .target(
      name: "FlowHub",
      dependencies: ["StreamFlow", .product(name: "Crypto", package: "swift-crypto")],
      swiftSettings: settings),
    .executableTarget(
      name: "StreamFlowCommand",
      dependencies: [
        "StreamFlow", "FlowHub", "FlowMedia", "FlowCore", "FlowEngine", "FlowGraph",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    .target(
      name: "FlowTestSupport",
      dependencies: [
        "FlowCore", "FlowGraph", .product(name: "Crypto", package: "swift-crypto"),
      ],
      path: "Tests/FlowTestSupport", swiftSettings: settings),
    .testTarget(
      name: "FlowCoreTests", dependencies: ["FlowCore", "FlowTestSupport"],
      resources: [.copy("Fixtures")], swiftSettings: settings),
    .testTarget(
      name: "FlowGraphTests", dependencies: ["FlowGraph", "FlowCore", "FlowTestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "FlowEngineTests",
      dependencies: ["FlowEngine", "FlowGraph", "FlowCore", "FlowTestSupport"],
      exclude: ["Fixtures"], swiftSettings: settings),
    .testTarget(
      name: "FlowTextTests", dependencies: ["FlowText", "FlowTestSupport"],
      resources: [.copy("Fixtures")], swiftSettings: settings),
    .testTarget(
      name: "FlowMediaTests", dependencies: ["FlowMedia", "FlowCore", "FlowTestSupport"],
      resources: [.copy("Fixtures")], swiftSettings: settings),
    .testTarget(
      name: "StreamFlowTests",
      dependencies: [
        "StreamFlow", "FlowCore", "FlowGraph", "FlowEngine", "FlowText", "FlowTestSupport",
      ],
      resources: [.copy("Fixtures")], swiftSettings: settings),
    .testTarget(
      name: "FlowHubTests", dependencies: ["FlowHub", "StreamFlow", "FlowTestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "StreamFlowCommandTests",
      dependencies: [
        "StreamFlowCommand", "StreamFlow", "FlowMedia", "FlowCore", "FlowTestSupport",
      ],
      swiftSettings: settings),
  ]
)
