// The planner's state; inside the generator only. Every value that a call uses is in the prompt or
// in an earlier result; the steps that showed it are its `needs`.
#pragma once
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "envgen/general/goal.h"

namespace seedbed::envgen {

inline constexpr std::size_t kMaxPages = 6, kMaxGets = 8, kMaxCalls = 40;
inline constexpr std::size_t kSingleReads = 2, kMaxReads = 16;
inline constexpr int kPrompt = -1;  // known from the prompt

struct Planner {
  const Lowered& l;
  const Goal& goal;
  const World& w;
  Facts facts;
  Plan plan;
  std::map<std::pair<int, std::int64_t>, int> ids;  // (concept, key) -> step that showed the id
  std::map<std::tuple<int, std::int64_t, int>, int> seen;    // (concept, key, attribute) -> step
  std::map<std::pair<int, std::int64_t>, int> derived_seen;  // (derived, key) -> step
  std::set<std::pair<int, std::int64_t>> named;              // names in the prompt
  std::map<std::string, int> made;                           // reads since the last write, by call
  std::map<int, std::size_t> single_reads;                   // by concept
  std::size_t reads = 0;                                     // single ones, in all
  int loops = 0;                                             // nested rows being touched
  std::vector<std::int64_t> variables;                       // of terms that are touched
  std::map<std::string, std::int64_t> calls;                 // of tools that are busy at times

  bool fail(const std::string& why) {
    if (plan.why.empty()) plan.why = why;
    return false;
  }
  [[nodiscard]] const ToolForm* form(ToolForm::Kind kind, int c) const {
    for (const auto& t : l.surface.tools)
      if (t.kind == kind && t.concept_id == c) return &t;
    return nullptr;
  }
  // The step that makes the call; a read that was made since the last write is not made again.
  int emit(const std::string& tool, schemas::Value args, std::set<int> needs) {
    std::string key = tool + schemas::dump(args);
    if (const auto it = made.find(key); it != made.end()) return it->second;
    made.emplace(std::move(key), static_cast<int>(plan.steps.size()));
    schemas::GoldStep s;
    s.tool = tool;
    s.args = std::move(args);
    needs.erase(kPrompt);
    s.needs.assign(needs.begin(), needs.end());
    plan.steps.push_back(std::move(s));
    return static_cast<int>(plan.steps.size()) - 1;
  }
  void show_row(int c, std::int64_t key, const std::vector<int>& attributes, int step) {
    ids.try_emplace({c, key}, step);
    const Row* row = facts.tables[static_cast<std::size_t>(c)].find(key);
    if (row == nullptr) return;
    for (const int a : attributes) {
      seen.try_emplace({c, key, a}, step);
      const Domain& d =
          w.concepts[static_cast<std::size_t>(c)].attrs[static_cast<std::size_t>(a)].domain;
      if (d.type != Type::ref || row->values[static_cast<std::size_t>(a)] == kNone) continue;
      ids.try_emplace({d.target, row->values[static_cast<std::size_t>(a)]}, step);
      const int name = w.concepts[static_cast<std::size_t>(d.target)].attr("name");
      if (l.surface.expand && name >= 0)
        seen.try_emplace({d.target, row->values[static_cast<std::size_t>(a)], name}, step);
    }
  }
  void all_attributes(int c, std::vector<int>& out) const {
    for (int a = 0; a < static_cast<int>(w.concepts[static_cast<std::size_t>(c)].attrs.size()); ++a)
      out.push_back(a);
  }

  bool find_by_name(int c, std::int64_t key);
  bool know_id(int c, std::int64_t key);
  bool know_name(int c, std::int64_t key, int& step);
  bool list(int c,
            const std::vector<std::pair<int, std::int64_t>>& filters,
            const std::vector<int>& attributes);
  bool reference(const Reference& r);
  void read_one(const ToolForm& get, int c, std::int64_t key);
  bool attribute(int c, std::int64_t key, int a);
  bool derived(int d, std::int64_t key);
  int call(const ToolForm& tool, const std::vector<std::int64_t>& args, std::set<int> needs);
  bool operation(const Operation& o);
  bool need(const Goal::Need& n);
  // Reads all that the value of the term hangs on, as its evaluation goes.
  bool touch(const Term& term);
  bool touch_rows(int concept_id,
                  int slot,
                  const Term& condition,
                  const std::vector<TermPtr>& rest);
  [[nodiscard]] std::int64_t value(const Term& term);
  bool refusal();
  bool ask(const std::string& question);
  bool turn(int number, std::size_t begin, std::size_t end);
  void name_what_is_said(int turn);
  void finish();
  bool run();
};

}  // namespace seedbed::envgen
