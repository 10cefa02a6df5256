#include "engine/service/service.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <random>

#include "base/hash.h"

namespace seedbed::engine::service {
namespace {

constexpr std::size_t kSampledBytes = 64U << 20;

std::int64_t context_of(const Engine& engine, const ApiOptions& options) {
  std::int64_t out = engine.config().max_position_embeddings;
  if (options.max_context > 0) out = std::min(out, options.max_context);
  return std::min(out, engine.cache_tokens());
}

}  // namespace

Flight::Flight(Service& service) : service_(service) {
  ++service_.open_;
  const std::lock_guard lock(service_.mutex_);
  ++service_.flights_;
}

void Flight::answered() {
  if (!answered_.exchange(true)) --service_.open_;
}

Flight::~Flight() {
  answered();
  // Under the lock: who waits may take the service away right afterwards.
  const std::lock_guard lock(service_.mutex_);
  if (--service_.flights_ == 0) service_.idle_.notify_all();
}

std::string_view ended_name(Ended ended) {
  constexpr std::array<std::string_view, 5> kNames = {"stop", "length", "tool_calls", "abort",
                                                      "error"};
  return kNames[static_cast<std::size_t>(ended)];
}

Service::Service(Engine& engine_, const ChatVocabulary& vocabulary_, ApiOptions options_)
    : engine(engine_),
      vocabulary(vocabulary_),
      options(std::move(options_)),
      context(context_of(engine_, options)),
      sampled(kSampledBytes),
      grammars(vocabulary_) {
  std::random_device device;
  salt_ = (std::uint64_t{device()} << 32U) ^ device() ^
          static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
}

std::uint64_t Service::draw() {
  const std::uint64_t count = ++drawn_;
  return hash64({reinterpret_cast<const char*>(&count), sizeof count}, salt_);
}

std::string Service::new_id(std::string_view prefix) {
  const std::uint64_t number = draw();
  return std::string(prefix) +
         content_hash({reinterpret_cast<const char*>(&number), sizeof number}).substr(0, 24);
}

std::uint64_t Service::new_seed() {
  return draw();
}

void Service::wait_until_idle() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return flights_ == 0; });
}

void Service::add(Abortable* job, std::weak_ptr<Abortable> handle) {
  const std::lock_guard lock(mutex_);
  jobs_.emplace(job, std::move(handle));
}

void Service::remove(Abortable* job) {
  const std::lock_guard lock(mutex_);
  jobs_.erase(job);
}

std::int64_t Service::abort_all() {
  std::map<Abortable*, std::weak_ptr<Abortable>> jobs;
  {
    const std::lock_guard lock(mutex_);
    jobs = jobs_;
  }
  std::int64_t count = 0;
  for (const auto& [_, handle] : jobs)
    if (const auto job = handle.lock()) {
      job->abort();
      ++count;
    }
  return count;
}

std::int64_t unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace seedbed::engine::service
