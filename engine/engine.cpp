#include "engine/engine.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "engine/scheduler.h"

namespace seedbed::engine {

namespace {

constexpr std::int64_t kMostCacheTokens = 1 << 20;
constexpr std::int64_t kPage = kernels::kPageTokens;
constexpr std::int64_t kMostPages = 1 << 24;
constexpr std::chrono::milliseconds kHeldEvery{50};
constexpr std::int64_t kFewNodes = 4096;
constexpr int kHostChunk = 128, kDeviceChunk = 2048;

// What the machine can spare: a quarter of its memory, or nine tenths of what a GPU has left.
std::int64_t default_cache_tokens(const ModelConfig& config,
                                  DType dtype,
                                  const kernels::Device& device) {
  const std::int64_t page = cache_bytes_per_page(config, dtype);
  if (const std::int64_t left = device.is_host() ? -1 : device.free_bytes(); left >= 0)
    return std::clamp<std::int64_t>(left / 10 * 9 / page * kPage, kPage, kMostCacheTokens);
  const auto memory = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) *
                      static_cast<std::int64_t>(sysconf(_SC_PAGESIZE));
  const std::int64_t pages = memory / 4 / page;
  return std::clamp<std::int64_t>(pages * kPage, kPage, kMostCacheTokens);
}

Error too_many(const char* what, std::int64_t tokens) {
  return make_error(
      Where::usage, "key-value cache", what,
      std::to_string(tokens) + ", wanted at most " + std::to_string(kMostPages * kPage),
      "ask for less");
}

// All that steps will need, at once.
Step reserve(Model& model, const EngineOptions& options) {
  const std::int64_t batch = std::max(1, options.max_batch);
  const std::int64_t most = options.cache_tokens > 0 ? options.cache_tokens : kMostCacheTokens;
  return model.reserve(options.kv_dtype, static_cast<int>(options.chunk + 2 * batch),
                       static_cast<int>(2 * batch),
                       std::min<std::int64_t>(most, model.config().max_position_embeddings));
}

// The first setting in which two models differ, how weights are stored left out; "" where none.
std::string difference(const ModelConfig& a, const ModelConfig& b) {
  const auto left = to_json(a), right = to_json(b);
  for (const auto& [key, value] : left.members()) {
    if (key == "quantization_config" || key == "torch_dtype" || key == "dtype") continue;
    const auto* there = right.find(key);
    if (there == nullptr || *there != value) return key;
  }
  return "";
}

}  // namespace

struct Engine::Impl {
  EngineOptions options;
  ModelConfig config;
  std::unique_ptr<Model> model;
  std::unique_ptr<PageCache> cache;
  std::unique_ptr<HostPages> host_pages;  // null: none
  std::unique_ptr<Scheduler> scheduler;   // the engine's thread alone

  std::mutex mutex;  // what follows
  std::condition_variable changed;
  std::vector<std::function<void()>> commands;  // for the engine's thread
  bool stop = false, paused = false;
  std::string version;
  std::int32_t policy = 1;
  std::optional<Error> failed;

  std::string device;  // for people; never changes

  mutable std::mutex stats_mutex;
  EngineStats stats;
  std::chrono::steady_clock::time_point held_at;  // the engine's thread alone

  std::mutex reload_mutex;        // one at a time
  std::function<bool()> pending;  // the engine's thread alone; true: done with

  std::atomic<RequestId> next_request{1};
  std::atomic<std::uint64_t> next_session{1ULL << 63};

  struct Remembered {
    std::uint64_t key = 0, session = 0;
    std::vector<std::int32_t> tokens;
    std::vector<std::uint8_t> sampled;
    Routing routing;
  };
  mutable std::mutex sequences_mutex;
  std::map<SequenceId, std::shared_ptr<Remembered>> sequences;
  SequenceId next_sequence = 1;

  std::thread thread;

  void command(std::function<void()> what) {
    {
      const std::lock_guard lock(mutex);
      commands.push_back(std::move(what));
    }
    changed.notify_all();
  }
  void publish(bool idle);
  void work();
  void guarded(const std::function<void()>& what);
  Result<std::unique_ptr<Model>> load(const std::string& dir);
  Result<std::unique_ptr<Model>> load_where_it_may(const std::string& dir);
  [[nodiscard]] std::shared_ptr<Remembered> sequence(SequenceId id) const {
    const std::lock_guard lock(sequences_mutex);
    const auto at = sequences.find(id);
    SEEDBED_CHECK(at != sequences.end(), id);
    return at->second;
  }
  Step check(const Request& request) const;
  Step check_tokens(std::span<const std::int32_t> tokens, std::size_t length) const;
};

