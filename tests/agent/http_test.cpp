#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <optional>

#include "agent/episode_seed.h"
#include "agent/http_body.h"
#include "agent/http_client.h"
#include "agent/rollout.h"
#include "bad_server.h"
#include "fixtures.h"

namespace seedbed {
namespace {

using agent::Reply;
using test::Answer;
using test::Asked;
using test::BadServer;

constexpr const char* kSecret = "sk-very-secret-0123456789";

Answer ok(std::string_view message, std::string_view finish = "stop") {
  return {.body = R"({"id":"1","choices":[{"index":0,"message":)" + std::string(message) +
                  R"(,"finish_reason":")" + std::string(finish) +
                  R"("}],"usage":{"prompt_tokens":11,"completion_tokens":5,"total_tokens":16}})"};
}
Answer ok_text(std::string_view text) {
  return ok(R"({"role":"assistant","content":")" + std::string(text) + "\"}");
}

class HttpTest : public ::testing::Test {
 protected:
  schemas::Environment env = test::clinic();
  schemas::TaskSpec task = test::task_for(env);
  std::string task_id = schemas::task_id(task);
  agent::Offered offered{env, task};
  std::vector<schemas::Turn> turns{test::turn_of("system", ""), test::turn_of("user", task.prompt)};
  boost::asio::io_context io{1};
  std::unique_ptr<agent::HttpEndpoint> endpoint;

  void SetUp() override { ::setenv("SEEDBED_TEST_KEY", kSecret, 1); }

  agent::HttpOptions options(const std::string& url) {
    agent::HttpOptions o;
    o.base_url = url;
    o.model = "tiny";
    o.timeout_ms = 2'000;
    o.connect_timeout_ms = 1'000;
    o.backoff_ms = 5;
    o.max_backoff_ms = 20;
    o.max_tries = 3;
    return o;
  }
  std::unique_ptr<agent::ModelClient> client(agent::HttpOptions o) {
    auto opened = agent::HttpEndpoint::open(io, std::move(o));
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    endpoint = *std::move(opened);
    auto out = endpoint->client();
    out->begin({task_id, task, 0, 1, nullptr});
    return out;
  }
  agent::View view(std::int64_t wall_ms = 60'000) { return {env, task, offered, turns, wall_ms}; }
  Result<Reply> one(agent::HttpOptions o, std::int64_t wall_ms = 60'000) {
    return client(std::move(o))->reply(view(wall_ms));
  }

  void expect_error(const Result<Reply>& got, const BadServer& server, std::string_view part) {
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.error().where, Where::model);
    EXPECT_NE(got.error().message.find(part), std::string::npos) << got.error().message;
    EXPECT_NE(got.error().message.find(std::to_string(server.port()) + "/v1/chat/completions"),
              std::string::npos)
        << got.error().message;
    EXPECT_NE(got.error().message.find("wanted a chat completion"), std::string::npos)
        << got.error().message;
  }
};

TEST_F(HttpTest, SendsToolsMessagesAndOptions) {
  BadServer server([](const Asked&, int) { return ok_text("hi"); });
  auto o = options(server.url());
  o.temperature = 0.5;
  o.max_tokens = 77;
  o.top_p = 0.25;
  o.min_p = 0.125;
  o.top_k = 9;
  o.extra = test::json(R"({"top_k":3})");  // has the last word
  auto got = one(o);
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(std::get<agent::Message>(got->what).text, "hi");
  EXPECT_EQ(got->prompt_tokens, 11);
  EXPECT_EQ(got->completion_tokens, 5);
  const auto body = test::json(server.asked().at(0).body);
  EXPECT_EQ(body.text("model"), "tiny");
  EXPECT_EQ(body.text("tool_choice"), "auto");
  EXPECT_EQ(body.integer("max_tokens"), 77);
  EXPECT_EQ(body.integer("top_k"), 3);
  EXPECT_EQ(body.find("top_p")->as_double(), 0.25);
  EXPECT_EQ(body.find("min_p")->as_double(), 0.125);
  EXPECT_EQ(static_cast<std::uint64_t>(body.integer("seed")), agent::episode_seed(1, task_id, 0));
  EXPECT_EQ(body.find("tools")->items().size(), 4U);
  EXPECT_EQ(body.find("messages")->items().at(0).text("role"), "system");
  EXPECT_NE(body.find("messages")->items().at(0).text("content").find("Handbook"),
            std::string::npos);
  EXPECT_EQ(body.find("messages")->items().at(1).text("content"), task.prompt);
}

