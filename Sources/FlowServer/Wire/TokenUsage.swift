/// The usage field that OpenAI's clients expect in a response; tokens are not counted here.
struct TokenUsage: Encodable, Sendable {
  struct Details: Encodable, Sendable {
    let imageTokens = 0
    let textTokens = 0
  }

  let inputTokens = 0
  let outputTokens = 0
  let totalTokens = 0
  let inputTokensDetails = Details()
}
