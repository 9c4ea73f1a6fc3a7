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

/// The page of `streamflow serve`, which is part of the program.
let pageFiles = [
  "index.html", "page.css", "live.css", "edit.css", "page.js", "archive.js", "controls.js",
  "create.js", "elements.js", "gallery.js", "history.js", "input.js", "live.js", "livemask.js",
  "making.js", "mask.js", "matrix.js", "mistakes.js", "order.js", "output.js", "parts.js",
  "progress.js", "prompts.js",
  "server.js", "sources.js", "status.js", "strokes.js", "variation.js", "viewer.js", "zip.js",
]

let package = Package(
  name: "StreamFlow",
  // iOS for FlowCore, FlowGraph and FlowText alone: no runtime is published for it.
  platforms: [.macOS(.v15), .iOS(.v18)],
  products: [
    .library(name: "StreamFlow", targets: ["StreamFlow", "FlowModels", "FlowImage"]),
    .library(name: "FlowCore", targets: ["FlowCore"]),
    .library(name: "FlowGraph", targets: ["FlowGraph"]),
    .library(name: "FlowEngine", targets: ["FlowEngine"]),
    .library(name: "FlowOpenVINO", targets: ["FlowOpenVINO"]),
    .library(name: "FlowONNXRuntime", targets: ["FlowONNXRuntime"]),
    .library(name: "FlowText", targets: ["FlowText"]),
    .library(name: "FlowImage", targets: ["FlowImage"]),
    .library(name: "FlowVideo", targets: ["FlowVideo"]),
    .library(name: "FlowHub", targets: ["FlowHub"]),
    .library(name: "FlowNATS", targets: ["FlowNATS"]),
    .library(name: "FlowCluster", targets: ["FlowCluster"]),
    .library(name: "FlowServer", targets: ["FlowServer"]),
    .executable(name: "streamflow", targets: ["StreamFlowCommand"]),
  ],
  traits: [
    .trait(
      name: "Server",
      description: "The commands serve and worker, with Hummingbird, SwiftNIO and GRDB."),
    .default(enabledTraits: ["Server"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.5.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
    .package(
      url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1",
      traits: ["FullFoundation"]),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    .target(
      name: "FlowCore",
      // For Array+Span.swift.
      swiftSettings: settings + [.enableExperimentalFeature("Lifetimes")]),
    .target(
      name: "FlowGraph",
      dependencies: [
        "FlowCore", .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      swiftSettings: settings),
    .target(
      name: "FlowEngine", dependencies: ["FlowCore", "FlowGraph"], swiftSettings: settings),
    .target(name: "COpenVINO"),
    .target(
      name: "FlowOpenVINO", dependencies: ["COpenVINO", "FlowCore", "FlowEngine", "FlowGraph"],
      swiftSettings: settings),
    .target(name: "CONNXRuntime"),
    .target(
      name: "FlowONNXRuntime",
      dependencies: ["CONNXRuntime", "FlowCore", "FlowEngine", "FlowGraph"],
      swiftSettings: settings),
    .target(name: "FlowText", swiftSettings: settings),
    .systemLibrary(
      name: "CPNG", pkgConfig: "libpng",
      providers: [.apt(["libpng-dev"]), .brew(["libpng"])]),
    .systemLibrary(
      name: "CTurboJPEG", pkgConfig: "libturbojpeg",
      providers: [.apt(["libturbojpeg0-dev"]), .brew(["jpeg-turbo"])]),
    .systemLibrary(
      name: "CZlib", pkgConfig: "zlib",
      providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    .target(
      name: "FlowImage", dependencies: ["CPNG", "CTurboJPEG", "CZlib", "FlowCore"],
      swiftSettings: settings),
    .target(
      name: "FlowVideo",
      dependencies: [
        "FlowCore", "FlowImage",
        .product(name: "Subprocess", package: "swift-subprocess"),
        .product(
          name: "SystemPackage", package: "swift-system", condition: .when(platforms: [.linux])),
      ],
      swiftSettings: settings),
    .target(
      name: "FlowModels", dependencies: ["FlowCore", "FlowGraph", "FlowText"],
      resources: [.copy("Resources/starter"), .copy("Resources/clip")], swiftSettings: settings),
    .target(
      name: "StreamFlow",
      dependencies: [
        "FlowCore", "FlowGraph", "FlowEngine", "FlowModels", "FlowONNXRuntime", "FlowOpenVINO",
        "FlowText",
      ],
      swiftSettings: settings),
    .target(
      name: "FlowHub",
      dependencies: [
        "StreamFlow", "FlowModels", "FlowDigest",
      ],
      swiftSettings: settings),
    .target(name: "CLibCrypto"),
    .target(name: "FlowDigest", dependencies: ["CLibCrypto"], swiftSettings: settings),
    .target(name: "CNATS"),
    .target(
      name: "FlowNATS",
      dependencies: ["CNATS", "FlowDigest"],
      swiftSettings: settings),
    .target(
      name: "FlowServer",
      dependencies: [
        "StreamFlow", "FlowImage", "FlowCore", "FlowEngine", "FlowGraph", "FlowModels", "FlowText",
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
        .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
        .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ],
      resources: (["Wire/openapi.json"] + pageFiles.map { "Page/\($0)" }).map { .embedInCode($0) },
      swiftSettings: settings),
    .target(
      name: "FlowCluster",
      dependencies: [
        "FlowNATS", "FlowServer", "FlowDigest",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "StreamFlowCommand",
      dependencies: [
        "StreamFlow", "FlowDigest", "FlowHub", "FlowImage", "FlowVideo", "FlowModels", "FlowCore",
        "FlowEngine", "FlowGraph", "FlowOpenVINO", "FlowText",
        .target(name: "FlowCluster", condition: .when(traits: ["Server"])),
        .target(name: "FlowNATS", condition: .when(traits: ["Server"])),
        .target(name: "FlowServer", condition: .when(traits: ["Server"])),
        .product(name: "Logging", package: "swift-log", condition: .when(traits: ["Server"])),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Yams", package: "Yams"),
      ],
      swiftSettings: settings),
    .target(
      name: "FlowTestSupport",
      dependencies: [
        "FlowCore", "FlowDigest", "FlowEngine", "FlowGraph", "FlowModels", "FlowONNXRuntime",
        "FlowOpenVINO",
      ],
      path: "Tests/FlowTestSupport", resources: [.copy("Fixtures")], swiftSettings: settings),
    .testTarget(
      name: "FlowCoreTests", dependencies: ["FlowCore", "FlowTestSupport"],
      resources: [.copy("Fixtures")], swiftSettings: settings),
    .testTarget(
      name: "FlowGraphTests", dependencies: ["FlowGraph", "FlowCore", "FlowTestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "FlowEngineTests",
      dependencies: [
        "FlowEngine", "FlowOpenVINO", "FlowGraph", "FlowCore", "FlowTestSupport",
      ],
      resources: [.copy("Fixtures")], swiftSettings: settings),
    .testTarget(
      name: "FlowONNXRuntimeTests",
      dependencies: [
        "FlowONNXRuntime", "FlowEngine", "FlowGraph", "FlowCore", "FlowModels", "FlowOpenVINO",
        "FlowTestSupport",
      ],
      resources: [.copy("Fixtures")], swiftSettings: settings),
    .testTarget(
      name: "FlowTextTests", dependencies: ["FlowText", "FlowTestSupport"],
      resources: [.copy("Fixtures")], swiftSettings: settings),
    .testTarget(
      name: "FlowImageTests", dependencies: ["FlowImage", "FlowCore", "FlowTestSupport"],
      resources: [.copy("Fixtures")], swiftSettings: settings),
    .testTarget(
      name: "FlowVideoTests",
      dependencies: ["FlowVideo", "FlowImage", "FlowCore", "FlowTestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "FlowModelsTests",
      dependencies: [
        "FlowModels", "FlowCore", "FlowGraph", "FlowEngine", "FlowText", "FlowTestSupport",
      ],
      resources: [.copy("Fixtures")], swiftSettings: settings),
    .testTarget(
      name: "StreamFlowTests",
      dependencies: [
        "StreamFlow", "FlowCore", "FlowGraph", "FlowEngine", "FlowModels", "FlowText",
        "FlowTestSupport", "FlowDigest",
      ],
      resources: [.copy("Fixtures")], swiftSettings: settings),
    .testTarget(
      name: "FlowDigestTests", dependencies: ["FlowDigest"], swiftSettings: settings),
    .testTarget(
      name: "FlowHubTests",
      dependencies: ["FlowHub", "FlowModels", "StreamFlow", "FlowTestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "FlowNATSTests", dependencies: ["FlowNATS", "FlowTestSupport"],
      resources: [.copy("Fixtures")], swiftSettings: settings),
    .testTarget(
      name: "FlowClusterTests",
      dependencies: [
        "FlowCluster", "FlowNATS", "FlowServer", "FlowCore", "FlowImage", "FlowModels",
        "StreamFlow",
        "FlowTestSupport", .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "FlowServerTests",
      dependencies: [
        "FlowServer", "StreamFlow", "FlowImage", "FlowCore", "FlowEngine", "FlowGraph",
        "FlowModels",
        "FlowText", "FlowTestSupport",
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "Metrics", package: "swift-metrics"),
        .product(name: "NIOEmbedded", package: "swift-nio"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "StreamFlowCommandTests",
      dependencies: [
        "StreamFlowCommand", "StreamFlow", "FlowHub", "FlowServer", "FlowImage", "FlowModels",
        "FlowCore", "FlowEngine", "FlowGraph", "FlowText", "FlowTestSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
  ]
)
