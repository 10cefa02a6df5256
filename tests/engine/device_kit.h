// Engines on fake devices: opening them, requests of every kind, and all that a request gets, for
// comparison bit for bit.
#pragma once
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"
#include "engine/grammar/grammar.h"
#include "tests/engine/fake_device.h"
#include "tests/engine/model_kit.h"

namespace seedbed::engine::kit {

// What of a request may not depend on the device.
struct Said {
  std::vector<std::int32_t> ids, kept, listed;
  std::vector<float> logprobs, listed_logprobs;  // three a token
  std::vector<std::uint16_t> routing;
  std::vector<std::int64_t> selections;
  Finish finish = Finish::length;
  friend bool operator==(const Said&, const Said&) = default;
};
inline Said said(const Generated& g) {
  Said out;
  for (const auto& token : g.tokens) {
    out.ids.push_back(token.id);
    for (const float x : {token.logprob, token.raw_logprob, token.entropy})
      out.logprobs.push_back(x);
    out.kept.push_back(token.kept_count);
    out.kept.insert(out.kept.end(), token.kept_ids.begin(), token.kept_ids.end());
    for (const auto& [id, logprob] : token.top) {
      out.listed.push_back(id);
      out.listed_logprobs.push_back(logprob);
    }
  }
  out.routing = g.routing.ids;
  for (const auto& s : g.selections) {
    out.selections.push_back(s.position);
    out.selections.push_back(s.layer);
    out.selections.insert(out.selections.end(), s.selected.begin(), s.selected.end());
  }
  out.finish = g.finish;
  return out;
}

struct Kind {
  std::string config;
  DType weights, cache;
};
inline std::string kind_name(const testing::TestParamInfo<Kind>& info) {
  static const std::string names[] = {"f32", "bf16", "f8"};
  return info.param.config + "_" + names[static_cast<int>(info.param.weights)] + "_cache_" +
         names[static_cast<int>(info.param.cache)];
}

inline EngineOptions options_of(const Kind& kind, std::shared_ptr<kernels::Device> device) {
  EngineOptions o;
  o.model_dir = ModelFolders::of(golden_config("configs/" + kind.config + ".json"), 12,
                                 kind.weights, kind.config);
  o.model.device = std::move(device);
  o.model.threads = 2;
  o.kv_dtype = kind.cache;
  o.cache_tokens = 8'192;
  o.chunk = 48;
  o.max_batch = 16;
  return o;
}
inline std::unique_ptr<Engine> opened(const EngineOptions& o) {
  auto engine = Engine::open(o);
  EXPECT_TRUE(engine.ok()) << (engine.ok() ? "" : engine.error().message);
  return engine.ok() ? *std::move(engine) : nullptr;
}

inline Request request(
    const ModelConfig& config, std::uint64_t key, int shared, int own, int max_tokens) {
  Request r;
  r.prompt = goldens::tokens(1000, shared, config.vocab_size);
  const auto rest = goldens::tokens(key, own, config.vocab_size);
  r.prompt.insert(r.prompt.end(), rest.begin(), rest.end());
  r.params.sampling.seed = 3;
  r.params.sampling.top_p = 0.9;
  r.params.max_tokens = max_tokens;
  r.params.ignore_eos = true;
  r.params.want_routing = true;
  r.key = key;
  return r;
}

// A vocabulary of 64 in which a JSON object can be said; id 1 ends it.
inline std::shared_ptr<const grammar::Grammar> json_grammar() {
  grammar::TokenTable table;
  table.bytes = {"", ""};
  for (const char c : std::string("{}[]\":,.-0123456789 truefalsn\\bhxyz"))
    table.bytes.emplace_back(1, c);
  for (const char* more : {"\"a\"", "null", "true", "{\"", "\":", ", ", "[]", "{}"})
    table.bytes.emplace_back(more);
  table.bytes.resize(64);
  table.special.resize(64);
  table.special[0] = table.special[1] = 1;
  table.end_ids = {1};
  auto made = grammar::Grammar::json_object(grammar::Vocabulary::make(std::move(table)));
  EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
  return *made;
}

// Short and long contexts, shared beginnings, the very same prompt twice, every parameter of
// sampling, masks, and everything asked for. `selections`: some ask what was selected, too; steps
// with such a request are not recorded.
inline std::vector<Request> mixed_requests(const ModelConfig& config, bool selections = true) {
  std::vector<Request> out;
  const auto masks = json_grammar();
  for (std::uint64_t k = 0; k < 14; ++k) {
    const auto i = static_cast<int>(k);
    auto r = request(config, k, k % 3 == 0 ? 70 : 0, 1 + i * 29 % 120, 6 + i % 8);
    auto& s = r.params.sampling;
    if (k % 4 == 1) s.frequency_penalty = 0.5, s.repetition_penalty = 1.2;
    if (k % 4 == 2) s.bias = {{5, 2.0F}, {9, -3.0F}}, s.presence_penalty = 0.7;
    if (k % 5 == 0) s.top_logprobs = 4;
    if (k % 7 == 0) s.temperature = 0;
    if (k % 6 == 3) s.top_k = 7, s.min_p = 0.01;
    if (selections && k % 2 == 0) r.params.want_selection = true;
    if (k % 5 == 4) r.params.matcher = std::make_shared<grammar::Matcher>(masks);
    out.push_back(std::move(r));
  }
  out[8].prompt = out[7].prompt;
  return out;
}

struct Together {
  std::vector<Said> said;
  EngineStats stats;
};
// All come at once.
inline Together together(Engine& engine, const std::vector<Request>& requests) {
  engine.pause();
  std::vector<std::promise<Result<Generated>>> ends(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i)
    EXPECT_TRUE(
        engine.submit(requests[i], [&, i](Result<Generated> r) { ends[i].set_value(std::move(r)); })
            .ok());
  engine.resume();
  Together out;
  for (auto& end : ends) {
    auto made = end.get_future().get();
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
    if (made.ok()) out.said.push_back(said(*made));
  }
  out.stats = engine.stats();
  return out;
}
inline Together together(const EngineOptions& o, const std::vector<Request>& requests) {
  const auto engine = opened(o);
  return engine == nullptr ? Together{} : together(*engine, requests);
}

}  // namespace seedbed::engine::kit
