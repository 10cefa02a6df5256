// One exchange that the engine works for: its requests go in, their tokens become events or one
// body, and a client that leaves takes its requests with it.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/service/exchange.h"
#include "engine/service/fault.h"
#include "engine/service/service.h"
#include "schemas/value.h"

namespace seedbed::engine::service {

using Events = std::vector<schemas::Value>;  // each one event of the stream

// What an endpoint makes of its sequences. Calls never overlap.
class Answer {
 public:
  Answer() = default;
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;
  virtual ~Answer() = default;
  virtual void begin(Events& events) = 0;  // where it streams
  // On the engine's thread. False: the sequence is complete.
  virtual bool on_token(std::size_t sequence, const TokenOut& token, Events& events) = 0;
  virtual void on_end(std::size_t sequence, const Generated& generated, Events& events) = 0;
  virtual void finish(Events& events) = 0;  // all sequences have ended, where it streams
  virtual schemas::Value body() = 0;        // the same, where it does not
};

class Job : public Abortable, public std::enable_shared_from_this<Job> {
 public:
  Job(Service& service,
      std::shared_ptr<Exchange> exchange,
      std::shared_ptr<Flight> flight,
      std::unique_ptr<Answer> answer,
      bool stream)
      : service_(service),
        exchange_(std::move(exchange)),
        flight_(std::move(flight)),
        answer_(std::move(answer)),
        stream_(stream) {}

  // Once; afterwards the job lives until its last sequence has ended.
  void start(std::vector<Request> requests);
  void abort() override;

 private:
  bool on_token(std::size_t sequence, const TokenOut& token);
  void on_done(std::size_t sequence, Result<Generated> generated);
  void end(std::size_t sequence, const Result<Generated>& generated);
  void fail(Fault fault);
  void send(const Events& events);  // under the lock
  void finish();

  Service& service_;
  std::shared_ptr<Exchange> exchange_;
  std::shared_ptr<Flight> flight_;
  std::atomic<bool> gone_{false};

  std::mutex ids_mutex_;  // held for no call to anybody
  std::vector<Engine::RequestId> ids_;

  std::mutex mutex_;
  std::unique_ptr<Answer> answer_;
  const bool stream_;
  bool begun_ = false;
  Events first_;  // sent with the first token, or once all requests were taken
  std::size_t left_ = 0;
  Refusal failed_;
};

std::string event_bytes(const schemas::Value& value);  // of a stream: "data: ...\n\n"

}  // namespace seedbed::engine::service
