#include "tasks/solvers/session.h"

#include <algorithm>

namespace seedbed::tasks::solvers {
namespace {

using schemas::ToolCall;
using schemas::ToolResult;
using schemas::Value;
using Kind = SeenParam::Kind;

constexpr std::size_t kMaxFinds = 20, kMaxPages = 10, kMaxDetails = 10;
constexpr std::size_t kFiltered = 4;  // filtered lists instead of a long one

std::string key_of(const ToolCall& call) {
  return call.tool + dump(call.args);
}

}  // namespace

Session::Session(const Sight& sight, const Ways& ways)
    : catalog(sight.catalog), prompt(sight.prompt), sight_(sight), ways_(ways) {
  known.rows.resize(catalog.nouns.size());
  for (const auto& noun : catalog.nouns) known.nouns.push_back(noun.stems);
}

Result<std::vector<ToolResult>> Session::call(const std::vector<ToolCall>& calls) {
  std::vector<ToolCall> now = calls;
  if (static_cast<int>(now.size()) > left())
    now.resize(static_cast<std::size_t>(std::max(0, left())));
  if (now.empty()) return std::vector<ToolResult>();
  SEEDBED_TRY(auto results, ways_.call(now));
  calls_ += static_cast<int>(now.size());
  for (std::size_t i = 0; i < now.size() && i < results.size(); ++i) {
    const auto tool = std::find_if(catalog.tools.begin(), catalog.tools.end(),
                                   [&](const auto& t) { return t.name == now[i].tool; });
    if (results[i].end != schemas::End::ok || tool == catalog.tools.end()) continue;
    const auto seen = schemas::parse_json(results[i].out);
    if (!seen.ok()) continue;
    int noun = tool->noun;  // of an act: whatever kind already has the record
    if (tool->form == SeenTool::Form::act && seen->find("id") != nullptr)
      for (std::size_t n = 0; n < known.rows.size(); ++n)
        if (const Row* row = known.row(static_cast<int>(n), text_of(*seen->find("id")));
            row != nullptr && static_cast<int>(n) != noun && known.row(noun, row->id) == nullptr &&
            row->value.is_string())
          noun = static_cast<int>(n);
    known.learn(noun, *seen);
  }
  return results;
}

const std::vector<Mention>& Session::mentions() {
  const std::size_t now = known.learned * 4'096 + prompt.size();
  if (mentions_at_ != now) mentions_ = mentions_of(known, prompt);
  mentions_at_ = now;
  return mentions_;
}

const std::vector<Clause>& Session::clauses() {
  const auto& all = mentions();
  if (clauses_at_ == mentions_at_) return clauses_;
  clauses_at_ = mentions_at_;
  clauses_.clear();
  for (const auto text : clauses_of(prompt)) clauses_.push_back(clause_of(prompt, text, all));
  return clauses_;
}

// Each name goes to the finding tool of the kind that stands before it, else to all of them.
Step Session::read_names() {
  std::vector<ToolCall> calls;
  for (const auto& name : name_candidates(prompt)) {
    const std::size_t at = find_phrase(prompt, name);
    const auto before = tokens_of(std::string_view(prompt).substr(0, at));
    std::vector<std::string> stems;
    for (std::size_t i = before.size() > 4 ? before.size() - 4 : 0; i < before.size(); ++i)
      stems.push_back(before[i].stem);
    int only = -1;
    for (std::size_t i = 0; i < stems.size(); ++i)
      if (const int noun = catalog.noun_at(stems, i);
          noun >= 0 &&
          i + catalog.nouns[static_cast<std::size_t>(noun)].stems.size() == stems.size())
        only = noun;
    for (std::size_t n = 0; n < catalog.nouns.size(); ++n) {
      const int tool = catalog.nouns[n].find;
      if (tool < 0 || (only >= 0 && static_cast<int>(n) != only)) continue;
      const auto& seen = catalog.tools[static_cast<std::size_t>(tool)];
      Value args = Value::object();
      args.set(seen.param(Kind::name)->name, name);
      ToolCall call{seen.name, std::move(args)};
      if (calls.size() < kMaxFinds && made_.insert(key_of(call)).second)
        calls.push_back(std::move(call));
    }
  }
  SEEDBED_TRY(const auto results, call(calls));
  return std::nullopt;
}

Step Session::read_lists(const std::set<int>& nouns) {
  struct Page {
    ToolCall call;
    int noun;
    std::size_t number;
  };
  std::vector<Page> pages;
  for (const int noun : nouns) {
    const int tool = catalog.nouns[static_cast<std::size_t>(noun)].list;
    if (tool < 0 || !read_.insert(noun).second) continue;
    pages.push_back(
        {{catalog.tools[static_cast<std::size_t>(tool)].name, Value::object()}, noun, 0});
  }
  while (!pages.empty() && left() > 6) {
    std::vector<ToolCall> calls;
    for (const auto& page : pages) calls.push_back(page.call);
    SEEDBED_TRY(const auto results, call(calls));
    std::vector<Page> next;
    const auto& named = mentions();
    for (std::size_t i = 0; i < results.size(); ++i) {
      const auto seen = schemas::parse_json(results[i].out);
      const Value* more = seen.ok() ? seen->find("next_offset") : nullptr;
      if (more == nullptr || !more->is_int()) continue;
      const auto& list = catalog.tools[static_cast<std::size_t>(
          catalog.nouns[static_cast<std::size_t>(pages[i].noun)].list)];
      std::size_t filters = 0;
      if (pages[i].number == 0)  // long: only what belongs to the records that are named
        for (const auto& p : list.params)
          for (const auto& m : named) {
            if ((p.kind != Kind::ref && p.kind != Kind::ref_name) || p.noun != m.what.noun)
              continue;
            const Row& row = known.rows[static_cast<std::size_t>(p.noun)][m.what.row];
            Page filtered{{list.name, Value::object()}, pages[i].noun, 1};
            filtered.call.args.set(p.name, p.kind == Kind::ref ? row.value : Value(row.name()));
            if (filters < kFiltered && made_.insert(key_of(filtered.call)).second)
              next.push_back(std::move(filtered)), ++filters;
          }
      if (filters > 0 || pages[i].number + 1 >= kMaxPages) continue;
      Page following = pages[i];
      following.call.args.set(list.param(Kind::offset)->name, *more);
      ++following.number;
      next.push_back(std::move(following));
    }
    pages = std::move(next);
  }
  return std::nullopt;
}

// Tools that show more of one record than its list does, or the records that belong to one: for
// what the prompt names.
Step Session::read_details() {
  std::vector<ToolCall> calls;
  const auto add = [&](int noun, const Row& row) {
    for (const auto& tool : catalog.tools) {
      const SeenParam* p = tool.form == SeenTool::Form::get ? tool.param(Kind::ref) : nullptr;
      if (p == nullptr || p->noun != noun || calls.size() >= kMaxDetails) continue;
      ToolCall call{tool.name, Value::object()};
      call.args.set(p->name, row.value);
      if (made_.insert(key_of(call)).second) calls.push_back(std::move(call));
    }
  };
  for (const auto& m : mentions())
    add(m.what.noun, known.rows[static_cast<std::size_t>(m.what.noun)][m.what.row]);
  for (const auto& clause : clauses())
    for (std::size_t n = 0; n < catalog.nouns.size(); ++n) {
      if (!catalog.mentions(clause.stems, static_cast<int>(n))) continue;
      const Selection chosen = select_rows(catalog, known, clause, static_cast<int>(n));
      for (std::size_t i = 0; i < chosen.rows.size() && i < 4; ++i)
        add(static_cast<int>(n), known.rows[n][chosen.rows[i]]);
    }
  if (calls.empty() || left() < 12) return std::nullopt;
  SEEDBED_TRY(const auto results, call(calls));
  return std::nullopt;
}

// What the prompt and the form speak of, and what the tools that fit best would need.
std::set<int> Session::wanted_nouns() {
  std::set<int> out;
  const auto& all = clauses();
  for (const int noun : nouns_asked(catalog, all, sight_.submit_schema)) out.insert(noun);
  for (const auto& clause : all) {
    if (clause.mentions.empty() && out.empty()) continue;
    const auto fits = fit_operations(catalog, known, clause, 2);
    for (const auto& o : fits)
      if (o.verb > 4)
        for (const auto& p : catalog.tools[static_cast<std::size_t>(o.tool)].params)
          if (p.noun >= 0 && p.required && known.rows[static_cast<std::size_t>(p.noun)].empty())
            out.insert(p.noun);
  }
  return out;
}

Step Session::explore() {
  if (auto e = read_names()) return e;
  const auto& named = mentions();
  std::set<int> nouns = wanted_nouns();
  // A name that nothing has resolved may belong to a kind that can only be listed.
  bool open = false;
  for (const auto& name : name_candidates(prompt)) {
    const std::size_t at = find_phrase(prompt, name);
    open = open || std::none_of(named.begin(), named.end(), [&](const Mention& m) {
             return m.begin < at + name.size() && at < m.end;
           });
  }
  // Kinds that were found by name and have no more to show need no list.
  std::erase_if(nouns, [&](int n) {
    const auto& noun = catalog.nouns[static_cast<std::size_t>(n)];
    return noun.find >= 0 && std::any_of(named.begin(), named.end(),
                                         [&](const Mention& m) { return m.what.noun == n; });
  });
  if (open)
    for (std::size_t n = 0; n < catalog.nouns.size(); ++n) {
      const auto& noun = catalog.nouns[n];
      if (noun.find >= 0 || noun.list < 0) continue;
      const bool filtered = std::any_of(
          catalog.tools[static_cast<std::size_t>(noun.list)].params.begin(),
          catalog.tools[static_cast<std::size_t>(noun.list)].params.end(),
          [](const SeenParam& p) { return p.kind == Kind::ref || p.kind == Kind::ref_name; });
      if (!filtered) nouns.insert(static_cast<int>(n));  // things in their own right, with names
    }
  if (auto e = read_lists(nouns)) return e;
  if (auto e = read_lists(wanted_nouns())) return e;
  return read_details();
}

Step Session::read_again(int noun) {
  if (noun < 0) return std::nullopt;
  read_.erase(noun);
  std::erase_if(made_, [&](const std::string& key) {
    const int list = catalog.nouns[static_cast<std::size_t>(noun)].list;
    return list >= 0 && key.starts_with(catalog.tools[static_cast<std::size_t>(list)].name + "{");
  });
  if (catalog.nouns[static_cast<std::size_t>(noun)].list >= 0) return read_lists({noun});
  std::vector<ToolCall> calls;
  const int find = catalog.nouns[static_cast<std::size_t>(noun)].find;
  for (const auto& m : mentions()) {
    if (m.what.noun != noun || find < 0) continue;
    const auto& tool = catalog.tools[static_cast<std::size_t>(find)];
    Value args = Value::object();
    args.set(tool.param(Kind::name)->name,
             known.rows[static_cast<std::size_t>(noun)][m.what.row].name());
    calls.push_back({tool.name, std::move(args)});
  }
  SEEDBED_TRY(const auto results, call(calls));
  return std::nullopt;
}

Result<bool> Session::ask(const std::string& lacking, std::size_t clause) {
  SEEDBED_TRY(auto reply, ways_.say("Which " + lacking + " should I take?"));
  if (!reply) return false;
  while (!reply->empty() && (reply->back() == '.' || reply->back() == '!')) reply->pop_back();
  const auto texts = clauses_of(prompt);
  if (clause >= texts.size()) return false;
  const auto end =
      static_cast<std::size_t>(texts[clause].data() - prompt.data()) + texts[clause].size();
  prompt.insert(end, " (" + *reply + ")");
  mentions_at_ = clauses_at_ = kNever;
  return true;
}

Result<bool> Session::ask_for_more() {
  SEEDBED_TRY(auto reply, ways_.say("That is done. What is next?"));
  if (!reply) return false;
  prompt = *std::move(reply);
  made_.clear();
  read_.clear();
  mentions_at_ = clauses_at_ = kNever;
  return true;
}

}  // namespace seedbed::tasks::solvers
