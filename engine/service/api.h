// What the server offers, over an Engine: OpenAI's chat completions and completions, the DeepSeek
// dialect, tokens in and out, and what an operator needs. No network here: exchanges come in, their
// functions are called.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "engine/service/chat_vocabulary.h"
#include "engine/service/exchange.h"

namespace seedbed::engine::service {

// chat: thinking where asked; reasoner: always; speciale: always, and neither tools nor JSON mode.
enum class Profile : std::uint8_t { chat, reasoner, speciale };

struct Metric {
  std::string name, help;
  bool counter = false;  // else a gauge
  double value = 0;
};

struct ApiOptions {
  std::string model_name = "seedbed";  // what /v1/models lists; other names are a 404
  Profile profile = Profile::chat;
  std::string api_key;            // empty: none is asked for
  std::int64_t expires_unix = 0;  // afterwards all but /health and /metrics is 410; 0: never
  int max_tokens = 4'096;         // where the client names none
  std::int64_t max_context = 0;   // tokens of prompt and answer; 0: the model's positions
  int max_choices = 128;          // n
  int max_requests = 2'048;       // in flight, then 503 with Retry-After
  double temperature = 1.0, top_p = 0.95;  // where the client names none
  std::string weights_root;  // /update_weights takes folders inside it; empty: it takes none
  // Further numbers for /metrics, asked for at each look: those of the server, for instance.
  std::function<std::vector<Metric>()> more_metrics;
};

class Api {
 public:
  // Engine and vocabulary outlive it.
  Api(Engine& engine, const ChatVocabulary& vocabulary, ApiOptions options);
  ~Api();  // aborts what runs and waits for it
  void handle(std::shared_ptr<Exchange> exchange);
  void drain();  // /health says 503, new requests get 503
  [[nodiscard]] std::int64_t in_flight() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace seedbed::engine::service
