// Episodes with a model in this process: through the loop, the store and the export.

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "agent/engine_client.h"
#include "agent/export.h"
#include "agent/export_tokens.h"
#include "agent/show.h"
#include "agent/token_arrays.h"
#include "engine_store.h"

namespace seedbed {
namespace {

using agent::TokenArrays;

// One model for all tests of this file: calls, a submission, a question, a call that is none.
const test::EngineKit& kit() {
  static const test::EngineKit made({
      test::dsml_call("find_person", "name", "Bo AHal"),
      test::dsml_call("submit_result", "fee", "1037", false),
      {"What is your name?"},
      {"\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"list_slots\">\n",
       "<｜DSML｜parameter name=\"day\" string=\"false\">no json</｜DSML｜parameter>",
       "\n</｜DSML｜invoke>\n</｜DSML｜function_calls>"},
  });
  return made;
}

using EngineRun = test::EngineStore;

agent::RunOptions engine_options(bool thinking = true, int concurrency = 8) {
  return test::engine_options(kit(), thinking, concurrency);
}

// The sampled spans of a branch that are under loss, as text without the end.
std::vector<std::string> said(const TokenArrays& a, const engine::text::Tokenizer& tokenizer) {
  std::vector<std::string> out;
  for (const auto& span : a.spans) {
    if (span.role != "assistant" || a.mask[static_cast<std::size_t>(span.start)] == 0) continue;
    std::string text;
    for (auto i = static_cast<std::size_t>(span.start); i < static_cast<std::size_t>(span.end); ++i)
      if (a.ids[i] != kit().id(engine::chat::kEos))
        text += std::string(tokenizer.token_bytes(a.ids[i]).value_or(""));
    out.push_back(text);
  }
  return out;
}

TEST_F(EngineRun, RecordsOfWholeEpisodesLineUp) {
  auto o = engine_options();
  o.samples = 2;
  const auto summary = run(o);
  EXPECT_EQ(summary.episodes, 16);
  EXPECT_EQ(summary.infra_errors, 0);
  EXPECT_GT(summary.tool_calls, 0);
  const auto tokenizer = kit().tokenizer();
  int malformed = 0, broken_off = 0;
  std::set<schemas::Stop> stops;
  for (const auto& episode : episodes()) {
    const auto& t = episode.trajectory;
    EXPECT_EQ(t.policy, "engine");
    EXPECT_EQ(t.policy_version.size(), 32U) << t.policy_version;
    ASSERT_TRUE(t.tokens.has_value());
    stops.insert(t.stop);
    malformed += t.malformed_calls;
    broken_off += static_cast<int>(t.tokens->branches.size()) - 1;
    std::int64_t sampled = 0;
    std::vector<std::string> texts;
    for (const auto& branch : t.tokens->branches) {
      auto arrays = agent::unpack(branch);
      ASSERT_TRUE(arrays.ok()) << arrays.error().message;
      sampled += branch.sampled;
      EXPECT_EQ(branch.moe_layers, 2);
      EXPECT_EQ(branch.experts_per_token, 2);
      EXPECT_GE(branch.routed, branch.count - 1);  // the last sampled token was never computed
      std::size_t kept_at = 0;
      for (std::size_t i = 0; i < arrays->ids.size(); ++i) {
        const auto count = static_cast<std::size_t>(arrays->kept_counts[i]);
        if (arrays->mask[i] == 0) {
          EXPECT_EQ(arrays->logprobs[i], 0);
          EXPECT_EQ(count, 0U);
          continue;
        }
        EXPECT_LE(arrays->logprobs[i], 0);
        EXPECT_LE(arrays->raw_logprobs[i], arrays->logprobs[i] + 1e-6F);
        ASSERT_GT(count, 0U);  // top_p cuts off something everywhere
        const auto kept = arrays->kept_ids.begin() + static_cast<std::ptrdiff_t>(kept_at);
        EXPECT_TRUE(
            std::binary_search(kept, kept + static_cast<std::ptrdiff_t>(count), arrays->ids[i]));
        kept_at += count;
      }
      for (auto& text : said(*arrays, tokenizer)) texts.push_back(std::move(text));
    }
    EXPECT_EQ(sampled, t.completion_tokens);
    // What was sampled is what the turns say.
    std::size_t at = 0;
    for (const auto& turn : t.turns) {
      if (turn.role != "assistant") continue;
      ASSERT_LT(at, texts.size());
      EXPECT_TRUE(turn.reasoning.empty() || texts[at].rfind(turn.reasoning + "</think>", 0) == 0)
          << texts[at];
      EXPECT_NE(texts[at].find(turn.text), std::string::npos) << texts[at];
      for (const auto& call : turn.calls)
        EXPECT_NE(texts[at].find("name=\"" + call.tool + "\""), std::string::npos);
      ++at;
    }
    EXPECT_EQ(at, texts.size());
  }
  EXPECT_GT(malformed, 0);
  EXPECT_GT(broken_off, 0);  // the user of a task answers, and old reasoning goes
  EXPECT_TRUE(stops.count(schemas::Stop::answered) == 1 &&
              stops.count(schemas::Stop::stopped) == 1);
}

TEST_F(EngineRun, MasksLeaveNoMalformedCall) {
  auto free = engine_options(false), masked = free;
  masked.engine.constrain = true;
  const auto ways = run(free).run;
  const auto other = run(masked);
  EXPECT_EQ(other.infra_errors, 0);
  EXPECT_NE(other.run, ways);  // what is sampled differs, so it is another run
  int malformed_free = 0, calls = 0;
  for (const auto& episode : episodes()) {
    const auto& t = episode.trajectory;
    if (episode.run == ways) {
      malformed_free += t.malformed_calls;
      continue;
    }
    EXPECT_EQ(t.malformed_calls, 0);
    for (const auto& turn : t.turns) calls += static_cast<int>(turn.calls.size());
  }
  EXPECT_GT(malformed_free, 0);
  EXPECT_GT(calls, 0);
}

TEST_F(EngineRun, ConcurrencyDoesNotChangeAnything) {
  run(engine_options(true, 1));
  const std::string one = runs_digest(*store);
  for (const int concurrency : {2, 8}) {
    store = fresh("b" + std::to_string(concurrency) + ".db");
    EXPECT_EQ(run(engine_options(true, concurrency)).episodes, 8);
    EXPECT_EQ(runs_digest(*store), one) << concurrency;
  }
  store = fresh("c.db");
  auto other = engine_options(true, 8);
  other.seed = 6;
  run(other);
  EXPECT_NE(runs_digest(*store), one);
}

// Short enough for the thread sanitizer, whose run takes this one of all runs with a model.
using EngineLanes = EngineRun;
TEST_F(EngineLanes, TwoAtOnceSayWhatOneSays) {
  auto o = engine_options(true, 1);
  o.shards = 4;  // a task of each environment
  o.budget->max_turns = 2;
  EXPECT_EQ(run(o).episodes, 2);
  const std::string one = runs_digest(*store);
  store = fresh("b.db");
  o.concurrency = 2;
  EXPECT_EQ(run(o).episodes, 2);
  EXPECT_EQ(runs_digest(*store), one);
}

TEST_F(EngineRun, SamplesOfATaskAndItsTurnsShareTheirPrompt) {
  auto o = engine_options();
  o.limit = 1;
  o.samples = 4;
  const auto stats = run_counted(o);
  EXPECT_GT(stats.hit_tokens, 0);
  // Of all prompts only the first has to be read as a whole: the others lack what is new.
  EXPECT_GT(static_cast<double>(stats.hit_tokens), 0.6 * static_cast<double>(stats.prompt_tokens));
  EXPECT_LT(stats.prefill_tokens, stats.prompt_tokens / 2);
}

TEST_F(EngineRun, NeitherRoomNorPiecesNorTheCacheChangeAnything) {
  auto o = engine_options();
  o.engine.context = 3'072;
  o.budget->max_turns = 3;
  const auto plenty = run_counted(o);
  EXPECT_EQ(plenty.preemptions, 0);
  const std::string digest = runs_digest(*store);
  struct Change {
    const char* name;
    std::function<void(agent::RunOptions&)> make;
  };
  const Change changes[] = {
      {"one window", [](auto& x) { x.engine.cache_tokens = 1; }},
      {"pieces", [](auto& x) { x.engine.chunk = 37; }},
      {"two at once", [](auto& x) { x.engine.max_batch = 2; }},
      {"no cache", [](auto& x) { x.engine.prefix_cache = false; }},
  };
  for (const auto& change : changes) {
    store = fresh(std::string(change.name) + ".db");
    auto other = o;
    change.make(other);
    const auto stats = run_counted(other);
    EXPECT_EQ(runs_digest(*store), digest) << change.name;
    if (other.engine.cache_tokens == 1) {  // the prompts of two environments do not fit together
      EXPECT_GT(stats.evicted_pages + stats.preemptions, 0);
    }
    if (!other.engine.prefix_cache) {
      EXPECT_EQ(stats.hit_tokens, 0);
    }
  }
}

TEST_F(EngineRun, TimeEndsRepliesThatWait) {
  auto o = engine_options();
  o.budget->wall_ms = 1;
  o.limit = 2;
  (void)run_counted(o);
  for (const auto& episode : episodes())
    EXPECT_EQ(episode.trajectory.stop, schemas::Stop::out_of_time);
  EXPECT_EQ(episodes().size(), 2U);
}

TEST_F(EngineRun, AnInterruptedRunGoesOnToTheSameEnd) {
  auto o = engine_options(true, 2);
  o.samples = 2;
  run(o);
  const std::string whole = runs_digest(*store);
  store = fresh("b.db");
  std::atomic<bool> stop{false};
  o.interrupted = &stop;
  std::atomic<int> opened{0};
  // The third call of a tool asks for the end; what is in flight then is dropped.
  class Stopping final : public sandbox::ToolHost {
   public:
    Stopping(std::atomic<bool>& flag, std::atomic<int>& calls) : stop_(flag), calls_(calls) {}
    Step load(const schemas::Environment& e, const std::string& i) override {
      return in_.load(e, i);
    }
    Step reset() override { return in_.reset(); }
    Result<schemas::ToolResult> call(const schemas::ToolCall& c, int ms) override {
      return in_.call(c, ms);
    }
    Result<std::vector<schemas::RowChange>> changes() override { return in_.changes(); }
    Result<std::vector<sandbox::Played>> play(const std::vector<std::vector<schemas::ToolCall>>& p,
                                              int ms) override {
      return in_.play(p, ms);
    }
    Result<std::string> digest() override { return in_.digest(); }
    Step send(const schemas::ToolCall& c, int ms) override {
      if (++calls_ == 3) stop_ = true;
      return in_.send(c, ms);
    }
    Result<schemas::ToolResult> receive(int ms) override { return in_.receive(ms); }
    int descriptor() const override { return in_.descriptor(); }

   private:
    test::ClinicHost in_;
    std::atomic<bool>& stop_;
    std::atomic<int>& calls_;
  };
  auto made = agent::run_policy(*store, o, [&](int) -> Result<std::unique_ptr<sandbox::ToolHost>> {
    return std::unique_ptr<sandbox::ToolHost>(std::make_unique<Stopping>(stop, opened));
  });
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().where, Where::interrupted) << made.error().message;
  EXPECT_LT(episodes().size(), 16U);
  o.interrupted = nullptr;
  EXPECT_GT(run(o).skipped, 0);
  EXPECT_EQ(runs_digest(*store), whole);
}

TEST_F(EngineRun, OtherPositionsSelectedAreAnotherRun) {
  run(engine_options());
  const std::string other = (folder / "other").string();
  std::filesystem::copy(kit().dir, other);
  std::ifstream file(other + "/config.json");
  std::string text(std::istreambuf_iterator<char>(file), {});
  const auto at = text.find("\"index_topk\"");
  ASSERT_NE(at, std::string::npos);
  const auto begin = text.find(':', at) + 1, end = text.find_first_of(",}\n", begin);
  text.replace(begin, end - begin, " 3");
  std::ofstream(other + "/config.json") << text;
  auto o = engine_options();
  o.engine.model_dir = other;
  const auto summary = run(o);
  EXPECT_EQ(summary.episodes, 8) << "weights alike, yet nothing of the first run is taken for it";
  EXPECT_EQ(episodes().size(), 16U);
}

TEST_F(EngineRun, WithoutThinkingAnEpisodeIsOneUnbrokenSequence) {
  auto o = engine_options(false);
  o.samples = 2;
  EXPECT_EQ(run(o).infra_errors, 0);
  int user_turns = 0;
  for (const auto& episode : episodes()) {
    const auto& t = episode.trajectory;
    EXPECT_EQ(t.tokens->branches.size(), 1U);
    for (std::size_t i = 2; i < t.turns.size(); ++i) user_turns += t.turns[i].role == "user";
    for (const auto& turn : t.turns) EXPECT_EQ(turn.reasoning, "");
  }
  EXPECT_GT(user_turns, 0);
}

TEST_F(EngineRun, ABranchSharesItsPrefixAndLosesOldReasoningOnly) {
  auto o = engine_options();
  o.samples = 2;
  run(o);
  const auto tokenizer = kit().tokenizer();
  const std::string thought = test::EngineKit::kThought;
  int compared = 0;
  for (const auto& episode : episodes()) {
    const auto& branches = episode.trajectory.tokens->branches;
    for (std::size_t i = 1; i < branches.size(); ++i) {
      const auto before = agent::unpack(branches[i - 1]), now = agent::unpack(branches[i]);
      ASSERT_TRUE(before.ok() && now.ok());
      std::size_t same = 0;
      while (same < before->ids.size() && same < now->ids.size() &&
             before->ids[same] == now->ids[same])
        ++same;
      // Up to the answer's beginning: <think> there, </think> here.
      ASSERT_LT(same, before->ids.size());
      EXPECT_EQ(before->ids[same], kit().id(engine::chat::kThink));
      EXPECT_EQ(now->ids[same], kit().id(engine::chat::kEndThink));
      std::size_t first_sampled = 0;
      while (now->mask[first_sampled] == 0) ++first_sampled;
      EXPECT_GT(first_sampled, same);
      const std::vector<std::int32_t> given(
          now->ids.begin() + static_cast<std::ptrdiff_t>(same),
          now->ids.begin() + static_cast<std::ptrdiff_t>(first_sampled));
      EXPECT_EQ(tokenizer.decode(given).find(thought), std::string::npos);
      ++compared;
    }
  }
  EXPECT_GT(compared, 0);
}

TEST_F(EngineRun, TheWindowAndTheReplysLimitEndAnEpisode) {
  auto o = engine_options();
  o.limit = 1;
  o.samples = 2;
  o.engine.max_tokens = 2;
  run(o);
  o.engine.max_tokens = 64;
  o.engine.context = 64;
  run(o);
  int cut = 0, full = 0;
  for (const auto& episode : episodes()) {
    const auto& t = episode.trajectory;
    EXPECT_EQ(t.stop, schemas::Stop::out_of_tokens);
    cut += t.stop_detail.find("cut at 2 tokens") != std::string::npos;
    full += t.stop_detail.find("window of 64 tokens") != std::string::npos;
    EXPECT_EQ(t.tokens.has_value(), t.completion_tokens > 0);
  }
  EXPECT_EQ(cut, 2);
  EXPECT_EQ(full, 2);
}

TEST_F(EngineRun, TokensOfAFreshPrefillScoreAsRecorded) {
  run(engine_options());
  engine::ModelOptions options;
  options.threads = 1;
  auto model = engine::Model::load(kit().dir, options);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const auto vocab = static_cast<std::size_t>((*model)->config().vocab_size);
  int scored = 0;
  float worst = 0;
  for (const auto& episode : episodes())
    for (const auto& branch : episode.trajectory.tokens->branches) {
      if (scored > 60) break;
      const auto a = agent::unpack(branch);
      const auto n = static_cast<std::int32_t>(a->ids.size());
      const std::int32_t pages = (n + 63) / 64;
      auto cache = engine::PageCache::make((*model)->config(), engine::DType::f32, pages);
      std::vector<std::int32_t> positions, sequence(a->ids.size(), 0), table, rows;
      for (std::int32_t i = 0; i < n; ++i) positions.push_back(i);
      for (std::int32_t i = 0; i < pages; ++i) table.push_back((*cache)->take());
      for (std::int32_t i = 1; i < n; ++i)
        if (a->mask[static_cast<std::size_t>(i)] != 0) rows.push_back(i - 1);
      engine::Batch batch;
      batch.tokens = a->ids;
      batch.positions = positions;
      batch.sequence = sequence;
      batch.page_table = table;
      batch.table_stride = pages;
      batch.logit_rows = rows;
      batch.want_routing = true;
      engine::Outputs out;
      (*model)->forward(batch, **cache, out);
      for (std::size_t r = 0; r < rows.size(); ++r) {
        const float* z = out.logits.data() + r * vocab;
        const double highest = *std::max_element(z, z + vocab);
        double total = 0;
        for (std::size_t k = 0; k < vocab; ++k) total += std::exp(double{z[k]} - highest);
        const auto at = static_cast<std::size_t>(rows[r] + 1);
        const double want =
            double{z[static_cast<std::size_t>(a->ids[at])]} - highest - std::log(total);
        worst = std::max(worst, std::abs(static_cast<float>(want) - a->raw_logprobs[at]));
        ++scored;
      }
      const std::vector<std::uint16_t> routed(
          out.routing.begin(),
          out.routing.begin() + static_cast<std::ptrdiff_t>(a->routed_experts.size()));
      EXPECT_EQ(routed, a->routed_experts);
    }
  EXPECT_GT(scored, 60);
  EXPECT_LT(worst, 1e-3F);
  RecordProperty("worst", std::to_string(worst));
}

TEST_F(EngineRun, TokensAreExportedOneLineABranchAndOthersAreCounted) {
  run(engine_options());
  run(options("oracle"));
  agent::ExportOptions o;
  o.format = agent::ExportFormat::tokens;
  o.out = (folder / "tokens").string();
  auto made = agent::export_dataset(*store, o);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->without_tokens, 8);
  EXPECT_GE(made->train + made->heldout, 8);
  EXPECT_GT(made->tokens_sampled, 0);
  std::int64_t lines = 0;
  for (const char* name : {"train", "heldout"}) {
    std::ifstream file(folder / "tokens" / "data" / (std::string(name) + "-00000.jsonl"));
    for (std::string line; std::getline(file, line); ++lines) {
      EXPECT_EQ(agent::check_token_line(line), "");
      auto wrong = test::json(line);
      const schemas::Value& ids = *wrong.find("token_ids");
      schemas::Value fewer(schemas::Value::Array(ids.items().begin(), ids.items().end() - 1));
      wrong.set("token_ids", fewer);
      EXPECT_NE(agent::check_token_line(dump(wrong)), "");
    }
  }
  EXPECT_EQ(lines, made->train + made->heldout);
  std::ostringstream card;
  card << std::ifstream(folder / "tokens" / "README.md").rdbuf();
  EXPECT_NE(card.str().find("list: int32"), std::string::npos);
  EXPECT_NE(card.str().find("routed_experts"), std::string::npos);

  store = fresh("b.db");
  run(options("oracle"));
  made = agent::export_dataset(*store, o);
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().message.find("8 without tokens"), std::string::npos);
  EXPECT_NE(made.error().message.find("--policy engine"), std::string::npos);
}

TEST_F(EngineRun, ShowSaysHowManyTokensAreRecorded) {
  auto o = engine_options();
  o.limit = o.samples = 1;
  run(o);
  const auto shown = agent::show(*store, episodes()[0].id, agent::ShowForm::text);
  ASSERT_TRUE(shown.ok());
  EXPECT_NE(shown->find("of them sampled"), std::string::npos) << *shown;
}

}  // namespace
}  // namespace seedbed
