// What an operator and a trainer's loop ask for.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <sstream>

#include "kit.h"

namespace seedbed {
namespace {

using engine::service::ApiOptions;
using schemas::Value;

const test::ServiceKit& kit() {
  static const test::ServiceKit made({{"Well", "."}}, {});
  return made;
}
const test::ServiceKit& other() {  // the same shape, other weights
  static const test::ServiceKit made({{"Well", "."}}, {.seed = 9});
  return made;
}

TEST(Operations, PathsAndMethodsThatDoNotExistAreSaidToBeSo) {
  test::Served served(kit());
  EXPECT_EQ(served.client.get("/v2/chat").status, 404);
  EXPECT_EQ(served.client.get("/").status, 404);
  const auto wrong = served.client.get("/v1/chat/completions");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.header("Allow"), "POST");
  EXPECT_EQ(served.client.post("/metrics", "").header("Allow"), "GET");
  EXPECT_EQ(served.client.send("DELETE", "/v1/models", "").status, 405);
  EXPECT_EQ(served.client.post("/health", "").status, 405);
  EXPECT_NE(wrong.json().find("error"), nullptr);
}

TEST(Operations, ListTheModelAndDescribeIt) {
  ApiOptions options;
  options.model_name = "org/nano";
  options.max_context = 1'000;
  test::Served served(kit(), options);
  const auto list = served.client.get("/v1/models");
  EXPECT_EQ(dump(list.json()),
            R"({"object":"list","data":[{"id":"org/nano","object":"model","created":0,)"
            R"("owned_by":"seedbed","root":"org/nano","max_model_len":1000}]})");
  EXPECT_EQ(served.client.get("/v1/models/org/nano").json().text("id"), "org/nano");
  EXPECT_EQ(served.client.get("/v1/models/other").status, 404);
  const auto version = served.client.get("/version").json();
  EXPECT_EQ(version.text("policy_version"), served.engine->policy_version());
  EXPECT_EQ(version.integer("policy"), 1);
}

TEST(Operations, TextBecomesTokensAndBack) {
  test::Served served(kit());
  const auto there = served.client.post("/tokenize", R"({"prompt": "the weather 天"})");
  ASSERT_EQ(there.status, 200) << there.body;
  const Value body = there.json();
  EXPECT_EQ(body.integer("count"), static_cast<std::int64_t>(body.find("tokens")->items().size()));
  EXPECT_EQ(body.integer("max_model_len"), 4'096);
  const auto back =
      served.client.post("/detokenize", R"({"tokens": )" + dump(*body.find("tokens")) + "}");
  EXPECT_NE(back.json().text("prompt").find("the weather 天"), std::string::npos);
  // The prompt of a chat is the one that the chat would have.
  const std::string chat = test::chat_body("hi", R"("thinking": {"type": "enabled"})");
  const auto tokens = served.client.post("/tokenize", chat);
  ASSERT_EQ(tokens.status, 200) << tokens.body;
  const auto answer = served.client.post(
      "/v1/chat/completions",
      test::chat_body("hi", R"("thinking": {"type": "enabled"}, "return_token_ids": true)"));
  EXPECT_EQ(dump(*tokens.json().find("tokens")), dump(*answer.json().find("prompt_token_ids")));
  EXPECT_EQ(served.client.post("/tokenize", "{}").status, 400);
  EXPECT_EQ(served.client.post("/detokenize", R"({"tokens": [-5]})").status, 400);
  EXPECT_EQ(served.client.post("/detokenize", "{}").status, 400);
}

TEST(Operations, AKeyIsAskedForWhereThereIsOne) {
  ApiOptions options;
  options.api_key = "secret";
  test::Served served(kit(), options);
  EXPECT_EQ(served.client.get("/health").status, 200);
  for (const char* given : {"", "secret", "Bearer", "Bearer ", "Bearer secre", "Bearer secret ",
                            "Bearer secretsecret", "Basic secret"}) {
    served.client.authorization = given;
    EXPECT_EQ(served.client.get("/v1/models").status, 401) << given;
    EXPECT_EQ(served.client.get("/metrics").status, 401) << given;
  }
  EXPECT_EQ(served.client.get("/v1/models").json().find("error")->text("code"), "invalid_api_key");
  for (const char* given : {"Bearer secret", "bearer secret"}) {
    served.client.authorization = given;
    EXPECT_EQ(served.client.get("/v1/models").status, 200);
  }
}

TEST(Operations, AModelWhoseTimeHasPassedIsGone) {
  ApiOptions options;
  options.expires_unix = 1'000'000;
  test::Served served(kit(), options);
  const auto answer = served.client.post("/v1/chat/completions", test::chat_body("hi"));
  EXPECT_EQ(answer.status, 410) << answer.body;
  EXPECT_EQ(served.client.get("/v1/models").status, 410);
  EXPECT_EQ(served.client.get("/health").status, 200);
  EXPECT_EQ(served.client.get("/metrics").status, 200);
  options.expires_unix = 4'000'000'000;
  test::Served later(kit(), options);
  EXPECT_EQ(later.client.post("/v1/chat/completions", test::chat_body("hi")).status, 200);
}

TEST(Operations, ADrainingServerTakesNothingNew) {
  test::Served served(kit());
  EXPECT_EQ(served.client.get("/health").body, "");
  served.api->drain();
  EXPECT_EQ(served.client.get("/health").status, 503);
  const auto answer = served.client.post("/v1/chat/completions", test::chat_body("hi"));
  EXPECT_EQ(answer.status, 503);
  EXPECT_FALSE(answer.header("Retry-After").empty());
  EXPECT_EQ(served.client.get("/metrics").status, 200);
}

TEST(Operations, MoreRequestsThanAllowedAreToldToComeBack) {
  ApiOptions options;
  options.max_requests = 2;
  test::Served served(kit(), options);
  EXPECT_EQ(served.client.post("/pause", "").json().text("status"), "paused");
  const auto one = served.client.begin("POST", "/v1/chat/completions", test::chat_body("a"));
  const auto two = served.client.begin("POST", "/v1/chat/completions", test::chat_body("b"));
  const auto three = served.client.post("/v1/chat/completions", test::chat_body("c"));
  EXPECT_EQ(three.status, 503) << three.body;
  EXPECT_FALSE(three.header("Retry-After").empty());
  EXPECT_EQ(served.client.post("/resume", "").json().text("status"), "running");
  EXPECT_EQ(one->wait().status, 200);
  EXPECT_EQ(two->wait().status, 200);
  EXPECT_EQ(served.client.post("/v1/chat/completions", test::chat_body("d")).status, 200);
}

TEST(Operations, RequestsCanBeAborted) {
  test::Served served(kit());
  served.client.post("/pause", "");
  const auto pending = served.client.begin("POST", "/v1/chat/completions", test::chat_body("a"));
  Value aborted;
  for (int i = 0; i < 200 && aborted.integer("aborted") == 0; ++i)
    aborted = served.client.post("/abort_requests", "").json();
  EXPECT_EQ(aborted.integer("aborted"), 1);
  served.client.post("/resume", "");
  EXPECT_EQ(test::summed(pending->wait().json()).text("finish_reason"), "abort");
}

// name{labels} -> value; checks each line on the way.
std::map<std::string, double> samples(const std::string& text) {
  std::map<std::string, double> out;
  std::istringstream in(text);
  std::string line, family;
  while (std::getline(in, line)) {
    if (line.starts_with("# HELP ") || line.starts_with("# TYPE ")) {
      family = line.substr(7, line.find(' ', 7) - 7);
      continue;
    }
    const auto space = line.rfind(' ');
    EXPECT_NE(space, std::string::npos) << line;
    EXPECT_TRUE(line.starts_with(family)) << line;
    EXPECT_NE(line.find("model_name=\"seedbed\""), std::string::npos) << line;
    EXPECT_TRUE(out.emplace(line.substr(0, space), std::stod(line.substr(space + 1))).second)
        << line;
  }
  return out;
}

TEST(Operations, MetricsCountWhatHappened) {
  ApiOptions options;
  options.more_metrics = [] {
    return std::vector<engine::service::Metric>{{"seedbed_connections", "Open.", false, 3}};
  };
  test::Served served(kit(), options);
  const std::string long_text(300, 'x');
  const auto first = served.client.post("/v1/chat/completions", test::chat_body(long_text));
  const auto second = served.client.post("/v1/chat/completions", test::chat_body(long_text));
  served.client.post("/v1/chat/completions", "{}");
  const Value usage = *second.json().find("usage");
  EXPECT_GT(usage.integer("prompt_cache_hit_tokens"), 0);
  EXPECT_EQ(usage.integer("prompt_cache_hit_tokens"),
            usage.find("prompt_tokens_details")->integer("cached_tokens"));
  const auto answer = served.client.get("/metrics");
  EXPECT_EQ(answer.type, "text/plain; version=0.0.4; charset=utf-8");
  auto all = samples(answer.body);
  const auto of = [&](const std::string& name, const std::string& labels = "") {
    const auto at =
        all.find(name + "{model_name=\"seedbed\"" + (labels.empty() ? "" : "," + labels) + "}");
    EXPECT_NE(at, all.end()) << name;
    return at == all.end() ? -1 : at->second;
  };
  EXPECT_EQ(of("vllm:num_requests_running"), 0);
  EXPECT_EQ(of("vllm:num_requests_waiting"), 0);
  EXPECT_EQ(of("vllm:prompt_tokens_total"),
            static_cast<double>(2 * usage.integer("prompt_tokens")));
  EXPECT_EQ(of("vllm:generation_tokens_total"), 6);
  EXPECT_EQ(of("vllm:prefix_cache_queries_total"), of("vllm:prompt_tokens_total"));
  EXPECT_EQ(of("vllm:prefix_cache_hits_total"),
            static_cast<double>(usage.integer("prompt_cache_hit_tokens")));
  EXPECT_EQ(of("vllm:request_success_total", "finished_reason=\"stop\""), 2);
  EXPECT_EQ(of("vllm:request_success_total", "finished_reason=\"length\""), 0);
  for (const char* name : {"vllm:time_to_first_token_seconds", "vllm:inter_token_latency_seconds",
                           "vllm:e2e_request_latency_seconds", "vllm:request_queue_time_seconds",
                           "vllm:request_prefill_time_seconds", "vllm:request_decode_time_seconds",
                           "vllm:request_prompt_tokens", "vllm:request_generation_tokens",
                           "vllm:iteration_tokens_total", "seedbed_mask_seconds"})
    EXPECT_EQ(of(name + std::string("_bucket"), "le=\"+Inf\""), of(name + std::string("_count")));
  EXPECT_EQ(of("vllm:e2e_request_latency_seconds_count"), 2);
  EXPECT_GT(of("seedbed_pages"), 0);
  EXPECT_GT(of("seedbed_pages_cached"), 0);
  for (const char* name : {"seedbed_host_pages", "seedbed_host_pages_used",
                           "seedbed_pages_spilled_total", "seedbed_pages_restored_total"})
    EXPECT_EQ(of(name), 0);  // no host tier
  EXPECT_EQ(of("seedbed_requests_in_flight"), 0);
  EXPECT_EQ(of("seedbed_requests_refused_total"), 1);
  EXPECT_EQ(of("seedbed_connections"), 3);
  EXPECT_GE(of("vllm:kv_cache_usage_perc"), 0);
  EXPECT_LE(of("vllm:kv_cache_usage_perc"), 1);
  // Dropped, the prefix is computed anew.
  EXPECT_EQ(served.client.post("/reset_prefix_cache", "").status, 200);
  const auto third = served.client.post("/v1/chat/completions", test::chat_body(long_text));
  EXPECT_EQ(third.json().find("usage")->integer("prompt_cache_hit_tokens", -1), 0);
}

TEST(Operations, OtherWeightsAreTakenFromTheRootAlone) {
  namespace fs = std::filesystem;
  std::string pattern = fs::temp_directory_path() / "seedbed_roots_XXXXXX";
  const fs::path root = mkdtemp(pattern.data());
  fs::create_directory(root / "inside");
  for (const auto& entry : fs::directory_iterator(other().dir)) fs::copy(entry, root / "inside");
  fs::create_directory(root / "empty");
  fs::create_symlink(other().dir, root / "link");
  fs::create_symlink(root / "inside", root / "good");
  ApiOptions options;
  options.weights_root = root;
  test::Served served(kit(), options);
  const std::string before = served.engine->policy_version();
  const auto update = [&](const std::string& path, const std::string& more = "") {
    return served.client.post("/update_weights", R"({"path": )" + dump(Value(path)) + more + "}");
  };
  for (const std::string& path :
       {std::string("link"), std::string(".."), std::string("../x"), other().dir, std::string("/"),
        std::string("absent"), std::string(""), std::string("empty"),
        (root / "inside" / "config.json").string()}) {
    const auto answer = update(path);
    EXPECT_EQ(answer.status, 400) << path << answer.body;
    EXPECT_EQ(answer.json().find("error")->text("param"), "path") << answer.body;
  }
  EXPECT_EQ(update("inside", R"(, "mode": "now")").status, 400);
  EXPECT_EQ(served.engine->policy_version(), before);
  const auto taken = update("inside");
  ASSERT_EQ(taken.status, 200) << taken.body;
  EXPECT_EQ(taken.json().integer("policy"), 2);
  EXPECT_NE(taken.json().text("policy_version"), before);
  EXPECT_EQ(taken.json().text("policy_version"), served.engine->policy_version());
  EXPECT_EQ(update((root / "good").string(), R"(, "mode": "interrupt")").json().integer("policy"),
            3);
  const auto answer = served.client.post("/v1/chat/completions", test::chat_body("hi"));
  EXPECT_EQ(answer.json().text("system_fingerprint"), served.engine->policy_version());
  fs::remove_all(root);
  test::Served closed(kit());
  EXPECT_EQ(closed.client.post("/update_weights", R"({"path": "x"})").status, 400);
}

}  // namespace
}  // namespace seedbed
