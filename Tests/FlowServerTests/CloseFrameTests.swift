import NIOCore
import NIOEmbedded
import NIOWebSocket
import Testing

@testable import FlowServer

/// The end of a WebSocket (RFC 6455, section 5.5.1).
@Suite struct CloseFrameTests {
  @Test("No frame follows a close frame, and writing one is no error")
  func lastFrame() throws {
    let channel = EmbeddedChannel(handler: CloseFrameHandler())
    for opcode in [WebSocketOpcode.text, .connectionClose, .binary, .connectionClose] {
      let frame = WebSocketFrame(fin: true, opcode: opcode, data: ByteBuffer())
      try channel.writeOutbound(frame)
    }
    var sent: [WebSocketOpcode] = []
    while let frame = try channel.readOutbound(as: WebSocketFrame.self) {
      sent.append(frame.opcode)
    }
    #expect(sent == [.text, .connectionClose])
    _ = try channel.finish()
  }
}