TEST_F(HttpTest, WhatIsNotGivenIsNotSent) {
  BadServer server([](const Asked&, int) { return ok_text("hi"); });
  auto o = options(server.url());
  o.send_seed = false;
  ASSERT_TRUE(one(o).ok());
  const auto body = test::json(server.asked().at(0).body);
  for (const char* key : {"temperature", "top_p", "top_k", "min_p", "max_tokens", "seed"})
    EXPECT_EQ(body.find(key), nullptr) << key;
}

TEST_F(HttpTest, AConversationHasOneSessionAndSeedAndTheNextAnotherSession) {
  BadServer server([](const Asked&, int) { return ok_text("hi"); });
  auto model = client(options(server.url()));
  ASSERT_TRUE(model->reply(view()).ok());
  ASSERT_TRUE(model->reply(view()).ok());
  model->begin({task_id, task, 0, 1, nullptr});
  ASSERT_TRUE(model->reply(view()).ok());
  std::vector<std::string> sessions;
  for (const auto& asked : server.asked()) {
    const auto at = asked.head.find("X-Session-ID: ");
    ASSERT_NE(at, std::string::npos);
    sessions.push_back(asked.head.substr(at, asked.head.find("\r\n", at) - at));
    EXPECT_EQ(test::json(asked.body).integer("seed"),
              test::json(server.asked()[0].body).integer("seed"));
  }
  EXPECT_EQ(sessions[0], sessions[1]);
  EXPECT_NE(sessions[0], sessions[2]);
}

TEST_F(HttpTest, ReasoningThatIsEmptyGoesBackWhereTheEndpointTellsIt) {
  for (const bool tells : {true, false}) {
    BadServer server([&](const Asked&, int) {
      return ok(
          std::string(R"({"content":"",)") + (tells ? R"("reasoning_content":"",)" : "") +
              R"("tool_calls":[{"id":"x","function":{"name":"find_booking","arguments":"{}"}}]})",
          "tool_calls");
    });
    auto model = client(options(server.url()));
    ASSERT_TRUE(model->reply(view()).ok());
    turns.push_back(test::turn_of("assistant", ""));
    ASSERT_TRUE(model->reply(view()).ok());
    turns.pop_back();
    const auto body = test::json(server.asked().at(1).body);
    EXPECT_EQ(body.find("messages")->items().back().find("reasoning_content") != nullptr, tells);
  }
}

TEST_F(HttpTest, ReadsTokenIdsAndWhatTheServerCouldNotRead) {
  BadServer server([](const Asked&, int n) {
    if (n == 0)
      return Answer{.body = R"({"choices":[{"message":{"content":"hi"},"token_ids":[5,0,7]}]})"};
    if (n == 1)
      return Answer{.body = R"({"choices":[{"message":{"content":"hi"},"token_ids":[5,-1]}]})"};
    return Answer{
        .body =
            R"({"choices":[{"message":{"content":"a","reasoning_content":"r"},"malformed":[)"
            R"({"text":"<b>","why":"no end","call":0},{"text":"a","why":"a tag","call":null}]}]})"};
  });
  auto model = client(options(server.url()));
  EXPECT_EQ(model->reply(view())->tokens, (std::vector<std::int32_t>{5, 0, 7}));
  EXPECT_TRUE(model->reply(view())->tokens.empty());
  const auto got = model->reply(view());
  ASSERT_TRUE(got.ok());
  const auto& malformed = std::get<agent::Malformed>(got->what);
  EXPECT_EQ(malformed.text, "a<b>");
  EXPECT_EQ(malformed.why, "no end; a tag");
  EXPECT_EQ(malformed.reasoning, "r");
}

