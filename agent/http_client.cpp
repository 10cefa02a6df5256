#include "agent/http_client.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdlib>

#include "agent/curl_loop.h"
#include "agent/episode_seed.h"
#include "agent/http_body.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/text.h"

namespace seedbed::agent {

namespace asio = boost::asio;
using Fault = HttpResponse::Fault;

struct HttpEndpoint::State {
  State(asio::io_context& loop, HttpOptions o) : io(loop), options(std::move(o)) {}
  asio::io_context& io;
  HttpOptions options;
  std::string url, shown, key;
  std::unique_ptr<CurlLoop> curl;
  bool tells_reasoning = false;  // as a reply showed
  std::uint64_t conversations = 0;
};

namespace {

using State = HttpEndpoint::State;

constexpr int kTriesOfBadBody =
    2;  // what times out or cannot be read once may be an accident; twice it is the endpoint

// One answer, judged: a reply, or an error with how often such a thing is worth trying.
struct Outcome {
  Result<Reply> reply;
  int tries = 1;
};

Error failed(const State& s, const std::string& found, std::string_view todo) {
  return make_error(Where::model, "model endpoint", s.shown,
                    "found " + found + ", wanted a chat completion", todo);
}

Outcome judge(const State& s, const HttpResponse& r) {
  if (r.fault == Fault::timed_out)
    return {failed(s,
                   "no whole answer in " + std::to_string(s.options.timeout_ms) +
                       " ms (first bytes: " + first_bytes(r.body) + ")",
                   "check that the server is alive, or give it more time with --timeout-ms"),
            kTriesOfBadBody};
  if (r.fault == Fault::too_big)
    return {failed(s,
                   "more than " + std::to_string(s.options.max_response_bytes) +
                       " bytes (first bytes: " + first_bytes(r.body) + ")",
                   "check --base-url, or set --max-tokens")};
  if (r.fault == Fault::connection)
    return {failed(s, "no connection (" + r.why + ")", "start the server or correct --base-url"),
            s.options.max_tries};
  const std::string answer =
      "HTTP " + std::to_string(r.status) + " (first bytes: " + first_bytes(r.body) + ")";
  if (r.status >= 200 && r.status < 300) {
    auto reply = parse_chat_reply(r.body, s.shown);
    return {std::move(reply), kTriesOfBadBody};
  }
  if (r.status == 429 || r.status == 408 || r.status >= 500)
    return {failed(s, answer, "wait, or lower --concurrency"), s.options.max_tries};
  if ((r.status == 400 || r.status == 413) && says_context_exceeded(r.body)) {
    Reply reply;
    reply.stop = schemas::Stop::out_of_tokens;
    reply.stop_detail = "the conversation is longer than the model's window";
    return {std::move(reply)};
  }
  if (r.status == 401 || r.status == 403)
    return {failed(s, answer,
                   s.options.api_key_env.empty()
                       ? "name the variable that holds the key with --api-key-env"
                       : "check the key in $" + s.options.api_key_env)};
  return {failed(s, answer, "check --base-url and --model-name")};
}

asio::awaitable<HttpResponse> post(State& s, HttpRequest request) {
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(HttpResponse)>(
      [&s](auto handler, HttpRequest r) {
        // std::function wants a copyable callable.
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        s.curl->post(std::move(r),
                     [shared](HttpResponse response) { std::move (*shared)(std::move(response)); });
      },
      asio::use_awaitable, std::move(request));
}

void cut_key(const State& s, std::string& text) {
  if (!s.key.empty() && text.find(s.key) != std::string::npos)
    text = replace_all(std::move(text), s.key, "[key]");
}

HttpRequest request_for(const State& s,
                        const std::string& body,
                        const std::string& session,
                        std::int64_t left_ms) {
  HttpRequest request{
      .url = s.url,
      .body = body,
      .headers = {"Content-Type: application/json", "Accept: application/json",
                  "Expect:", "X-Session-ID: " + session},
      .connect_timeout_ms = s.options.connect_timeout_ms,
      .timeout_ms = static_cast<int>(std::min<std::int64_t>(s.options.timeout_ms, left_ms)),
      .max_response_bytes = s.options.max_response_bytes};
  if (!s.key.empty()) request.headers.push_back("Authorization: Bearer " + s.key);
  return request;
}

// Half to one and a half times the doubled base; at least what the server asked for; bounded.
std::int64_t pause_ms(const HttpOptions& o, int tried, std::int64_t asked_ms, Rng& rng) {
  const std::int64_t base = std::min<std::int64_t>(
      o.max_backoff_ms, std::int64_t{o.backoff_ms} << std::min(tried - 1, 16));
  const std::int64_t jittered =
      base / 2 + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(base) + 1));
  return std::min<std::int64_t>(o.max_backoff_ms, std::max(jittered, asked_ms));
}