void Engine::Impl::publish(bool idle) {
  const auto now = std::chrono::steady_clock::now();
  const bool held = idle || cache->pages() < kFewNodes || now - held_at >= kHeldEvery;
  if (held) held_at = now;
  EngineStats taken = scheduler->stats(held);
  const std::lock_guard lock(stats_mutex);
  if (!held) {
    taken.pages_cached = stats.pages_cached;
    taken.pages_pinned = stats.pages_pinned;
  }
  stats = std::move(taken);
}

// A device that fails ends everybody's requests with the reason.
void Engine::Impl::guarded(const std::function<void()>& what) {
  try {
    what();
  } catch (const kernels::DeviceError& error) {
    const std::lock_guard lock(mutex);
    if (!failed)
      failed = make_error(Where::config, "device", device, error.what(),
                          "restart; if it comes again, see the driver's log (dmesg)");
  }
}

void Engine::Impl::work() {
  bool busy = false;
  while (true) {
    std::vector<std::function<void()>> todo;
    bool may_step = false, ending = false;
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return stop || !commands.empty() || (busy && !paused); });
      todo.swap(commands);
      may_step = !paused;
      ending = stop;
    }
    for (const auto& what : todo) guarded(what);
    if (ending) {
      scheduler->cancel_all();
      publish(true);
      scheduler->tell();
      return;
    }
    guarded([this] {
      if (pending && pending()) pending = nullptr;
    });
    busy = busy || !todo.empty();
    if (may_step) guarded([&] { busy = scheduler->step(); });
    if (failed) {  // written by this thread alone
      scheduler->fail_all(*failed);
      busy = false;
    }
    publish(!busy);
    scheduler->tell();
  }
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
  impl_->thread = std::thread([this] { impl_->work(); });
}

Engine::~Engine() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stop = true;
  }
  impl_->changed.notify_all();
  impl_->thread.join();
  // What was submitted by the last callbacks is told, too.
  for (const auto& what : impl_->commands) what();
  impl_->scheduler->cancel_all();
  impl_->scheduler->tell();
}

Result<std::unique_ptr<Engine>> Engine::open(const EngineOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  SEEDBED_TRY(impl->model, Model::load(options.model_dir, options.model));
  impl->config = impl->model->config();
  impl->version = impl->model->version();
  impl->device = impl->model->device()->describe();
  const kernels::Device& device = *impl->model->device();
  EngineOptions& chosen = impl->options;
  if (chosen.chunk <= 0) chosen.chunk = device.is_host() ? kHostChunk : kDeviceChunk;
  if (!device.is_host())
    if (auto error = reserve(*impl->model, chosen)) return *std::move(error);
  const std::int64_t wanted = options.cache_tokens > 0
                                  ? options.cache_tokens
                                  : default_cache_tokens(impl->config, options.kv_dtype, device);
  const std::int64_t pages = (wanted + kPage - 1) / kPage;
  if (pages > kMostPages) return too_many("cache_tokens", wanted);
  SEEDBED_TRY(impl->cache,
              PageCache::make(impl->config, options.kv_dtype, static_cast<int>(pages),
                              impl->model->moe_layers() * impl->config.num_experts_per_tok,
                              impl->model->device()));
  if (options.host_cache_tokens > 0 && options.prefix_cache) {
    const std::int64_t host_pages = (options.host_cache_tokens + kPage - 1) / kPage;
    if (host_pages > kMostPages) return too_many("host_cache_tokens", options.host_cache_tokens);
    SEEDBED_TRY(impl->host_pages,
                HostPages::make(impl->cache->page_bytes(), static_cast<int>(host_pages)));
  }
  impl->scheduler =
      std::make_unique<Scheduler>(*impl->model, *impl->cache, chosen, impl->host_pages.get());
  if (!device.is_host())
    if (auto error = impl->scheduler->reserve()) return *std::move(error);
  impl->publish(true);
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

const ModelConfig& Engine::config() const {
  return impl_->config;
}
std::string Engine::policy_version() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->version;
}
std::int32_t Engine::policy() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->policy;
}
std::int64_t Engine::cache_tokens() const {
  return std::int64_t{impl_->cache->pages()} * kPage;
}
int Engine::max_batch() const {
  return impl_->options.max_batch;
}
EngineStats Engine::stats() const {
  EngineStats out;
  {
    const std::lock_guard lock(impl_->stats_mutex);
    out = impl_->stats;
  }
  const std::lock_guard lock(impl_->mutex);
  out.paused = impl_->paused;
  return out;
}

