// Episodes that nobody sampled, in tokens: the same that a model in this process would have seen.
#include "agent/rendered_tokens.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "agent/export.h"
#include "agent/export_tokens.h"
#include "engine_store.h"

namespace seedbed {
namespace {

using agent::TokenArrays;
using engine::service::ChatVocabulary;

// Some of the oracle's replies, a message to the user and prose before a call.
const test::EngineKit& kit() {
  static const test::EngineKit made(
      {test::dsml_call("find_person", "name", "Bo AHal"),
       test::dsml_call("list_bookings", "person_id", "P-102"),
       test::dsml_call("submit_result", "fee", "1037", false),
       {"I look.", "\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"find_person\">\n",
        "<｜DSML｜parameter name=\"name\" string=\"true\">Bo AHal</｜DSML｜parameter>",
        "\n</｜DSML｜invoke>\n</｜DSML｜function_calls>"},
       {"What is your name?"}});
  return made;
}

ChatVocabulary vocabulary(const std::string& dir) {
  auto opened = ChatVocabulary::open_file(dir + "/tokenizer.json");
  EXPECT_TRUE(opened.ok()) << opened.error().message;
  return *std::move(opened);
}

struct Span {
  std::string role, text;
  std::vector<std::int32_t> ids;  // of what was given; what was sampled may be cut otherwise
  bool loss = false;
  bool operator==(const Span&) const = default;
};
std::vector<Span> spans_of(const TokenArrays& a, const ChatVocabulary& v) {
  std::vector<Span> out;
  for (const auto& s : a.spans) {
    const auto begin = a.ids.begin() + s.start, end = a.ids.begin() + s.end;
    Span span{s.role, v.tokenizer().decode({begin, end}), {}, false};
    const auto sampled = std::count(a.mask.begin() + s.start, a.mask.begin() + s.end, 1);
    EXPECT_TRUE(sampled == 0 || sampled == s.end - s.start);
    span.loss = sampled != 0;
    if (!span.loss && s.role != "assistant") span.ids.assign(begin, end);
    out.push_back(std::move(span));
  }
  return out;
}

class RenderedTokens : public test::EngineStore {
 protected:
  agent::SystemTurns systems(const schemas::Trajectory& t,
                             agent::ToolOrder order = agent::ToolOrder::kept) {
    agent::SystemTurns out(order, 1);
    const auto environment = store->environment(t.environment_id);
    const auto task = store->task(t.task_id);
    EXPECT_TRUE(environment.ok() && task.ok());
    out.open(environment->id, environment->environment);
    out.open(environment->environment, task->task);
    return out;
  }
  agent::ExportOptions tokens(const std::string& name, const std::string& dir) {
    agent::ExportOptions o;
    o.format = agent::ExportFormat::tokens;
    o.out = (folder / name).string();
    o.render.tokenizer = dir + "/tokenizer.json";
    return o;
  }
  std::vector<schemas::Value> lines(const std::string& name) {
    std::vector<schemas::Value> out;
    for (const char* split : {"train", "heldout"}) {
      std::ifstream file(folder / name / "data" / (std::string(split) + "-00000.jsonl"));
      for (std::string line; std::getline(file, line);) {
        EXPECT_EQ(agent::check_token_line(line), "");
        out.push_back(test::json(line));
      }
    }
    return out;
  }
};

TEST_F(RenderedTokens, AnEpisodeOfTheEngineIsRenderedAsItsOwnTokensWere) {
  const ChatVocabulary v = vocabulary(kit().dir);
  for (const bool thinking : {true, false}) {
    store = fresh(thinking ? "on.db" : "off.db");
    auto o = test::engine_options(kit(), thinking, 4);
    o.samples = 3;
    run(o);
    int compared = 0, branches = 0, results = 0;
    for (const auto& episode : episodes()) {
      schemas::Trajectory t = episode.trajectory;
      ASSERT_TRUE(t.tokens.has_value());
      if (t.stop == schemas::Stop::out_of_tokens) continue;
      std::vector<std::vector<Span>> sampled, rendered;
      for (const auto& branch : t.tokens->branches)
        sampled.push_back(spans_of(*agent::unpack(branch), v));
      t.tokens.reset();
      agent::SystemCache cache;
      const auto made = agent::rendered_tokens(v, systems(t).turn(), t, thinking, cache);
      ASSERT_TRUE(made.ok()) << made.error().message;
      for (const auto& branch : *made) rendered.push_back(spans_of(branch, v));
      ASSERT_EQ(rendered.size(), sampled.size());
      for (std::size_t b = 0; b < sampled.size(); ++b) {
        ASSERT_EQ(rendered[b].size(), sampled[b].size());
        for (std::size_t i = 0; i < sampled[b].size(); ++i) {
          EXPECT_EQ(rendered[b][i].role, sampled[b][i].role);
          EXPECT_EQ(rendered[b][i].text, sampled[b][i].text);
          EXPECT_EQ(rendered[b][i].ids, sampled[b][i].ids);
          EXPECT_EQ(rendered[b][i].loss, sampled[b][i].loss);
          results += rendered[b][i].role == "tool";
        }
      }
      ++compared;
      branches += static_cast<int>(rendered.size());
    }
    EXPECT_GE(compared, 20);
    EXPECT_GT(results, 20);
    EXPECT_EQ(branches > compared, thinking);  // chat mode never takes anything back
  }
}

TEST_F(RenderedTokens, WhatIsUnderLossReadsAsTheCallsOfTheTurns) {
  run(options("oracle"));
  const ChatVocabulary v = vocabulary(kit().dir);
  int calls = 0;
  for (const auto& episode : episodes())
    for (const bool thinking : {true, false}) {
      const auto& t = episode.trajectory;
      agent::SystemCache cache;
      const auto made = agent::rendered_tokens(v, systems(t).turn(), t, thinking, cache);
      ASSERT_TRUE(made.ok());
      std::vector<engine::chat::Completion> replies;
      for (const auto& a : *made)
        for (const auto& span : a.spans) {
          if (span.role != "assistant" || a.mask[static_cast<std::size_t>(span.start)] == 0)
            continue;
          EXPECT_TRUE(v.is_end(a.ids[static_cast<std::size_t>(span.end - 1)]));
          engine::chat::Parser parser(v.parse_options(thinking));
          for (auto i = span.start; i < span.end; ++i)
            parser.feed(v.piece(a.ids[static_cast<std::size_t>(i)]));
          replies.push_back(parser.finish(engine::chat::End::eos));
        }
      std::size_t at = 0;
      for (const auto& turn : t.turns) {
        if (turn.role != "assistant") continue;
        ASSERT_LT(at, replies.size());
        const auto& reply = replies[at++];
        EXPECT_TRUE(reply.malformed.empty());
        EXPECT_EQ(reply.content, turn.text);
        ASSERT_EQ(reply.calls.size(), turn.calls.size());
        for (std::size_t i = 0; i < turn.calls.size(); ++i, ++calls) {
          EXPECT_EQ(reply.calls[i].name, turn.calls[i].tool);
          EXPECT_EQ(reply.calls[i].value, turn.calls[i].args);
        }
      }
      EXPECT_EQ(at, replies.size());
    }
  EXPECT_GT(calls, 40);
}

TEST_F(RenderedTokens, TurnsThatNobodyShouldLearnAreNotUnderLoss) {
  run(options("oracle"));
  const ChatVocabulary v = vocabulary(kit().dir);
  schemas::Trajectory t = episodes()[0].trajectory;
  agent::SystemCache cache;
  const auto all = agent::rendered_tokens(v, systems(t).turn(), t, false, cache);
  ASSERT_EQ(t.turns[2].role, "assistant");
  t.turns[2].learn = false;
  const auto fewer = agent::rendered_tokens(v, systems(t).turn(), t, false, cache);
  ASSERT_TRUE(all.ok() && fewer.ok());
  EXPECT_EQ((*all)[0].ids, (*fewer)[0].ids);
  const auto before = spans_of((*all)[0], v), after = spans_of((*fewer)[0], v);
  ASSERT_EQ(before.size(), after.size());
  int changed = 0;
  for (std::size_t i = 0; i < before.size(); ++i)
    if (before[i].loss != after[i].loss) ++changed;
  EXPECT_EQ(changed, 1);
}

TEST_F(RenderedTokens, ExportWritesEachModeAndTasksOfAnEnvironmentShareThePrefix) {
  run(options("oracle"));
  auto o = tokens("both", kit().dir);
  const auto made = agent::export_dataset(*store, o);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->without_tokens, 0);
  std::map<std::string, int> modes;
  std::map<std::string, std::string> prefixes, environments;
  for (const auto& line : lines("both")) {
    EXPECT_TRUE(line.find("logprobs")->is_null() && line.find("temperatures")->is_null());
    ++modes[line.text("id") + (line.find("thinking")->as_bool() ? " on" : " off")];
    const auto& ids = line.find("token_ids")->items();
    const std::int64_t prefix = line.integer("prefix_tokens"), user = line.integer("system_tokens");
    EXPECT_EQ(ids[static_cast<std::size_t>(user)].as_int(), kit().id(engine::chat::kUser));
    EXPECT_LT(prefix, user);
    EXPECT_GT(prefix, user / 2);
    std::string shared;
    for (std::int64_t i = 0; i < prefix; ++i)
      shared += std::to_string(ids[static_cast<std::size_t>(i)].as_int()) + " ";
    EXPECT_EQ(prefixes.emplace(line.text("environment_id"), shared).first->second, shared);
    EXPECT_EQ(
        environments.emplace(line.text("prefix_id"), line.text("environment_id")).first->second,
        line.text("environment_id"));
  }
  EXPECT_EQ(modes.size(), 16U);  // 8 episodes; both modes of each
  EXPECT_EQ(environments.size(), 2U);

