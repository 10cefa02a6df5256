// `seedbed serve`: a model behind OpenAI's interface, until a signal ends it.
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "cli/common.h"
#include "cli/shipped_model.h"
#include "engine/choose_device.h"
#include "engine/server/server.h"
#include "engine/service/api.h"

namespace seedbed::cli {
namespace {

using engine::DType;
using engine::server::Server;
using engine::service::Api;
using engine::service::Metric;
using engine::service::Profile;

const std::vector<std::string> kCacheTypes = {"fp8", "bf16", "f32"};
const std::vector<std::string> kProfiles = {"chat", "reasoner", "speciale"};
constexpr int kSignals[] = {SIGINT, SIGTERM};
constexpr std::int64_t kMostHostTokens = 1 << 30;

struct ServeRun {
  std::string model, host = "127.0.0.1", profile = "chat", expires, key_variable, name;
  std::string device = "auto", kv = "fp8", weights_root;
  std::int64_t port = 8000, cache_tokens = 0, max_batch = 64, chunk = 0, threads = 0;
  std::int64_t host_cache_tokens = 0, max_requests = 2'048, max_tokens = 4'096;
  bool deterministic = false, speculative = false, json = false;
};

// Takes the signals that end a program: the first one asks for an orderly end, the second does not
// wait for it. They are blocked in every thread that begins after this.
class Signals {
 public:
  Signals() {
    sigemptyset(&set_);
    for (const int number : kSignals) sigaddset(&set_, number);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
    thread_ = std::thread([this] { wait(); });
  }
  ~Signals() {
    over_ = true;
    thread_.join();
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // From now on the first signal calls this, on the signals' own thread; before, it ends the
  // program.
  void on_first(std::function<void()> what) {
    const std::lock_guard lock(mutex_);
    first_ = std::move(what);
  }
  void forget() { on_first(nullptr); }
  [[nodiscard]] int received() const { return received_; }

 private:
  void wait() {
    const timespec moment = {.tv_sec = 0, .tv_nsec = 50'000'000};
    while (!over_) {
      const int number = sigtimedwait(&set_, nullptr, &moment);
      if (number <= 0) continue;
      const std::lock_guard lock(mutex_);
      if (received_ != 0 || !first_) _exit(128 + number);
      received_ = number;
      first_();
    }
  }

  sigset_t set_ = {}, before_ = {};
  std::mutex mutex_;
  std::function<void()> first_;
  std::atomic<int> received_{0};
  std::atomic<bool> over_{false};
  std::thread thread_;
};

// Each client takes a descriptor, and the soft limit is 1,024 on most machines.
void allow_descriptors() {
  constexpr rlim_t kEnough = 16'384;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kEnough) return;
  limit.rlim_cur = std::min(limit.rlim_max, kEnough);
  setrlimit(RLIMIT_NOFILE, &limit);  // where it fails, those above the limit are told so
}

Error wrong_time(const std::string& found) {
  return make_error(Where::usage, "serve", "--expires",
                    "found '" + found + "', wanted 2026-01-31T12:00:00Z, or +30d, +12h, +45m",
                    "correct the time");
}

bool number_at(const std::string& text, std::size_t at, std::size_t digits, int& out) {
  out = 0;
  if (at + digits > text.size()) return false;
  for (std::size_t i = at; i < at + digits; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    out = out * 10 + (text[i] - '0');
  }
  return true;
}

// RFC 3339, or a time from now. Seconds since 1970.
Result<std::int64_t> read_time(const std::string& text) {
  namespace chrono = std::chrono;
  if (text.starts_with('+')) {
    int count = 0;
    if (text.size() < 3 || text.size() > 8 || !number_at(text, 1, text.size() - 2, count))
      return wrong_time(text);
    const char unit = text.back();
    const std::int64_t seconds = unit == 'd'   ? 86'400
                                 : unit == 'h' ? 3'600
                                 : unit == 'm' ? 60
                                 : unit == 's' ? 1
                                               : 0;
    if (seconds == 0) return wrong_time(text);
    const auto now = chrono::system_clock::now().time_since_epoch();
    return chrono::duration_cast<chrono::seconds>(now).count() + count * seconds;
  }
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  if (!number_at(text, 0, 4, year) || !number_at(text, 5, 2, month) ||
      !number_at(text, 8, 2, day) || !number_at(text, 11, 2, hour) ||
      !number_at(text, 14, 2, minute) || !number_at(text, 17, 2, second) || text[4] != '-' ||
      text[7] != '-' || (text[10] != 'T' && text[10] != 't' && text[10] != ' ') ||
      text[13] != ':' || text[16] != ':' || hour > 23 || minute > 59 || second > 60)
    return wrong_time(text);
  std::size_t at = 19;
  if (at < text.size() && text[at] == '.')
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9';) ++at;
  const std::string zone = text.substr(at);
  int east_hours = 0, east_minutes = 0;
  if (zone.size() == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':') {
    if (!number_at(zone, 1, 2, east_hours) || !number_at(zone, 4, 2, east_minutes))
      return wrong_time(text);
    if (zone[0] == '-') {
      east_hours = -east_hours;
      east_minutes = -east_minutes;
    }
  } else if (zone != "Z" && zone != "z") {
    return wrong_time(text);
  }
  const chrono::year_month_day date{chrono::year(year), chrono::month(static_cast<unsigned>(month)),
                                    chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return wrong_time(text);
  const std::int64_t days = chrono::sys_days(date).time_since_epoch().count();
  return days * 86'400 + (hour - east_hours) * 3'600 + (minute - east_minutes) * 60 + second;
}

std::string folder_of(const std::string& model, std::string& name) {
  std::error_code error;
  auto path = std::filesystem::weakly_canonical(model, error);
  if (error) path = model;
  if (path.filename().empty()) path = path.parent_path();
  name = path.filename().string();
  return path.parent_path().string();
}

Result<engine::service::ApiOptions> api_options(const ServeRun& run) {
  engine::service::ApiOptions out;
  std::string name;
  const std::string parent = folder_of(run.model, name);
  out.model_name = run.name.empty() ? name : run.name;
  out.weights_root = run.weights_root.empty() ? parent : run.weights_root;
  out.profile = run.profile == "chat"       ? Profile::chat
                : run.profile == "reasoner" ? Profile::reasoner
                                            : Profile::speciale;
  if (!run.expires.empty()) {
    SEEDBED_TRY(out.expires_unix, read_time(run.expires));
  }
  if (!run.key_variable.empty()) {
    out.api_key = environment_variable(run.key_variable);
    if (out.api_key.empty())
      return make_error(Where::usage, "serve", "--api-key-env",
                        "found the variable " + run.key_variable + " empty, wanted a key in it",
                        "export it, or leave the flag out");
  }
  out.max_requests = static_cast<int>(run.max_requests);
  out.max_tokens = static_cast<int>(run.max_tokens);
  return out;
}

engine::EngineOptions engine_options(const ServeRun& run) {
  engine::EngineOptions out;
  out.model_dir = run.model;
  out.model.threads = static_cast<int>(run.threads);
  out.kv_dtype = run.kv == "f32" ? DType::f32 : run.kv == "bf16" ? DType::bf16 : DType::f8;
  out.cache_tokens = run.cache_tokens;
  out.host_cache_tokens = run.host_cache_tokens;
  out.chunk = static_cast<int>(run.chunk);
  out.max_batch = static_cast<int>(run.max_batch);
  out.speculative = run.speculative;
  return out;
}

std::vector<Metric> server_metrics(const Server& server) {
  const auto s = server.stats();
  const auto metric = [](const char* name, const char* help, bool counter, std::int64_t value) {
    return Metric{name, help, counter, static_cast<double>(value)};
  };
  return {
      metric("seedbed_connections", "Connections open now.", false, s.connections),
      metric("seedbed_connections_accepted_total", "Connections taken.", true, s.accepted),
      metric("seedbed_http_requests_total", "Requests read whole.", true, s.requests),
      metric("seedbed_http_refused_total", "Requests the server itself refused.", true, s.refused),
      metric("seedbed_http_gone_total", "Clients that left early.", true, s.gone),
      metric("seedbed_http_slow_total", "Clients that read too slowly.", true, s.slow),
  };
}

void say_ready(Context& context,
               const ServeRun& run,
               const engine::Engine& engine,
               const std::string& name,
               int port) {
  const bool v6 = run.host.find(':') != std::string::npos;
  const std::string address =
      "http://" + (v6 ? "[" + run.host + "]" : run.host) + ":" + std::to_string(port) + "/v1";
  if (run.json) {
    schemas::Value out = schemas::Value::object();
    out.set("address", address).set("host", run.host).set("port", port).set("model", name);
    out.set("profile", run.profile).set("weights_version", engine.policy_version());
    out.set("device", engine.device());
    out.set("cache_tokens", engine.cache_tokens()).set("max_batch", engine.max_batch());
    context.out.object(out);
  }
  // Flushes the object above, too.
  context.out.status("seedbed serve: " + name + ", weights " + engine.policy_version() + ", fits " +
                     format_count(engine.cache_tokens()) + " tokens at up to " +
                     std::to_string(engine.max_batch()) + " sequences on " + engine.device() +
                     ", " + address);
}

void declare(Options& options, ServeRun& run) {
  options.text("--model", run.model, "DIR",
               "folder of the model, tokenizer.json in it; absent: the model that comes with the "
               "program");
  options.text("--host", run.host, "H", "address to listen on");
  options.integer("--port", run.port, 0, 65'535, "port; 0: any free one, which is printed");
  options.choice("--profile", run.profile, kProfiles,
                 "chat: thinks where asked; reasoner: always; speciale: always, without tools and "
                 "JSON mode");
  options.text("--expires", run.expires, "TIME",
               "from then on 410: 2026-01-31T12:00:00Z, or +30d, +12h, +45m from now");
  options.text("--api-key-env", run.key_variable, "VAR",
               "environment variable with the key that clients must send");
  options.text("--model-name", run.name, "N", "what clients call it; else the folder's name");
  options.choice("--device", run.device, {"auto", "cpu", "cuda"},
                 "where to compute; auto: on a GPU where this build finds one");
  options.flag("--deterministic", run.deterministic,
               "the same tokens whatever the batch, the pieces and the cache: on cpu that holds "
               "in any case, at no cost");
  options.integer("--cache-tokens", run.cache_tokens, 0, std::int64_t{1} << 32,
                  "tokens that the cache holds over all requests; 0: as memory allows");
  options.integer("--host-cache-tokens", run.host_cache_tokens, 0, kMostHostTokens,
                  "tokens kept in the host's memory when the cache has no room for them; changes "
                  "no token; 0: none");
  options.integer("--max-batch", run.max_batch, 1, 4'096, "sequences computed at once");
  options.integer("--chunk", run.chunk, 0, 8'192,
                  "prompt tokens a forward pass; 0: 128 on the cpu, 2048 on a GPU");
  options.choice("--kv-dtype", run.kv, kCacheTypes, "what the key-value cache stores");
  options.integer("--threads", run.threads, 0, 1'024, "threads; 0: one for each core");
  options.flag("--speculative", run.speculative,
               "draft with the prediction layer; changes no token");
  options.integer("--max-requests", run.max_requests, 1, 1 << 20, "in flight; more get 503");
  options.integer("--max-tokens", run.max_tokens, 1, 1 << 24, "of an answer, unless asked for");
  options.text("--weights-root", run.weights_root, "DIR",
               "where /update_weights may take folders from; else the model's parent");
  options.flag("--json", run.json, "print one object with the port, then serve");
}

}  // namespace

Result<int> cmd_serve(Context& context, const Words& words) {
  ServeRun run;
  Options options("serve", "serve a model over HTTP: OpenAI's chat completions and more",
                  "seedbed serve --model nano --port 8000");
  declare(options, run);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(run.json);
  if (context.stop) return interrupted("seedbed serve");
  SEEDBED_TRY(run.model, model_or_shipped(run.model));
  SEEDBED_TRY(auto asked, api_options(run));
  const std::string name = asked.model_name;
  allow_descriptors();
  Signals signals;  // before any other thread
  SEEDBED_TRY(auto chosen, engine::choose_device(run.device));
  if (!chosen.note.empty()) context.out.status(chosen.note + "; computing on the CPU");
  auto how = engine_options(run);
  how.model.device = std::move(chosen.device);
  SEEDBED_TRY(const auto engine, engine::Engine::open(how));
  SEEDBED_TRY(const auto vocabulary,
              engine::service::ChatVocabulary::open(run.model, engine->config()));
  const auto listening = std::make_shared<std::weak_ptr<Server>>();
  asked.more_metrics = [listening] {
    const auto server = listening->lock();
    return server ? server_metrics(*server) : std::vector<Metric>();
  };
  Api api(*engine, vocabulary, std::move(asked));
  SEEDBED_TRY(auto opened,
              Server::open({.host = run.host, .port = static_cast<int>(run.port)},
                           [&api](auto exchange) { api.handle(std::move(exchange)); }));
  const std::shared_ptr<Server> server = std::move(opened);
  *listening = server;
  signals.on_first([&api, &server] {
    api.drain();
    server->stop();
  });
  say_ready(context, run, *engine, name, server->port());
  server->serve();
  signals.forget();
  context.out.status("seedbed serve: ended");
  return signals.received() == SIGINT ? 130 : 0;
}

}  // namespace seedbed::cli