// `length`: of the whole sequence.
Step Engine::Impl::check_tokens(std::span<const std::int32_t> tokens, std::size_t length) const {
  for (const std::int32_t token : tokens)
    if (token < 0 || token >= config.vocab_size)
      return make_error(Where::model, "token id", std::to_string(token),
                        "wanted 0 to " + std::to_string(config.vocab_size - 1),
                        "use the tokenizer of this model");
  if (static_cast<std::int64_t>(length) > config.max_position_embeddings)
    return make_error(
        Where::model, "sequence", std::to_string(length) + " tokens",
        "the model has " + std::to_string(config.max_position_embeddings) + " positions",
        "shorten the prompt");
  return std::nullopt;
}

Step Engine::Impl::check(const Request& request) const {
  if (auto error = check_sampling(request.params.sampling, config.vocab_size)) return error;
  if (request.params.max_tokens < 1)
    return make_error(Where::usage, "generation", "max_tokens",
                      std::to_string(request.params.max_tokens) + ", wanted 1 or more",
                      "change the value");
  if (request.prompt.empty())
    return make_error(Where::model, "generation", "sequence",
                      "it holds no token, wanted at least one", "append a prompt first");
  if (auto error = check_tokens(request.prompt, request.prompt.size())) return error;
  const std::int64_t room = std::int64_t{cache->pages()} * kPage;
  if (static_cast<std::int64_t>(request.prompt.size()) > room)
    return make_error(Where::model, "key-value cache",
                      std::to_string(request.prompt.size()) + " tokens",
                      "it has room for " + std::to_string(room),
                      "shorten the prompt, or give the cache more room");
  return std::nullopt;
}

std::string Engine::device() const {
  return impl_->device;
}
std::optional<Error> Engine::failed() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->failed;
}

Result<Engine::RequestId> Engine::submit(Request request, OnDone done) {
  if (auto error = failed()) return *std::move(error);
  if (auto error = impl_->check(request)) return *std::move(error);
  auto s = std::make_shared<std::unique_ptr<Sequence>>(std::make_unique<Sequence>());
  const RequestId id = impl_->next_request++;
  (*s)->id = id;
  (*s)->request = std::move(request);
  (*s)->done = std::move(done);
  (*s)->submitted = std::chrono::steady_clock::now();
  impl_->command([this, s] { impl_->scheduler->submit(std::move(*s)); });
  return id;
}

void Engine::abort(RequestId id) {
  impl_->command([this, id] { impl_->scheduler->abort(id); });
}

Result<Generated> Engine::run(Request request) {
  auto promise = std::make_shared<std::promise<Result<Generated>>>();
  auto future = promise->get_future();
  SEEDBED_TRY(const RequestId id, submit(std::move(request), [promise](Result<Generated> result) {
                promise->set_value(std::move(result));
              }));
  (void)id;
  return future.get();
}

void Engine::end_session(std::uint64_t session) {
  impl_->command([this, session] { impl_->scheduler->end_session(session); });
}
std::uint64_t Engine::new_session() {
  return impl_->next_session++;
}

void Engine::pause() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->paused = true;
  }
  // The step at hand ends first.
  auto done = std::make_shared<std::promise<void>>();
  impl_->command([done] { done->set_value(); });
  done->get_future().wait();
}
void Engine::resume() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->paused = false;
  }
  impl_->command([] {});
}

void Engine::drop_prefix_cache() {
  auto done = std::make_shared<std::promise<void>>();
  impl_->command([this, done] {
    impl_->scheduler->drop_prefix_cache();
    impl_->publish(true);
    done->set_value();
  });
  done->get_future().wait();
}

// Other weights of the same shape, beside the ones in use.
Result<std::unique_ptr<Model>> Engine::Impl::load(const std::string& dir) {
  auto loaded = Model::load(dir, options.model);
  if (!loaded.ok()) return Error{Where::model, loaded.error().message};
  if (auto other = difference((*loaded)->config(), config); !other.empty())
    return make_error(Where::model, "weights", dir,
                      "found another " + other + ", wanted the shape of the model in use",
                      "start a server of its own for another model");
  if (!(*loaded)->device()->is_host())
    if (auto error = reserve(**loaded, options)) return Error{Where::model, error->message};
  return loaded;
}