TEST_F(HttpTest, EachUnreadableAnswerIsAnErrorThatNamesTheUrlAndTheFirstBytes) {
  struct Case {
    Answer answer;
    const char* part;
  };
  const Case cases[] = {
      {{.body = "<!doctype html><html><body>Welcome", .headers = "Content-Type: text/html\r\n"},
       "HTML (first bytes: '<!doctype html>"},
      {{.body = R"({"id":"1","choices":[{"message":{"content":"hal)"}, "breaks off"},
      {{.body = ""}, "an empty body (first bytes: none)"},
      {{.body = "[]"}, "no member 'choices'"},
      {{.body = R"({"choices":[{"text":"old"}]})"}, "choices/0/message"},
      {{.body = R"({"error":{"message":"model is loading"}})"}, "model is loading"},
      {{.body = "caf\xff"}, "no JSON"},
      {{.status = 404, .body = "not here"}, "HTTP 404 (first bytes: 'not here')"},
  };
  for (const auto& c : cases) {
    BadServer server([&](const Asked&, int) { return c.answer; });
    expect_error(one(options(server.url())), server, c.part);
  }
}

TEST_F(HttpTest, AnAnswerThatBreaksOffOnTheWireIsTriedAgainThenAnError) {
  BadServer server([](const Asked&, int) {
    Answer a = ok_text("hi");
    a.cut = true;
    return a;
  });
  expect_error(one(options(server.url())), server, "no connection");
  EXPECT_EQ(server.asked().size(), 3U);
}

TEST_F(HttpTest, AServerThatNeverAnswersIsGivenUp) {
  BadServer server([](const Asked&, int) { return Answer{.silent = true}; });
  auto o = options(server.url());
  o.timeout_ms = 150;
  expect_error(one(o), server, "no whole answer in 150 ms");
  EXPECT_EQ(server.asked().size(), 2U);
}

TEST_F(HttpTest, NobodyListeningIsAnError) {
  std::string url;
  {
    BadServer server([](const Asked&, int) { return Answer{}; });
    url = server.url();
  }
  auto got = one(options(url));
  ASSERT_FALSE(got.ok());
  EXPECT_NE(got.error().message.find("no connection"), std::string::npos) << got.error().message;
}

TEST_F(HttpTest, TheEpisodesOwnTimeEndsTheEpisodeAndIsNoError) {
  BadServer server([](const Asked&, int) { return Answer{.silent = true}; });
  auto got = one(options(server.url()), 100);
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(got->stop, schemas::Stop::out_of_time);
}

TEST_F(HttpTest, TooManyRequestsIsWaitedOut) {
  BadServer server([](const Asked&, int n) {
    if (n < 2) return Answer{.status = 429, .body = "slow down", .headers = "Retry-After: 1\r\n"};
    return ok_text("hi");
  });
  auto o = options(server.url());
  o.max_backoff_ms = 60;  // bounds what the server asks for
  const auto start = monotonic_us();
  auto got = one(o);
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(server.asked().size(), 3U);
  EXPECT_GE(monotonic_us() - start, 2 * 60'000);
}

TEST_F(HttpTest, ServerErrorsAreTriedOftenEnoughAndNoMore) {
  BadServer server([](const Asked&, int) { return Answer{.status = 503, .body = "overloaded"}; });
  expect_error(one(options(server.url())), server, "HTTP 503 (first bytes: 'overloaded')");
  EXPECT_EQ(server.asked().size(), 3U);
}

TEST_F(HttpTest, ASlowAnswerIsRead) {
  BadServer server([](const Asked&, int) {
    Answer a = ok_text("hi");
    a.drip_ms = 1;
    a.delay_ms = 50;
    return a;
  });
  auto got = one(options(server.url()));
  ASSERT_TRUE(got.ok()) << got.error().message;
}

TEST_F(HttpTest, AnEndlessAnswerIsCutAtItsBound) {
  BadServer server([](const Asked&, int) { return ok_text(std::string(200'000, 'x')); });
  auto o = options(server.url());
  o.max_response_bytes = 100'000;
  expect_error(one(o), server, "more than 100000 bytes");
}

TEST_F(HttpTest, ParallelCallsKeepTheirOrderAndBadArgumentsTheirText) {
  BadServer server([](const Asked&, int) {
    return ok(
        R"({"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[)"
        R"({"id":"a","type":"function","function":{"name":"find_booking","arguments":"{\"booking_id\": \"BK-1\"}"}},)"
        R"({"id":"b","type":"function","function":{"name":"find_booking","arguments":"{\"booking_id\": "}},)"
        R"({"id":"c","type":"function","function":{"name":"find_booking","arguments":""}}]})",
        "tool_calls");
  });
  auto got = one(options(server.url()));
  ASSERT_TRUE(got.ok()) << got.error().message;
  const auto& calls = std::get<agent::Calls>(got->what);
  EXPECT_EQ(calls.reasoning, "hm");
  ASSERT_EQ(calls.calls.size(), 3U);
  EXPECT_EQ(calls.calls[0].args.text("booking_id"), "BK-1");
  EXPECT_EQ(calls.calls[1].args.as_string(), "{\"booking_id\": ");
  EXPECT_TRUE(calls.calls[2].args.is_object());
}

TEST_F(HttpTest, ACallWithoutANameIsTheModelsMistake) {
  BadServer server([](const Asked&, int) {
    return ok(R"({"content":null,"tool_calls":[{"id":"a","function":{"arguments":"{}"}}]})");
  });
  auto got = one(options(server.url()));
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_TRUE(std::holds_alternative<agent::Malformed>(got->what));
}

TEST_F(HttpTest, ACutReplyAndAFullWindowEndTheEpisodeOutOfTokens) {
  BadServer cut([](const Asked&, int) { return ok(R"({"content":"and then I"})", "length"); });
  auto got = one(options(cut.url()));
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->stop, schemas::Stop::out_of_tokens);
  BadServer half([](const Asked&, int) {
    return ok(
        R"({"content":"","tool_calls":[{"id":"x","function":{"name":"find_booking","arguments":"{}"}}]})",
        "length");
  });
  got = one(options(half.url()));
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->stop, schemas::Stop::out_of_tokens);
  EXPECT_TRUE(std::holds_alternative<agent::Message>(got->what));  // none of its calls is run
  BadServer full([](const Asked&, int) {
    return Answer{
        .status = 400,
        .body =
            R"({"error":{"message":"This model's maximum context length is 2048 tokens","code":"context_length_exceeded"}})"};
  });
  got = one(options(full.url()));
  ASSERT_TRUE(got.ok()) << got.error().message;
  EXPECT_EQ(got->stop, schemas::Stop::out_of_tokens);
}

TEST_F(HttpTest, ReasoningGoesBackInsideAToolLoopAndIsDroppedAfterANewUserMessage) {
  task.user = schemas::UserScript{{}, "go on", 3};
  BadServer server([](const Asked&, int n) {
    const std::string thought = R"("reasoning_content":"thought )" + std::to_string(n) + "\"";
    const auto call = [&](const char* tool, const char* args) {
      return ok(R"({"content":"",)" + thought +
                    R"(,"tool_calls":[{"id":"x","type":"function","function":{"name":")" + tool +
                    R"(","arguments":")" + args + R"("}}]})",
                "tool_calls");
    };
    if (n == 0) return call("find_booking", R"({\"booking_id\":\"BK-17\"})");
    if (n == 1) return ok(R"({"content":"which one?",)" + thought + "}");
    return call("submit_result", R"({\"fee\":250})");
  });
  auto model = client(options(server.url()));
  const agent::RolloutSpec spec{.environment = env,
                                .task = task,
                                .offered = offered,
                                .task_id = task_id,
                                .policy = "http:tiny",
                                .policy_version = "1",
                                .sample = 0,
                                .seed = 1,
                                .budget = task.budget};
  std::unique_ptr<sandbox::ToolHost> host = std::make_unique<test::FakeHost>();
  const Clock clock;
  auto made = agent::rollout(spec, *model, host, {}, clock);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->trajectory.stop, schemas::Stop::answered);
  EXPECT_EQ(made->trajectory.completion_tokens, 15);
  const auto asked = server.asked();
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_NE(asked[1].body.find(R"("reasoning_content":"thought 0")"), std::string::npos);
  EXPECT_NE(asked[1].body.find(R"("tool_call_id":"x")"), std::string::npos);
  EXPECT_EQ(asked[2].body.find("reasoning_content"), std::string::npos);
  EXPECT_EQ(made->trajectory.turns.at(2).reasoning, "thought 0");  // the record keeps it
}

