// swift-tools-version: 6.2
import PackageDescription

// Benchmarks are a package of their own: users never build them. `make instructions` runs them.
let package = Package(
  name: "Benchmarks",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "StreamFlow", path: "..")],
  targets: [
    .executableTarget(
      name: "InstructionCounts",
      dependencies: [.product(name: "StreamFlow", package: "StreamFlow")],
      swiftSettings: [
        .swiftLanguageMode(.v6), .strictMemorySafety(), .treatAllWarnings(as: .error),
        .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
      ],
      // valgrind cannot read debug information of this form.
      linkerSettings: [.unsafeFlags(["-Xlinker", "-s"])])
  ]
)
