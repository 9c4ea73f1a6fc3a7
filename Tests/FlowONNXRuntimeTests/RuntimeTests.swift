import Testing
@testable import FlowONNXRuntime