  o = tokens("off", kit().dir);
  o.render.thinking = agent::ThinkingModes::off;
  ASSERT_TRUE(agent::export_dataset(*store, o).ok());
  for (const auto& line : lines("off")) EXPECT_FALSE(line.find("thinking")->as_bool());
  EXPECT_EQ(lines("off").size(), 8U);
}

TEST_F(RenderedTokens, AShuffledOrderOfToolsIsTheEnvironmentsOwn) {
  run(options("oracle"));
  const auto t = episodes()[0].trajectory;
  const auto names = [](const agent::SystemTurn& turn) {
    std::vector<std::string> out;
    for (const auto& tool : turn.tools) out.push_back(tool.value.text("name"));
    return out;
  };
  const auto kept = names(systems(t).turn());
  std::set<std::vector<std::string>> orders;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    std::set<std::vector<std::string>> of_environment;
    for (const auto& episode : episodes()) {
      if (episode.trajectory.environment_id != t.environment_id) continue;
      agent::SystemTurns turns(agent::ToolOrder::shuffled, seed);
      const auto environment = store->environment(t.environment_id);
      const auto task = store->task(episode.trajectory.task_id);
      turns.open(environment->id, environment->environment);
      turns.open(environment->environment, task->task);
      of_environment.insert(names(turns.turn()));
    }
    ASSERT_EQ(of_environment.size(), 1U);
    const auto& order = *of_environment.begin();
    EXPECT_TRUE(std::is_permutation(order.begin(), order.end(), kept.begin(), kept.end()));
    EXPECT_EQ(order[order.size() - 2], "submit_result");
    EXPECT_EQ(order.back(), "refuse");
    orders.insert(order);
  }
  EXPECT_GT(orders.size(), 1U);
}

