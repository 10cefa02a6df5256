// Environments of as many tools as are asked for.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "envgen/general/goal.h"
#include "fixture.h"

namespace seedbed::envgen {
namespace {

namespace fs = std::filesystem;

schemas::GenRequest request_for(std::optional<schemas::ToolRange> tools) {
  auto request = request_of(6, 6);
  request.tools = tools;
  return request;
}

std::string digest_of(const schemas::GenRequest& request, int jobs) {
  const fs::path path =
      fs::temp_directory_path() /
      ("seedbed-few-tools-" + std::to_string(::getpid()) + "-" + std::to_string(jobs) + ".db");
  fs::remove(path);
  auto store = tasks::Store::open(path.string(), {.create = true});
  if (!store.ok()) return store.error().message;
  GenOptions options;
  options.request = request;
  options.jobs = jobs;
  const std::atomic<bool> stop{false};
  EXPECT_FALSE((*store)->set_request(request));
  const auto made = generate(**store, load_packs({}).value(), options, unjailed(), nullptr, stop);
  EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
  EXPECT_FALSE((*store)->select());
  EXPECT_GE((*store)->environment_ids()->size(), 5U);
  const std::string digest = (*store)->content_digest().value();
  store->reset();
  fs::remove(path);
  return digest;
}

// The first attempt of a slot that gives an environment; null where none does.
std::shared_ptr<const Lowered> environment_of(const schemas::GenRequest& request,
                                              std::int64_t slot) {
  for (std::int64_t attempt = 0; attempt < 6; ++attempt) {
    auto made = make_environment(built_in(), request, slot, attempt);
    if (made.ok()) return *std::move(made);
    EXPECT_EQ(made.error().where, Where::pack) << made.error().message;
  }
  return nullptr;
}

TEST(FewTools, TheRangeIsKeptAndEveryConceptCanBeRead) {
  for (const auto& range : {schemas::ToolRange{8, 12}, {13, 16}, {20, 28}}) {
    int made = 0;
    std::set<std::size_t> counts;
    for (std::int64_t slot = 0; slot < 40; ++slot) {
      const auto l = environment_of(request_for(range), slot);
      if (!l) continue;
      ++made;
      const std::size_t n = l->environment.tools.size();
      counts.insert(n);
      EXPECT_GE(n, static_cast<std::size_t>(range.least));
      EXPECT_LE(n, static_cast<std::size_t>(range.most));
      EXPECT_EQ(n, l->surface.count());
      for (int c = 0; c < static_cast<int>(l->world->concepts.size()); ++c)
        EXPECT_TRUE(std::any_of(l->surface.tools.begin(), l->surface.tools.end(),
                                [&](const ToolForm& f) {
                                  return f.concept_id == c && (f.kind == ToolForm::Kind::find ||
                                                               f.kind == ToolForm::Kind::list);
                                }))
            << l->world->concepts[static_cast<std::size_t>(c)].symbol;
      EXPECT_TRUE(connected(*l->world));
    }
    EXPECT_GE(made, 38) << range.least << "-" << range.most;
    EXPECT_GE(counts.size(), 3U);
  }
}

// What is left out is neither planned, nor forbidden, nor said.
TEST(FewTools, WhatIsLeftOutIsNowhere) {
  int plans = 0, left_out = 0;
  for (std::int64_t slot = 0; slot < 20; ++slot) {
    const auto l = environment_of(request_for(schemas::ToolRange{8, 12}), slot);
    if (!l) continue;
    std::set<std::string> names, left;
    for (const auto& t : l->environment.tools) names.insert(t.name);
    for (const auto& t : l->world->transitions) left.insert(t.symbol);
    for (const auto& symbol : l->world->left_out) EXPECT_EQ(left.count(symbol), 0U) << symbol;
    left_out += static_cast<int>(l->world->left_out.size());
    for (int t = 0; t < static_cast<int>(l->world->transitions.size()); ++t)
      EXPECT_NE(l->surface.offer(t), nullptr);
    for (const auto& kind : goal_kinds())
      for (std::uint64_t i = 0; i < 3; ++i) {
        const auto goal = draw_goal(*l, kind, rng_for(3, kind, i, "slot " + std::to_string(slot)));
        if (!goal) continue;
        const Plan plan = plan_goal(*l, *goal);
        if (!plan.ok) continue;
        ++plans;
        for (const auto& s : plan.steps) {
          if (s.kind != schemas::GoldKind::call) continue;
          EXPECT_EQ(names.count(s.tool), 1U) << s.tool;
        }
      }
  }
  EXPECT_GE(plans, 100);
  EXPECT_GE(left_out, 40);
}

TEST(FewTools, TheLawsHold) {
  auto host = unjailed()(0);
  ASSERT_TRUE(host.ok()) << host.error().message;
  int held = 0;
  for (std::int64_t slot = 100; slot < 112; ++slot) {
    const auto l = environment_of(request_for(schemas::ToolRange{8, 12}), slot);
    if (!l) continue;
    const auto report = check_laws(*l, **host, Rng(static_cast<std::uint64_t>(slot)), 60);
    ASSERT_TRUE(report.ok()) << report.error().message;
    for (const auto& b : report->broken) ADD_FAILURE() << "slot " << slot << ": " << b;
    ++held;
  }
  EXPECT_GE(held, 11);
}

TEST(FewTools, SameBytesOnOneLaneAndOnTwo) {
  const auto request = request_for(schemas::ToolRange{8, 12});
  const std::string one = digest_of(request, 1);
  EXPECT_EQ(digest_of(request, 2), one);
  EXPECT_NE(one, digest_of(request_for(std::nullopt), 1));
}

// Written down before there was a number of tools to ask for. A change of the packs or of the
// generator that is meant changes it: then it is written anew.
TEST(FewTools, WithoutTheKnobNothingChanges) {
  EXPECT_EQ(digest_of(request_for(std::nullopt), 2), "0c71d05d86a25bd0d3b04dd73dc405cb");
  EXPECT_EQ(schemas::dump_record(request_for(std::nullopt)).find("\"tools\""), std::string::npos);
}

TEST(FewTools, ASillyRangeIsRefused) {
  EXPECT_EQ(schemas::tool_range("8-12")->most, 12);
  EXPECT_EQ(schemas::tool_range("10")->least, 10);
  for (const char* text : {"", "x", "7-12", "12-8", "8-41", "8-", "-12", "8-12-16", "8 - 12", "1e1",
                           "999999999999", "8-12\n"}) {
    const auto range = schemas::tool_range(text);
    ASSERT_FALSE(range.ok()) << text;
    EXPECT_EQ(range.error().where, Where::usage);
    EXPECT_NE(range.error().message.find("8 <= A <= B <= 40"), std::string::npos)
        << range.error().message;
  }
}

}  // namespace
}  // namespace seedbed::envgen
