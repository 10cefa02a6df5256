#include "engine/service/api.h"

#include <array>
#include <thread>

#include "engine/service/chat.h"
#include "engine/service/completions.h"
#include "engine/service/generate.h"
#include "engine/service/metrics.h"
#include "engine/service/operations.h"
#include "engine/service/service.h"

namespace seedbed::engine::service {
namespace {

using Serve = Refusal (*)(Service&,
                          const std::shared_ptr<Exchange>&,
                          const std::shared_ptr<Flight>&);

struct Route {
  const char* method;
  const char* path;
  Serve serve;
  bool open = false;     // whatever the state of the server
  bool control = false;  // not counted against the limit of requests
  bool waiting = false;  // blocks until the engine is so far: a thread of its own
};
constexpr Route kRoutes[] = {
    {"POST", "/v1/chat/completions", serve_chat},
    {"POST", "/chat/completions", serve_chat},  // as DeepSeek's base URL has it
    {"POST", "/v1/completions", serve_completions},
    {"POST", "/inference/v1/generate", serve_generate},
    {"GET", "/v1/models", serve_models},
    {"POST", "/tokenize", serve_tokenize},
    {"POST", "/detokenize", serve_detokenize},
    {"GET", "/version", serve_version},
    {"GET", "/metrics", serve_metrics, true},
    {"POST", "/update_weights", serve_update_weights, false, true, true},
    {"POST", "/pause", serve_pause, false, true, true},
    {"POST", "/resume", serve_resume, false, true, true},
    {"POST", "/reset_prefix_cache", serve_reset_prefix_cache, false, true, true},
    {"POST", "/abort_requests", serve_abort_requests, false, true},
};
constexpr std::string_view kModel = "/v1/models/";

// Every byte is looked at, so that the time tells nothing about where they differ.
bool same_secret(std::string_view a, std::string_view b) {
  std::size_t wrong = a.size() ^ b.size();
  for (std::size_t i = 0; i < a.size(); ++i)
    wrong |= static_cast<std::size_t>(static_cast<unsigned char>(a[i]) ^
                                      static_cast<unsigned char>(b.empty() ? 0 : b[i % b.size()]));
  return wrong == 0;
}

bool knows_key(const std::string& authorization, const std::string& key) {
  constexpr std::string_view kBearer = "Bearer ";
  std::string_view given = authorization;
  if (given.size() < kBearer.size()) return false;
  for (std::size_t i = 0; i < kBearer.size(); ++i)
    if ((given[i] | 0x20) != (kBearer[i] | 0x20)) return false;
  return same_secret(given.substr(kBearer.size()), key);
}

Fault plain(int status, std::string_view found, std::string_view todo, std::string type) {
  Fault out = bad("", found, todo);
  out.status = status;
  out.type = std::move(type);
  return out;
}

// Who has the answer in hand finds it counted no more.
void count_until_answered(Exchange& exchange, const std::weak_ptr<Flight>& flight) {
  const auto answered = [flight] {
    if (const auto here = flight.lock()) here->answered();
  };
  exchange.reply = [answered, reply = std::move(exchange.reply)](HttpReply what) {
    answered();
    reply(std::move(what));
  };
  exchange.end_stream = [answered, end = std::move(exchange.end_stream)] {
    answered();
    end();
  };
}

Fault shutting_down() {
  Fault out = plain(503, "found a server that is shutting down, wanted one that takes requests",
                    "try again in a moment", "server_error");
  out.retry_after = 5;
  return out;
}

const Route* route_of(std::string_view path, std::string_view method, std::string& allowed) {
  for (const Route& route : kRoutes) {
    const bool model = route.path == kModel.substr(0, kModel.size() - 1) &&
                       path.starts_with(kModel) && path.size() > kModel.size();
    if (path != route.path && !model) continue;
    if (method == route.method) return &route;
    allowed += (allowed.empty() ? "" : ", ") + std::string(route.method);
  }
  return nullptr;
}

}  // namespace

struct Api::Impl {
  Impl(Engine& engine, const ChatVocabulary& vocabulary, ApiOptions options)
      : service(engine, vocabulary, std::move(options)) {}