TEST_F(HttpTest, TheKeyIsSentAndNeverComesBack) {
  BadServer server([](const Asked& asked, int n) {
    EXPECT_NE(asked.head.find(std::string("Authorization: Bearer ") + kSecret), std::string::npos);
    if (n == 0) return ok_text(std::string("your key is ") + kSecret);
    return Answer{.status = 401, .body = std::string("bad key ") + kSecret};
  });
  auto o = options(server.url());
  o.api_key_env = "SEEDBED_TEST_KEY";
  auto model = client(o);
  auto got = model->reply(view());
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(std::get<agent::Message>(got->what).text, "your key is [key]");
  got = model->reply(view());
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().message.find(kSecret), std::string::npos);
  EXPECT_NE(got.error().message.find("$SEEDBED_TEST_KEY"), std::string::npos);
}

TEST_F(HttpTest, UserAndPasswordOfTheUrlAreShownNowhere) {
  BadServer server([](const Asked&, int) { return Answer{.status = 404, .body = "no"}; });
  auto got = one(options(server.url_with_user()));
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().message.find("hunter2"), std::string::npos) << got.error().message;
  EXPECT_EQ(agent::shown_url("https://u:p@h.example/v1?key=1#x"), "https://h.example/v1");
  EXPECT_EQ(agent::shown_url("http://h/a@b"), "http://h/a@b");
}

