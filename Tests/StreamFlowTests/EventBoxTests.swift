import FlowCore
import FlowTestSupport
import Testing

@testable import FlowModels
@testable import StreamFlow

/// Events of images that were not delivered yet.
@Suite struct EventBoxTests {
  private static let image = PixelImage(width: 1, height: 1, pixels: [1, 2, 3])

  private static func preview(_ index: Int, _ number: Int) -> GenerationEvent {
    .preview(index: index, number: number, image: image)
  }

  private static func failed(_ index: Int) -> GenerationEvent {
    .failed(index: index, KnownField.Failure())
  }

  /// An event in a word.
  private static func word(_ event: GenerationEvent?) -> String {
    switch event {
    case .preview(let index, let number, _): "preview \(number) of \(index)"
    case .stepped(let index, let step, _): "step \(step) of \(index)"
    case .finished(let image): "finished \(image.index)"
    case .failed(let index, _): "failed \(index)"
    case nil: "nothing"
    }
  }

  private static func takeAll(_ boxes: inout EventBoxes, from stream: Int) -> [String] {
    var words: [String] = []
    while let event = boxes.take(from: stream) { words.append(word(event)) }
    return words
  }

  @Test("Events are delivered in order; of an image's previews the last, and of its events the end")
  func order() {
    var boxes = EventBoxes()
    boxes.open(1, count: 3)
    boxes.open(2, count: 1)
    boxes.put(Self.preview(0, 0), into: 1)
    boxes.put(Self.preview(1, 0), into: 1)
    boxes.put(Self.preview(0, 1), into: 1)
    boxes.put(Self.preview(0, 0), into: 2)
    #expect(Self.takeAll(&boxes, from: 1) == ["preview 0 of 1", "preview 1 of 0"])
    boxes.put(Self.preview(1, 1), into: 1)
    boxes.put(Self.failed(1), into: 1)
    boxes.put(Self.failed(0), into: 1)
    #expect(Self.takeAll(&boxes, from: 1) == ["failed 1", "failed 0"])
    #expect(Self.takeAll(&boxes, from: 2) == ["preview 0 of 0"])
    #expect(boxes.isOpen(1) && boxes.isOpen(2) && boxes.count == 2)
  }

  @Test("A mailbox is open until the end of its last image was taken")
  func ends() {
    var boxes = EventBoxes()
    boxes.open(1, count: 2)
    boxes.open(2, count: 0)
    #expect(!boxes.isOpen(2) && boxes.count == 1)
    boxes.put(Self.failed(0), into: 1)
    boxes.put(Self.failed(1), into: 1)
    #expect(Self.word(boxes.take(from: 1)) == "failed 0" && boxes.isOpen(1))
    #expect(Self.word(boxes.take(from: 1)) == "failed 1" && !boxes.isOpen(1))
    boxes.put(Self.failed(2), into: 1)
    #expect(boxes.take(from: 1) == nil && boxes.take(from: 7) == nil)
  }

  @Test("A closed mailbox drops undelivered events")
  func closed() {
    var boxes = EventBoxes()
    boxes.open(1, count: 2)
    boxes.put(Self.failed(0), into: 1)
    boxes.close(1)
    #expect(!boxes.isOpen(1) && boxes.take(from: 1) == nil && boxes.count == 0)
  }

  /// Boxes that several tasks wait at.
  private actor Mailbox {
    var boxes = EventBoxes()
    private(set) var waiting: Set<String> = []

    func change(_ change: @Sendable (inout EventBoxes) -> Void) { change(&boxes) }

    func wait(for stream: Int, as name: String) async {
      waiting.insert(name)
      await withCheckedContinuation { boxes.wait(for: stream, $0) }
      waiting.remove(name)
    }
  }

  /// Waits until these and no others wait.
  private static func until(_ mailbox: Mailbox, _ names: Set<String>) async {
    while await mailbox.waiting != names { await Task.yield() }
  }

  @Test("Those wake for whom there is something, whose box closes, and who is relieved")
  func waking() async {
    let mailbox = Mailbox()
    await mailbox.change { boxes in for stream in 1...4 { boxes.open(stream, count: 1) } }
    await withTaskGroup { group in
      for (stream, name) in [(1, "a"), (2, "b"), (3, "c"), (4, "d")] {
        group.addTask { await mailbox.wait(for: stream, as: name) }
      }
      await Self.until(mailbox, ["a", "b", "c", "d"])
      await mailbox.change { boxes in
        boxes.put(Self.failed(0), into: 1)
        boxes.wakeReady()
      }
      await Self.until(mailbox, ["b", "c", "d"])
      await mailbox.change { $0.close(2) }
      await Self.until(mailbox, ["c", "d"])
      // Another waiting task of the same stream replaces the earlier one.
      group.addTask { await mailbox.wait(for: 3, as: "e") }
      await Self.until(mailbox, ["d", "e"])
      await mailbox.change { $0.wake(4) }
      await Self.until(mailbox, ["e"])
      await mailbox.change { $0.wakeOne() }
      await group.waitForAll()
    }
    #expect(await mailbox.waiting.isEmpty)
  }
}