  void handle(const std::shared_ptr<Exchange>& exchange);
  void refuse(const Exchange& exchange, const Fault& fault) {
    ++service.refused;
    exchange.reply(reply_of(fault));
  }
  [[nodiscard]] Refusal admit(const Exchange& exchange, const Route* route, std::string& allowed);
  void work(const Route& route,
            const std::shared_ptr<Exchange>& exchange,
            const std::shared_ptr<Flight>& flight) {
    Refusal refusal = shutting_down();
    if (!service.closing) refusal = route.serve(service, exchange, flight);
    if (refusal) refuse(*exchange, *refusal);
  }

  Service service;
};

Refusal Api::Impl::admit(const Exchange& exchange, const Route* route, std::string& allowed) {
  const ApiOptions& options = service.options;
  if (!options.api_key.empty() && !knows_key(exchange.authorization, options.api_key)) {
    Fault out = plain(401, "found no valid key, wanted 'Authorization: Bearer KEY'",
                      "send the key that the server was started with", "authentication_error");
    out.code = "invalid_api_key";
    return out;
  }
  if (route == nullptr) {
    if (!allowed.empty())
      return plain(405,
                   "found " + exchange.method + " for " + exchange.path + ", wanted " + allowed,
                   "use that method", "invalid_request_error");
    return plain(404,
                 "found the path '" + exchange.path.substr(0, 200) + "', wanted one served here",
                 "see the paths in the documentation", "invalid_request_error");
  }
  if (!route->open && options.expires_unix > 0 && unix_now() >= options.expires_unix)
    return plain(410, "found a model whose time has passed, wanted one that is served",
                 "ask for another model", "invalid_request_error");
  if (route->open) return std::nullopt;
  if (service.draining) return shutting_down();
  if (!route->control && service.in_flight() > options.max_requests) {
    Fault out = plain(
        503, "found " + std::to_string(options.max_requests) + " requests in flight, wanted fewer",
        "try again in a moment", "server_error");
    out.code = "overloaded";
    out.retry_after = 1;
    return out;
  }
  return std::nullopt;
}

void Api::Impl::handle(const std::shared_ptr<Exchange>& exchange) {
  if (exchange->path == "/health") {
    HttpReply reply;
    reply.status = service.draining ? 503 : 200;
    reply.content_type = "text/plain";
    if (exchange->method != "GET" && exchange->method != "HEAD") {
      reply.status = 405;
      reply.headers.emplace_back("Allow", "GET");
    }
    exchange->reply(std::move(reply));
    return;
  }
  // Counted from here on, so that whoever takes the service away waits for it.
  auto flight = std::make_shared<Flight>(service);
  count_until_answered(*exchange, flight);
  std::string allowed;
  const Route* route = route_of(exchange->path, exchange->method, allowed);
  if (auto refusal = admit(*exchange, route, allowed)) {
    ++service.refused;
    HttpReply reply = reply_of(*refusal);
    if (refusal->status == 405) reply.headers.emplace_back("Allow", allowed);
    if (refusal->status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
    exchange->reply(std::move(reply));
    return;
  }
  if (route->waiting) {
    // Rare, and over before the flight is: whoever waits for that waits for the thread's work.
    std::thread([this, route, exchange, flight = std::move(flight)]() mutable {
      work(*route, exchange, flight);
      flight.reset();
    }).detach();
    return;
  }
  service.requests.post(
      [this, route, exchange, flight = std::move(flight)] { work(*route, exchange, flight); });
}

Api::Api(Engine& engine, const ChatVocabulary& vocabulary, ApiOptions options)
    : impl_(std::make_unique<Impl>(engine, vocabulary, std::move(options))) {}

Api::~Api() {
  drain();
  impl_->service.closing = true;
  impl_->service.abort_all();
  impl_->service.wait_until_idle();
}

void Api::handle(std::shared_ptr<Exchange> exchange) {
  impl_->handle(exchange);
}

void Api::drain() {
  impl_->service.draining = true;
}

std::int64_t Api::in_flight() const {
  return impl_->service.in_flight();
}

}  // namespace seedbed::engine::service
