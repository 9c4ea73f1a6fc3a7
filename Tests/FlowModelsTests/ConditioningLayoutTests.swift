import Testing

@testable import FlowModels

/// How many chunks conditionings of different lengths take when they share a tick.
@Suite struct ConditioningLayoutTests {
  @Test("A common length is one that both divide, and the least")
  func common() {
    for first in 1...12 {
      for second in 1...12 {
        let length = ConditioningLayout.crossAttention.common(first, second)
        #expect(length.isMultiple(of: first) && length.isMultiple(of: second))
        let smaller = (1..<length).first { $0.isMultiple(of: first) && $0.isMultiple(of: second) }
        #expect(smaller == nil, "\(first), \(second): \(length)")
      }
    }
  }

  @Test("A lane grows to a common length up to its limit, and beyond it only when it is empty")
  func joined() {
    let limit = ConditioningLayout.sharedLimit
    #expect(ConditioningLayout.crossAttention.joined(2, by: 3, isAlone: false) == 6)
    #expect(ConditioningLayout.crossAttention.joined(limit, by: limit - 1, isAlone: false) == nil)
    #expect(ConditioningLayout.crossAttention.joined(limit, by: limit, isAlone: false) == limit)
    #expect(ConditioningLayout.crossAttention.joined(1, by: limit + 1, isAlone: true) == limit + 1)
    #expect(ConditioningLayout.crossAttention.joined(15, by: 5, isAlone: false) == 15)
  }

  @Test("Prompts of different lengths are repeated for cross-attention and refused in one sequence")
  func lengths() throws {
    #expect(try ConditioningLayout.crossAttention.length(2, 3) == 6)
    #expect(try ConditioningLayout.joint.length(3, 3) == 3)
    #expect(throws: ModelError.self) { try ConditioningLayout.joint.length(2, 3) }
  }

  @Test("Padded texts share a power of two that holds the longest, whatever its length")
  func padded() throws {
    #expect(ConditioningLayout.masked.common(3, 1) == 4)
    #expect(ConditioningLayout.masked.common(4, 4) == 4)
    #expect(try ConditioningLayout.masked.length(5, 2) == 8)
    #expect(ConditioningLayout.masked.joined(2, by: 16, isAlone: false) == 16)
  }
}