// A GPU is one thread's: there no step is made meanwhile.
Result<std::unique_ptr<Model>> Engine::Impl::load_where_it_may(const std::string& dir) {
  if (model->device()->is_host()) return load(dir);
  auto promise = std::make_shared<std::promise<Result<std::unique_ptr<Model>>>>();
  auto future = promise->get_future();
  command([this, promise, dir] {
    try {
      promise->set_value(load(dir));
    } catch (const kernels::DeviceError& error) {
      promise->set_value(make_error(Where::model, "device", device, error.what(), "restart"));
      throw;
    }
  });
  return future.get();
}

Step Engine::reload(const std::string& dir, Reload how) {
  const std::lock_guard one(impl_->reload_mutex);
  if (auto error = failed()) return error;
  auto loaded = impl_->load_where_it_may(dir);
  if (!loaded.ok()) return std::move(loaded).error();
  auto model = std::make_shared<std::unique_ptr<Model>>(*std::move(loaded));
  auto done = std::make_shared<std::promise<void>>();
  auto finished = done->get_future();
  impl_->command([this, model, done, how] {
    impl_->scheduler->hold_admissions(true);
    impl_->pending = [this, model, done, how] {
      if (how == Reload::drain && !impl_->scheduler->idle()) return false;
      std::string version = (*model)->version();
      std::int32_t policy = 0;
      {
        const std::lock_guard lock(impl_->mutex);
        policy = ++impl_->policy;
        impl_->version = std::move(version);
      }
      impl_->scheduler->set_model(**model, policy);
      impl_->model.swap(*model);
      model->reset();  // here, where the device is used
      impl_->scheduler->hold_admissions(false);
      impl_->publish(true);
      done->set_value();
      return true;
    };
  });
  finished.wait();
  return std::nullopt;
}

// ---- sequences ----
Engine::SequenceId Engine::open_sequence(std::uint64_t key) {
  auto made = std::make_shared<Impl::Remembered>();
  made->key = key;
  made->session = new_session();
  const std::lock_guard lock(impl_->sequences_mutex);
  const SequenceId id = impl_->next_sequence++;
  impl_->sequences[id] = std::move(made);
  return id;
}

void Engine::close_sequence(SequenceId id) {
  const std::lock_guard lock(impl_->sequences_mutex);
  const auto at = impl_->sequences.find(id);
  if (at == impl_->sequences.end()) return;
  end_session(at->second->session);
  impl_->sequences.erase(at);
}

Step Engine::append(SequenceId id, std::span<const std::int32_t> tokens) {
  const auto s = impl_->sequence(id);
  if (auto error = impl_->check_tokens(tokens, s->tokens.size() + tokens.size())) return error;
  s->tokens.insert(s->tokens.end(), tokens.begin(), tokens.end());
  s->sampled.resize(s->tokens.size(), 0);
  return std::nullopt;
}

void Engine::truncate(SequenceId id, std::int64_t length) {
  const auto s = impl_->sequence(id);
  if (length < 0 || length >= static_cast<std::int64_t>(s->tokens.size())) return;
  s->tokens.resize(static_cast<std::size_t>(length));
  s->sampled.resize(static_cast<std::size_t>(length));
  const auto per_token =
      static_cast<std::size_t>(s->routing.layers) * static_cast<std::size_t>(s->routing.experts);
  s->routing.ids.resize(
      std::min(s->routing.ids.size(), static_cast<std::size_t>(length) * per_token));
}

std::vector<std::int32_t> Engine::tokens(SequenceId id) const {
  return impl_->sequence(id)->tokens;
}

Routing Engine::routing(SequenceId id) const {
  return impl_->sequence(id)->routing;
}

Result<Generated> Engine::generate(SequenceId id, const GenerateParams& params) {
  const auto s = impl_->sequence(id);
  Request request;
  request.prompt = s->tokens;
  request.sampled = s->sampled;
  request.params = params;
  request.params.want_routing = true;
  request.key = s->key;
  request.session = s->session;
  SEEDBED_TRY(Generated out, run(std::move(request)));
  for (const TokenOut& token : out.tokens) s->tokens.push_back(token.id);
  s->sampled.resize(s->tokens.size(), 1);
  s->routing = out.routing;
  return out;
}

}  // namespace seedbed::engine
