// What a prefix cache is worth to an agent, and what a fork costs: a conversation as agents have
// it, turn by turn, with the cache and without; several by turns in a cache for one, with a host
// tier and without; then many samples of one long prompt.
//   bench_replay [--model NAME] [--turns N] [--forks N]
//
// Sizes after published traces of coding agents: 33 turns in the median, replies of a few hundred
// tokens, results of tools somewhat longer, everything said before sent again with every turn.
// Token ids are random: what a prompt costs does not depend on what it says. `attainable` counts
// the tokens of a prompt that the turn before has read or written already.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/rng.h"
#include "bench/ceiling.h"
#include "engine/engine.h"
#include "engine/make_model.h"

namespace {

using namespace seedbed;
using namespace seedbed::engine;

constexpr int kSystemTokens = 2'048;  // what the place is, and the tools
constexpr int kReplyTokens = 150;
constexpr int kResultTokens = 350;
constexpr int kForkedPrompt = 4'096;
constexpr int kConversations = 4;  // in a cache for one

struct Setup {
  std::string model = "nano";
  int turns = 33, forks = 64;
};

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}
template <class T>
T must(Result<T> result) {
  if (!result.ok()) fail(result.error().message);
  return *std::move(result);
}

class Ids {
 public:
  Ids(int vocab, std::string_view purpose)
      : vocab_(static_cast<std::uint64_t>(vocab)), rng_(rng_for(1, "bench", 0, purpose)) {}
  void add(std::vector<std::int32_t>& to, int count) {
    for (int i = 0; i < count; ++i) to.push_back(static_cast<std::int32_t>(rng_.below(vocab_)));
  }

 private:
  std::uint64_t vocab_;
  Rng rng_;
};

struct Replay {
  std::int64_t prompt = 0, attainable = 0, hit = 0, computed = 0;
  double prefill_seconds = 0, decode_seconds = 0;
  std::vector<std::int32_t> sampled;
};

std::int64_t room_for(int turns) {
  return kSystemTokens + (turns + 1) * (kReplyTokens + kResultTokens) + 64 * 64;
}

struct Conversation {
  std::uint64_t session = 0;
  std::vector<std::int32_t> tokens;
  std::size_t known = 0;  // of them, after the last turn
};

void turn(Engine& engine, Ids& ids, Conversation& with, Replay& out) {
  ids.add(with.tokens, kResultTokens);
  Request request;
  request.prompt = with.tokens;
  request.session = with.session;
  request.params.max_tokens = kReplyTokens;
  request.params.ignore_eos = true;
  request.params.sampling.seed = 7;
  const Generated made = must(engine.run(std::move(request)));
  out.prompt += static_cast<std::int64_t>(with.tokens.size());
  out.attainable += static_cast<std::int64_t>(with.known);
  out.hit += made.cached_tokens;
  out.computed += made.prompt_tokens;
  out.prefill_seconds += made.prefill_seconds;
  out.decode_seconds += made.decode_seconds;
  for (const auto& token : made.tokens) {
    with.tokens.push_back(token.id);
    out.sampled.push_back(token.id);
  }
  with.known = with.tokens.size();
}

Replay replay(const std::string& dir, const Setup& setup, bool prefix_cache) {
  EngineOptions options;
  options.model_dir = dir;
  options.prefix_cache = prefix_cache;
  options.cache_tokens = room_for(setup.turns);
  const auto engine = must(Engine::open(options));
  Ids ids(engine->config().vocab_size, "conversation");
  Conversation conversation{.session = engine->new_session(), .tokens = {}};
  ids.add(conversation.tokens, kSystemTokens);
  Replay out;
  for (int at = 0; at < setup.turns; ++at) turn(*engine, ids, conversation, out);
  engine->end_session(conversation.session);
  return out;
}

// Several conversations, a turn of each in turn, in a cache that has room for one.
bool tier(const std::string& dir, const Setup& setup) {
  const int turns = std::max(2, setup.turns / kConversations);
  std::vector<Replay> replays;
  for (const std::int64_t host_tokens : {std::int64_t{0}, kConversations * room_for(turns)}) {
    EngineOptions options;
    options.model_dir = dir;
    options.cache_tokens = room_for(turns);
    options.host_cache_tokens = host_tokens;
    const auto engine = must(Engine::open(options));
    std::vector<Conversation> conversations(kConversations);
    Ids ids(engine->config().vocab_size, "conversations");
    for (auto& one : conversations) {
      one.session = engine->new_session();
      ids.add(one.tokens, kSystemTokens);
    }
    Replay& out = replays.emplace_back();
    for (int at = 0; at < turns; ++at)
      for (auto& one : conversations) turn(*engine, ids, one, out);
    const EngineStats stats = engine->stats();
    std::printf(
        "bench replay_tier model=%s conversations=%d turns=%d cache_tokens=%lld host_tokens=%lld "
        "hit_tokens=%lld share_of_attainable=%.2f%% computed_tokens=%lld spilled_pages=%lld "
        "restored_pages=%lld prefill_seconds=%.2f\n",
        setup.model.c_str(), kConversations, turns, static_cast<long long>(options.cache_tokens),
        static_cast<long long>(host_tokens), static_cast<long long>(out.hit),
        100 * static_cast<double>(out.hit) /
            static_cast<double>(std::max<std::int64_t>(1, out.attainable)),
        static_cast<long long>(out.computed), static_cast<long long>(stats.spilled_pages),
        static_cast<long long>(stats.restored_pages), out.prefill_seconds);
    std::fflush(stdout);
  }
  return replays[0].sampled == replays[1].sampled;
}

