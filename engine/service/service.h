// What all endpoints share: the engine, the vocabulary, what is remembered between requests, and
// who is being answered.
//
// Threads: exchanges come in on the server's thread, are read and made into prompts on `requests`,
// get their tokens on the engine's, and are closed on `answers`, so that neither of the other two
// ever waits for a long text.
#pragma once
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "engine/service/api.h"
#include "engine/service/chat_vocabulary.h"
#include "engine/service/constraint.h"
#include "engine/service/sampled_texts.h"
#include "engine/service/worker.h"

namespace seedbed::engine::service {

struct Service;

// One exchange on its way: in flight until it is answered, waited for until nobody works on it.
class Flight {
 public:
  explicit Flight(Service& service);
  ~Flight();
  Flight(const Flight&) = delete;
  Flight& operator=(const Flight&) = delete;
  void answered();  // at most the first call counts

 private:
  Service& service_;
  std::atomic<bool> answered_{false};
};

// Somebody who has requests at the engine.
class Abortable {
 public:
  Abortable() = default;
  Abortable(const Abortable&) = delete;
  Abortable& operator=(const Abortable&) = delete;
  virtual ~Abortable() = default;
  virtual void abort() = 0;  // from any thread
};

// How the choices of all answers ended, by name of OpenAI's or vLLM's.
enum class Ended : std::uint8_t { stop, length, tool_calls, abort, error };
std::string_view ended_name(Ended ended);

struct Service {
  Service(Engine& engine_, const ChatVocabulary& vocabulary_, ApiOptions options_);

  Engine& engine;
  const ChatVocabulary& vocabulary;
  const ApiOptions options;
  const std::int64_t context;  // tokens of prompt and answer
  SampledTexts sampled;
  Grammars grammars;

  std::atomic<bool> draining{false};                 // nothing new begins
  std::atomic<bool> closing{false};                  // what runs is aborted
  std::atomic<bool> updating{false};                 // other weights are being taken
  std::array<std::atomic<std::int64_t>, 5> ended{};  // by Ended
  std::atomic<std::int64_t> refused{0}, gone{0};     // requests

  // "chatcmpl-" and 24 hex digits, never the same twice.
  std::string new_id(std::string_view prefix);
  std::uint64_t new_seed();

  std::int64_t in_flight() const { return open_; }
  void wait_until_idle();
  void add(Abortable* job, std::weak_ptr<Abortable> handle);
  void remove(Abortable* job);
  std::int64_t abort_all();

 private:
  friend class Flight;
  std::uint64_t draw();

  mutable std::mutex mutex_;
  std::condition_variable idle_;
  std::int64_t flights_ = 0;
  std::atomic<std::int64_t> open_{0};
  std::map<Abortable*, std::weak_ptr<Abortable>> jobs_;
  std::atomic<std::uint64_t> drawn_{0};
  std::uint64_t salt_ = 0;

 public:
  // Last, so that they end first.
  Worker answers, requests;
};

std::int64_t unix_now();

}  // namespace seedbed::engine::service
