// A tiny model whose next token is known: every block adds little to the embedding, and the head
// says which tokens may follow which. Its tokenizer has the pieces of its replies as tokens. And
// exchanges made by hand, with all that was answered.
#pragma once
#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/service/api.h"
#include "schemas/value.h"

namespace seedbed::test {

// What one reply is made of, in order; every piece is one token: one byte, or two characters and
// more.
using Reply = std::vector<std::string>;

inline constexpr const char* kThought = "I should look it up.";

// Writes a folder with a tokenizer and, where wanted, weights; removes it.
class ServiceKit {
 public:
  struct Options {
    bool dsml_is_token = true;
    bool weights = true;
    std::vector<std::string> more_pieces = {};  // tokens that no reply has
    std::uint64_t seed = 3;                     // of what the head does not say
  };
  // After </think> the model begins each of the replies with the same probability; after <think>
  // it thinks kThought first.
  ServiceKit(const std::vector<Reply>& replies, Options options);
  ~ServiceKit();
  ServiceKit(const ServiceKit&) = delete;
  ServiceKit& operator=(const ServiceKit&) = delete;

  [[nodiscard]] std::int32_t id(std::string_view piece) const;
  [[nodiscard]] engine::ModelConfig config() const;
  [[nodiscard]] std::unique_ptr<engine::Engine> engine(std::int64_t cache_tokens = 8'192) const;
  [[nodiscard]] engine::service::ChatVocabulary vocabulary() const;

  std::string dir;

 private:
  void make_tokenizer(const std::vector<Reply>& replies);
  void make_model();
  void rewrite(const std::string& suffix, const std::function<void(std::vector<float>&)>& change);
  void write_head(const std::vector<Reply>& replies);

  Options options_;
};

// What a client saw.
class Client {
 public:
  struct Answer {
    int status = 0;
    std::string type, body;
    std::vector<std::pair<std::string, std::string>> headers;
    std::vector<std::string> events;  // of a stream, without "data: "
    bool streamed = false;
    [[nodiscard]] schemas::Value json() const;
    [[nodiscard]] std::vector<schemas::Value> chunks() const;  // but for [DONE]
    [[nodiscard]] std::string header(const std::string& name) const;
  };

  explicit Client(engine::service::Api& api) : api_(api) {}
  std::string authorization, session;

  Answer post(const std::string& path, const std::string& body);
  Answer get(const std::string& path);
  Answer send(const std::string& method, const std::string& path, const std::string& body);

  // Without waiting.
  struct Pending {
    std::mutex mutex;
    std::condition_variable changed;
    Answer answer;
    bool over = false, begun = false;
    std::string bytes;
    std::function<void()> gone;
    Answer wait();
    void wait_for_bytes();
    void leave();  // the client closes the connection
  };
  std::shared_ptr<Pending> begin(const std::string& method,
                                 const std::string& path,
                                 const std::string& body);

 private:
  engine::service::Api& api_;
};

schemas::Value parsed(const std::string& json);
// {"messages": [{"role": "user", "content": text}]} and more members, as JSON text "\"n\": 2".
std::string chat_body(const std::string& text, const std::string& more = "");

// An engine, its API and a client of it.
struct Served {
  explicit Served(const ServiceKit& kit,
                  engine::service::ApiOptions options = {},
                  std::int64_t cache_tokens = 8'192);
  std::unique_ptr<engine::Engine> engine;
  engine::service::ChatVocabulary vocabulary;
  std::unique_ptr<engine::service::Api> api;
  Client client;
};

// What the deltas of choice 0 come to: {"content", "reasoning_content", "tool_calls":
// [{"id", "name", "arguments"}], "finish_reason"}.
schemas::Value joined(const std::vector<schemas::Value>& chunks, std::int64_t choice = 0);
// The same of a whole answer.
schemas::Value summed(const schemas::Value& body, std::size_t choice = 0);

}  // namespace seedbed::test