void print(const Setup& setup, const Replay& r, bool prefix_cache) {
  std::printf(
      "bench replay model=%s turns=%d prefix_cache=%d prompt_tokens=%lld attainable_tokens=%lld "
      "hit_tokens=%lld share_of_attainable=%.2f%% computed_tokens=%lld prefill_seconds=%.2f "
      "decode_seconds=%.2f\n",
      setup.model.c_str(), setup.turns, prefix_cache ? 1 : 0, static_cast<long long>(r.prompt),
      static_cast<long long>(r.attainable), static_cast<long long>(r.hit),
      100 * static_cast<double>(r.hit) /
          static_cast<double>(std::max<std::int64_t>(1, r.attainable)),
      static_cast<long long>(r.computed), r.prefill_seconds, r.decode_seconds);
  std::fflush(stdout);
}

// The most pages that were held while `tokens` tokens of each of the samples were made.
struct Held {
  std::int64_t pages = 0, copied = 0, forks = 0;
  double seconds = 0;
};
Held hold(Engine& engine, const std::vector<std::int32_t>& prompt, int samples, int tokens) {
  std::mutex mutex;
  std::condition_variable ended;
  int left = samples;
  const EngineStats before = engine.stats();
  const double begin = bench::now_us();
  engine.pause();  // all are there before the first step
  for (int i = 0; i < samples; ++i) {
    Request request;
    request.prompt = prompt;
    request.key = static_cast<std::uint64_t>(i);
    request.params.max_tokens = tokens;
    request.params.ignore_eos = true;
    (void)must(engine.submit(std::move(request), [&](const Result<Generated>& made) {
      if (!made.ok()) fail(made.error().message);
      const std::lock_guard lock(mutex);
      if (--left == 0) ended.notify_all();
    }));
  }
  engine.resume();
  Held out;
  for (std::unique_lock lock(mutex); left > 0;) {
    lock.unlock();
    const EngineStats stats = engine.stats();
    out.pages = std::max(out.pages, stats.pages - stats.pages_free);
    lock.lock();
    ended.wait_for(lock, std::chrono::microseconds(200), [&] { return left == 0; });
  }
  out.seconds = (bench::now_us() - begin) / 1e6;
  const EngineStats after = engine.stats();
  out.pages = std::max(out.pages, after.pages - after.pages_free);
  out.copied = after.copied_pages - before.copied_pages;
  out.forks = after.forks - before.forks;
  return out;
}

// Each in an engine of its own, so that nothing else is in pages.
void forks(const std::string& dir, const Setup& setup) {
  for (const int length : {kForkedPrompt, kForkedPrompt - 32})
    for (const int tokens : {1, 8}) {  // the second to the eighth lie on one page
      EngineOptions options;
      options.model_dir = dir;
      options.max_batch = setup.forks;
      options.cache_tokens = std::int64_t{2} * kForkedPrompt + std::int64_t{setup.forks} * 2 * 64;
      const auto engine = must(Engine::open(options));
      std::vector<std::int32_t> prompt;
      Ids(engine->config().vocab_size, "forks").add(prompt, length);
      const Held held = hold(*engine, prompt, setup.forks, tokens);
      const std::int64_t prompt_pages = (length + 63) / 64;
      std::printf(
          "bench replay_forks model=%s forks=%d prompt_tokens=%d decoded_tokens=%d "
          "prompt_pages=%lld pages=%lld ratio=%.3f forked=%lld copied_pages=%lld seconds=%.2f\n",
          setup.model.c_str(), setup.forks, length, tokens - 1,
          static_cast<long long>(prompt_pages), static_cast<long long>(held.pages),
          static_cast<double>(held.pages) / static_cast<double>(prompt_pages),
          static_cast<long long>(held.forks), static_cast<long long>(held.copied), held.seconds);
      std::fflush(stdout);
    }
}

}  // namespace

int main(int argc, char** argv) {
  Setup setup;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i], value = argv[i + 1];
    if (key == "--model") setup.model = value;
    if (key == "--turns") setup.turns = std::atoi(value.c_str());
    if (key == "--forks") setup.forks = std::atoi(value.c_str());
  }
  if (setup.turns < 1 || setup.forks < 1) fail("--turns and --forks want at least 1");
  const auto config = must(named_config(setup.model));
  const auto dir = std::filesystem::temp_directory_path() /
                   ("seedbed_replay_" + setup.model + "_" + std::to_string(::getpid()));
  MakeModelOptions make;
  make.seed = 1;
  if (auto error = make_model(config, make, dir.string())) fail(error->message);

  const Replay with = replay(dir.string(), setup, true);
  print(setup, with, true);
  const Replay without = replay(dir.string(), setup, false);
  print(setup, without, false);
  std::printf("bench replay_ratio model=%s turns=%d prefill_times_less=%.1f same_tokens=%d\n",
              setup.model.c_str(), setup.turns, without.prefill_seconds / with.prefill_seconds,
              with.sampled == without.sampled ? 1 : 0);
  const bool same = tier(dir.string(), setup);
  if (!same) std::fprintf(stderr, "the host tier changed a token\n");
  forks(dir.string(), setup);
  std::filesystem::remove_all(dir);
  return same && with.sampled == without.sampled ? 0 : 1;
}