TEST_F(HttpTest, ARedirectIsNotFollowed) {
  BadServer server([](const Asked&, int) {
    return Answer{.status = 302, .body = "", .headers = "Location: http://127.0.0.1:1/\r\n"};
  });
  expect_error(one(options(server.url())), server, "HTTP 302");
  EXPECT_EQ(server.asked().size(), 1U);
}

TEST_F(HttpTest, BadOptionsAreRefusedBeforeAnythingIsSent) {
  for (const char* url :
       {"", "ftp://x/v1", "127.0.0.1:80/v1", "http://x/v1?key=1", "http://x /v1"}) {
    auto opened = agent::HttpEndpoint::open(io, options(url));
    ASSERT_FALSE(opened.ok()) << url;
    EXPECT_EQ(opened.error().where, Where::usage);
  }
  auto o = options("http://127.0.0.1:1/v1");
  o.api_key_env = "SEEDBED_NO_SUCH_KEY";
  auto opened = agent::HttpEndpoint::open(io, o);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().where, Where::usage);
  EXPECT_NE(opened.error().message.find("$SEEDBED_NO_SUCH_KEY"), std::string::npos);
}

TEST_F(HttpTest, ManyConversationsWaitAtOnce) {
  BadServer server([](const Asked&, int) {
    Answer a = ok_text("hi");
    a.delay_ms = 100;
    return a;
  });
  (void)client(options(server.url()));
  constexpr int kMany = 24;
  std::vector<std::unique_ptr<agent::ModelClient>> clients;
  const agent::View seen = view();
  int answered = 0;
  const auto start = monotonic_us();
  for (int i = 0; i < kMany; ++i) {
    clients.push_back(endpoint->client());
    clients.back()->ask(seen, [&](Result<Reply> reply) {
      if (reply.ok()) ++answered;
    });
  }
  io.restart();
  io.run();
  EXPECT_EQ(answered, kMany);
  EXPECT_LT(monotonic_us() - start,
            kMany * 100'000 / 2);  // one after another would take kMany * 100 ms
}

TEST_F(HttpTest, ALoopDroppedInTheMiddleLeavesNothingBehind) {
  BadServer server([](const Asked&, int) { return Answer{.silent = true}; });
  auto model = client(options(server.url()));
  bool called = false;
  const agent::View seen = view();
  model->ask(seen, [&](Result<Reply>) { called = true; });
  io.restart();
  io.run_for(std::chrono::milliseconds(50));
  endpoint.reset();
  model.reset();
  EXPECT_FALSE(called);
}

}  // namespace
}  // namespace seedbed