asio::awaitable<void> converse(std::shared_ptr<State> s,
                               std::string body,
                               std::string session,
                               std::int64_t wall_ms,
                               std::uint64_t seed,
                               std::function<void(Result<Reply>)> done) {
  const std::int64_t start_us = monotonic_us();
  Rng rng(hash64(body, seed));
  for (int tried = 1;; ++tried) {
    const std::int64_t left_ms = wall_ms - (monotonic_us() - start_us) / 1000;
    HttpResponse response =
        co_await post(*s, request_for(*s, body, session, std::max<std::int64_t>(1, left_ms)));
    cut_key(*s, response.body);
    cut_key(*s, response.why);
    Outcome outcome = judge(*s, response);
    if (outcome.reply.ok() && outcome.reply->tells_reasoning) s->tells_reasoning = true;
    if (outcome.reply.ok() || tried >= outcome.tries) {
      // The episode's own time ran out before the endpoint's.
      if (response.fault == Fault::timed_out && left_ms < s->options.timeout_ms) break;
      done(std::move(outcome.reply));
      co_return;
    }
    const std::int64_t wait_ms = pause_ms(s->options, tried, response.retry_after_ms, rng);
    if (wait_ms >= wall_ms - (monotonic_us() - start_us) / 1000) break;
    asio::steady_timer timer(s->io, std::chrono::milliseconds(wait_ms));
    co_await timer.async_wait(asio::use_awaitable);
  }
  Reply reply;
  reply.stop = schemas::Stop::out_of_time;
  reply.stop_detail = "the endpoint did not answer within the episode's time";
  done(std::move(reply));
}

class HttpClient final : public ModelClient {
 public:
  explicit HttpClient(std::shared_ptr<State> state) : state_(std::move(state)) {}

  void begin(const EpisodeStart& start) override {
    seed_ = episode_seed(start.seed, start.task_id, start.sample);
    session_ = new_session();
  }
  void ask(const View& view, std::function<void(Result<Reply>)> done) override {
    asio::co_spawn(
        state_->io,
        converse(state_, request_body(view, state_->options, seed_, state_->tells_reasoning),
                 session_, view.wall_ms_left, seed_, std::move(done)),
        asio::detached);
  }
  Result<Reply> reply(const View& view) override {
    std::optional<Result<Reply>> out;
    ask(view, [&out](Result<Reply> answer) { out = std::move(answer); });
    if (state_->io.stopped()) state_->io.restart();
    while (!out && state_->io.run_one() > 0) {
    }
    if (!out) return failed(*state_, "a loop that was stopped", "start the run again");
    return *std::move(out);
  }

 private:
  // A name of the conversation that nobody else has: servers keep what they know of it apart, and
  // routers keep it on one server. Nothing is drawn from it.
  [[nodiscard]] std::string new_session() const {
    return "seedbed-" +
           content_hash(std::to_string(::getpid()) + " " + std::to_string(monotonic_us()) + " " +
                        std::to_string(++state_->conversations));
  }

  std::shared_ptr<State> state_;
  std::uint64_t seed_ = 0;
  std::string session_;
};

Result<std::string> read_key(const std::string& variable) {
  if (variable.empty()) return std::string();
  const char* found = std::getenv(
      variable.c_str());  // NOLINT(concurrency-mt-unsafe): nothing here writes the environment
  const std::string key(trim(found == nullptr ? "" : found));
  if (key.empty())
    return make_error(Where::usage, "API key", "$" + variable, "found nothing, wanted the key",
                      "export " + variable + "=...");
  for (const char c : key)
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) == 0x7f)
      return make_error(Where::usage, "API key", "$" + variable,
                        "found a control character or space in it, wanted a key that fits a header",
                        "set it again");
  return key;
}

}  // namespace

Result<std::unique_ptr<HttpEndpoint>> HttpEndpoint::open(asio::io_context& io,
                                                         HttpOptions options) {
  auto state = std::make_shared<State>(io, std::move(options));
  const std::string& base = state->options.base_url;
  state->shown = shown_url(base);
  const std::string lower = lower_ascii(base);
  if ((lower.rfind("http://", 0) != 0 && lower.rfind("https://", 0) != 0) ||
      base.find_first_of(" \t\r\n") != std::string::npos ||
      base.find_first_of("?#") != std::string::npos)
    return make_error(Where::usage, "model endpoint", "--base-url",
                      "found '" + state->shown + "', wanted http(s)://HOST[:PORT]/v1",
                      "give the URL up to and with /v1");
  if (state->options.model.empty())
    return make_error(Where::usage, "model endpoint", "--model-name",
                      "found nothing, wanted the model's name", "name it");
  if (!state->options.extra.is_null() && !state->options.extra.is_object())
    return make_error(Where::usage, "model endpoint", "extra members",
                      "found no object, wanted one", "correct it");
  const auto end = base.find_last_not_of('/');
  state->url = base.substr(0, end + 1) + "/chat/completions";
  state->shown = shown_url(state->url);
  SEEDBED_TRY(state->key, read_key(state->options.api_key_env));
  SEEDBED_TRY(state->curl, CurlLoop::open(io));
  return std::unique_ptr<HttpEndpoint>(new HttpEndpoint(std::move(state)));
}

HttpEndpoint::HttpEndpoint(std::shared_ptr<State> state) : state_(std::move(state)) {}
HttpEndpoint::~HttpEndpoint() {
  state_->curl.reset();
}

std::unique_ptr<ModelClient> HttpEndpoint::client() {
  return std::make_unique<HttpClient>(state_);
}

}  // namespace seedbed::agent
