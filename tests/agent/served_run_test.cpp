// The same store, run with the model in this process and with the same model behind our own API:
// the same tokens.
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>
#include <mutex>

#include "agent/token_arrays.h"
#include "bad_server.h"
#include "engine/service/api.h"
#include "engine_store.h"

namespace seedbed {
namespace {

using EngineRun = test::EngineStore;  // one suite with engine_run_test.cpp

// Whatever is drawn is a reply that can be read.
const test::EngineKit& kit() {
  static const test::EngineKit made({
      test::dsml_call("find_person", "name", "Bo AHal"),
      test::dsml_call("list_bookings", "person_id", "P-102"),
      test::dsml_call("submit_result", "fee", "1037", false),
      {"What is your name?"},
  });
  return made;
}

std::string header(const std::string& head, const std::string& name) {
  const auto at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const auto begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

// The API behind a plain socket.
class Served {
 public:
  explicit Served(const agent::EngineModel& model)
      : api_(model.engine(), model.vocabulary(), options(model)),
        server_([this](const test::Asked& asked, int) { return answer(asked); }) {}
  [[nodiscard]] std::string url() const { return server_.url(); }
  [[nodiscard]] std::vector<test::Asked> asked() const { return server_.asked(); }

 private:
  static engine::service::ApiOptions options(const agent::EngineModel& model) {
    engine::service::ApiOptions out;
    out.model_name = "kit";
    out.max_context = model.window();
    return out;
  }
  test::Answer answer(const test::Asked& asked) {
    struct Wait {
      std::mutex mutex;
      std::condition_variable made;
      std::optional<engine::service::HttpReply> reply;
    };
    auto wait = std::make_shared<Wait>();
    auto exchange = std::make_shared<engine::service::Exchange>();
    exchange->method = "POST";
    exchange->path = "/v1/chat/completions";
    exchange->body = asked.body;
    exchange->content_type = "application/json";
    exchange->session = header(asked.head, "X-Session-ID");
    exchange->reply = [wait](engine::service::HttpReply reply) {
      const std::lock_guard lock(wait->mutex);
      wait->reply = std::move(reply);
      wait->made.notify_all();
    };
    exchange->begin_stream = [](const std::string&) {};
    exchange->send = [](const std::string&) {};
    exchange->end_stream = [] {};
    exchange->on_gone = [](const std::function<void()>&) {};
    api_.handle(exchange);
    std::unique_lock lock(wait->mutex);
    wait->made.wait(lock, [&] { return wait->reply.has_value(); });
    return {.status = wait->reply->status, .body = wait->reply->body};
  }

  engine::service::Api api_;
  test::BadServer server_;
};

// What was sampled in an episode, one list a reply.
using Replies = std::vector<std::vector<std::int32_t>>;

Replies of_branches(const schemas::TokenRecord& record) {
  Replies out;
  for (const auto& branch : record.branches) {
    const auto arrays = agent::unpack(branch);
    EXPECT_TRUE(arrays.ok());
    for (const auto& span : arrays->spans) {
      const auto start = static_cast<std::size_t>(span.start);
      if (span.role != "assistant" || arrays->mask[start] == 0) continue;
      out.emplace_back(arrays->ids.begin() + span.start, arrays->ids.begin() + span.end);
      for (auto i = start; i < static_cast<std::size_t>(span.end); ++i)
        EXPECT_EQ(arrays->mask[i], 1);
    }
  }
  return out;
}

Replies of_turns(const schemas::Trajectory& trajectory) {
  Replies out;
  for (const auto& turn : trajectory.turns)
    if (turn.role == "assistant") out.push_back(turn.tokens);
  return out;
}

// Everything that was said and done.
std::string said(const schemas::Trajectory& t) {
  std::string out;
  for (const auto& turn : t.turns) {
    out += turn.role + ": " + turn.reasoning + " | " + turn.text + "\n";
    for (const auto& call : turn.calls)
      out += "  " + call.tool + " " + dump(call.args) + " -> " + call.result.out + "\n";
  }
  return out + std::string(enum_names(t.stop)[static_cast<std::size_t>(t.stop)]) + "\n";
}

class Sides {
 public:
  void add(const schemas::Trajectory& t) {
    auto& side = t.policy == "engine" ? in_process_ : served_;
    side[{t.task_id, t.sample}] = t;
  }
  void compare() const {
    ASSERT_EQ(in_process_.size(), served_.size());
    std::size_t replies = 0;
    for (const auto& [key, t] : in_process_) {
      const auto& other = served_.at(key);
      EXPECT_EQ(said(t), said(other));
      EXPECT_EQ(of_branches(*t.tokens), of_turns(other));
      EXPECT_EQ(t.prompt_tokens, other.prompt_tokens);
      EXPECT_EQ(t.completion_tokens, other.completion_tokens);
      EXPECT_EQ(t.malformed_calls, other.malformed_calls);
      replies += of_turns(other).size();
    }
    EXPECT_GT(replies, in_process_.size());
  }

 private:
  std::map<std::pair<std::string, std::int64_t>, schemas::Trajectory> in_process_, served_;
};

// Without masks, as the policy `engine` samples.
agent::RunOptions over_http(const agent::RunOptions& o, const std::string& url) {
  agent::RunOptions out = o;
  out.policy = "http";
  out.http.base_url = url;
  out.http.model = "kit";
  out.http.temperature = o.engine.temperature;
  out.http.top_p = o.engine.top_p;
  out.http.max_tokens = o.engine.max_tokens;
  out.http.extra = test::json(
      o.engine.thinking
          ? R"({"return_token_ids":true,"constrain":false,"thinking":{"type":"enabled"}})"
          : R"({"return_token_ids":true,"constrain":false})");
  return out;
}

TEST_F(EngineRun, BehindOurOwnApiTheSameTokensAreSampled) {
  for (const bool thinking : {true, false}) {
    SCOPED_TRACE(thinking ? "thinking" : "chat");
    store = fresh(thinking ? "thinking.db" : "chat.db");
    auto o = test::engine_options(kit(), thinking, 4);
    o.samples = 2;
    EXPECT_EQ(run(o).episodes, 16);
    auto model = agent::EngineModel::open(o.engine);
    ASSERT_TRUE(model.ok()) << model.error().message;
    Served served(**model);
    const auto made = run(over_http(o, served.url()));
    EXPECT_EQ(made.episodes, 16);
    EXPECT_EQ(made.infra_errors, 0);
    Sides sides;
    for (const auto& episode : episodes()) sides.add(episode.trajectory);
    sides.compare();
    // Turns begin with what is in pages, over HTTP too.
    const auto stats = (*model)->engine().stats();
    EXPECT_GT(stats.hit_tokens, stats.prompt_tokens / 2);
  }
}

}  // namespace
}  // namespace seedbed