TEST_F(RenderedTokens, ExportSaysWhatItLeftOut) {
  run(options("oracle"));
  auto o = tokens("short", kit().dir);
  o.context = 10;
  auto made = agent::export_dataset(*store, o);
  ASSERT_FALSE(made.ok());
  // Two modes of eight episodes; where a user answers, reasoning is taken back: a branch more.
  EXPECT_NE(made.error().message.find("18 over the context"), std::string::npos)
      << made.error().message;
  EXPECT_FALSE(std::filesystem::exists(o.out));
  o.render.tokenizer = "/nowhere/tokenizer.json";
  made = agent::export_dataset(*store, o);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().where, Where::model);

  // Sampled with one tokenizer, exported with another.
  store = fresh("engine.db");
  run(test::engine_options(kit(), false, 4));
  const test::EngineKit other({{"Done."}});
  made = agent::export_dataset(*store, tokens("other", other.dir));
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().message.find("8 of another tokenizer"), std::string::npos)
      << made.error().message;
}

TEST_F(RenderedTokens, TheTextForATokenizerHasEachSystemTurnOnce) {
  run(options("oracle"));
  agent::ExportOptions o;
  o.format = agent::ExportFormat::prompts;
  o.out = (folder / "text").string();
  const auto made = agent::export_dataset(*store, o);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->train, 4);
  std::ostringstream text;
  text << std::ifstream(folder / "text/data/train-00000.txt").rdbuf();
  const auto count = [&](std::string_view what) {
    int n = 0;
    for (auto at = text.str().find(what); at != std::string::npos;
         at = text.str().find(what, at + 1))
      ++n;
    return n;
  };
  EXPECT_EQ(count("# How to finish"), 2);  // one environment, two forms of result
  EXPECT_EQ(count("<｜DSML｜invoke name=\"find_person\">"), 4);
  EXPECT_GE(count(engine::chat::kEos), 12);
}

}  // namespace
}  // namespace seedbed
