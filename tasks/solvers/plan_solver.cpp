// greedy, bfs-K and no-policy: read, decide clause by clause (or by search), write, submit.
#include <algorithm>
#include <set>

#include "tasks/solvers/follow.h"
#include "tasks/solvers/session.h"

namespace seedbed::tasks::solvers {
namespace {

using schemas::Value;

constexpr int kGoodEnough = 8;      // of an operation's score
constexpr int kVerbSaid = 6;        // of its verb, where the form asks for more than a summary
constexpr int kVerbPlain = 12;      // where the clause asks to be told something
constexpr int kLackingScore = -30;  // as fit_operations counts it
constexpr int kOperationCost = 6;   // of each in a search
constexpr std::size_t kBeam = 64, kFits = 4, kRowsTried = 3;
constexpr int kMaxAsks = 3, kMaxRequests = 3;
constexpr std::size_t kMaxClearing = 4;  // calls tried to clear the way for a refused one

std::string error_code(const schemas::ToolResult& result) {
  const auto seen = schemas::parse_json(result.out);
  const Value* error = seen.ok() ? seen->find("error") : nullptr;
  return error == nullptr ? "" : error->text("code");
}

class Planner {
 public:
  Planner(const Sight& sight, const Ways& ways, const Style& style)
      : sight_(sight), style_(style), s_(sight, ways) {}

  Result<Ending> run() {
    Knowledge before;
    std::string whole = s_.prompt;
    for (int request = 0; request < kMaxRequests; ++request) {
      if (auto e = s_.explore()) return *std::move(e);
      SEEDBED_TRY(const bool answered, ask_what_is_lacking());
      if (!answered) return Ending{};
      const auto plan = style_.searches ? searched() : greedy();
      before = s_.known;
      SEEDBED_TRY(auto refusal, write(plan));
      if (refusal) return Ending{Ending::Kind::refuse, *std::move(refusal)};
      if (!tells_of_more(s_.prompt)) break;
      const auto& asked = s_.clauses();
      const bool asks = std::any_of(asked.begin(), asked.end(), [](const Clause& c) {
        return c.asks && !tells_of_more(c.text);
      });
      if (!asks) whole.clear();
      SEEDBED_TRY(const bool more, s_.ask_for_more());
      if (!more) return Ending{};
      whole += (whole.empty() ? "" : "\n") + s_.prompt;
    }
    if (asks_afterwards(sight_.submit_schema))
      for (const int noun : nouns_asked(s_.catalog, {}, sight_.submit_schema))
        if (auto e = s_.read_again(noun)) return *std::move(e);
    std::vector<Clause> clauses;
    const auto mentions = mentions_of(s_.known, whole);
    for (const auto text : clauses_of(whole)) clauses.push_back(clause_of(whole, text, mentions));
    const Findings findings{s_.catalog, s_.known, before, whole, clauses, touched_};
    return Ending{Ending::Kind::submit, fill_submission(findings, sight_.submit_schema)};
  }

 private:
  struct Planned {
    Operation operation;
    bool fallback = false;          // only where the one before it was refused
    std::optional<NamedTool> back;  // instead of an operation: takes the first one back
  };

  bool wants_change() const {
    return tells_of_more(s_.prompt) || required_fields(sight_.submit_schema).empty() ||
           asks_afterwards(sight_.submit_schema);
  }

  bool fits(const Clause& clause, const Operation& o) const {
    if (o.lacking || o.score < kGoodEnough) return false;
    if (clause.asks && o.verb < kVerbPlain) return false;
    return wants_change() || o.verb > kVerbSaid;
  }

  // The clauses that hold: of "if A, B; otherwise C" either B or C.
  std::vector<Clause> active() {
    const auto& all = s_.mentions();
    std::vector<Clause> out;
    enum class Taken : std::uint8_t { none, yes, no } taken = Taken::none;
    for (const auto& clause : s_.clauses()) {
      if (tells_of_more(clause.text) && clause.mentions.empty()) continue;
      const bool other =
          find_phrase(clause.text.substr(0, 24), "otherwise") != std::string_view::npos ||
          find_phrase(clause.text.substr(0, 24), "else") != std::string_view::npos ||
          find_phrase(clause.text.substr(0, 24), "if not") != std::string_view::npos;
      if (other && taken != Taken::none) {
        if (taken == Taken::no) out.push_back(clause);
        taken = Taken::none;
        continue;
      }
      if (const auto branch = branch_of(s_.catalog, s_.known, s_.prompt, clause, all)) {
        taken = branch->holds.value_or(true) ? Taken::yes : Taken::no;
        if (taken == Taken::yes) out.push_back(clause_of(s_.prompt, branch->then, all));
        continue;
      }
      out.push_back(clause);
    }
    return out;
  }

  // Where the prompt invites questions: for the argument that the best operation lacks.
  Result<bool> ask_what_is_lacking() {
    if (tells_of_more(s_.prompt)) return true;
    if (find_phrase(s_.prompt, "ask") == std::string_view::npos &&
        find_phrase(s_.prompt, "you know which") == std::string_view::npos)
      return true;
    for (int n = 0; n < kMaxAsks; ++n) {
      const auto& clauses = s_.clauses();
      std::optional<std::string> lacking;
      std::size_t at = 0;
      int best = kGoodEnough;
      for (std::size_t i = 0; i < clauses.size(); ++i)
        for (const auto& o : fit_operations(s_.catalog, s_.known, clauses[i], 64)) {
          const int score = o.score - (o.lacking ? kLackingScore - 4 : 0);
          if (score <= best) continue;
          best = score;
          lacking = o.lacking;
          at = i;
        }
      if (!lacking) return true;
      SEEDBED_TRY(const bool answered, s_.ask(*lacking, at));
      if (!answered) return false;
      if (auto e = s_.explore()) return *std::move(e);
    }
    return true;
  }

  // The clause's way back, where it hangs on a refusal and names a tool.
  std::optional<NamedTool> way_back(const Clause& clause) const {
    if (!hangs_on_refusal(clause.text)) return std::nullopt;
    auto named = tools_named(s_.catalog, clause.text);
    return named.empty() ? std::nullopt : std::optional<NamedTool>(std::move(named.front()));
  }

  std::vector<Planned> greedy() {
    if (tells_of_obstacle(s_.prompt)) return hindered();
    std::vector<Planned> out;
    for (const auto& clause : active()) {
      if (auto back = way_back(clause)) {
        out.push_back({{}, true, std::move(back)});
        continue;
      }
      auto best = fit_operations(s_.catalog, s_.known, clause, 1);
      if (!best.empty() && fits(clause, best.front()))
        out.push_back({std::move(best.front()), hangs_on_refusal(clause.text), {}});
    }
    return out;
  }

  // One thing is asked for; tools that the prompt names are for what stands in its way.
  std::vector<Planned> hindered() {
    const auto means = tools_named(s_.catalog, s_.prompt);
    std::optional<Operation> best;
    for (const auto& clause : active())
      for (auto& o : fit_operations(s_.catalog, s_.known, clause, kFits)) {
        const bool named = std::any_of(means.begin(), means.end(), [&](const NamedTool& m) {
          return m.tool == o.tool && m.given.empty();
        });
        if (!named && fits(clause, o) && (!best || o.score > best->score)) best = std::move(o);
      }
    std::vector<Planned> out;
    if (best) out.push_back({*std::move(best), false, {}});
    return out;
  }

  // ---- bfs-K ----
  struct Candidate {
    Operation operation;
    std::size_t clause;
    std::set<std::size_t> explains;  // token numbers of the clause
  };
  struct Node {
    std::vector<std::size_t> chosen;  // candidates, in order
    int score = 0;
  };

  // Each fit, and where a record was picked from several alike also the others.
  std::vector<Candidate> candidates(const std::vector<Clause>& clauses) const {
    std::vector<Candidate> out;
    for (std::size_t i = 0; i < clauses.size(); ++i)
      for (auto& o : fit_operations(s_.catalog, s_.known, clauses[i], kFits)) {
        if (!fits(clauses[i], o)) continue;
        Candidate made{std::move(o), i, {}};
        const auto& stems = s_.catalog.tools[static_cast<std::size_t>(made.operation.tool)].stems;
        for (std::size_t t = 0; t < clauses[i].stems.size(); ++t)
          if (std::find(stems.begin(), stems.end(), clauses[i].stems[t]) != stems.end() &&
              !describes(s_.catalog, clauses[i], t))
            made.explains.insert(t);
        const auto& tool = s_.catalog.tools[static_cast<std::size_t>(made.operation.tool)];
        for (const auto& p : tool.params) {
          if (!p.required || p.kind != SeenParam::Kind::ref || clauses[i].each) continue;
          const auto named = std::any_of(clauses[i].mentions.begin(), clauses[i].mentions.end(),
                                         [&](const Mention& m) { return m.what.noun == p.noun; });
          if (named) continue;
          const Selection alike = select_rows(s_.catalog, s_.known, clauses[i], p.noun);
          for (std::size_t r = 1; r < alike.rows.size() && r < kRowsTried; ++r) {
            Candidate other = made;
            other.operation.args.set(
                p.name,
                argument_of(p, s_.known.rows[static_cast<std::size_t>(p.noun)][alike.rows[r]]));
            other.operation.score -= static_cast<int>(r);
            out.push_back(std::move(other));
          }
        }
        out.push_back(std::move(made));
      }
    return out;
  }

  // What a candidate adds to a sequence: words explained anew by their rarity, and its records; a
  // clause that has its operation already counts for its new words alone.
  int gain(const std::vector<Candidate>& from,
           const std::vector<Clause>& clauses,
           const Node& node,
           std::size_t next) const {
    const auto& c = from[next];
    std::set<std::size_t> fresh = c.explains;
    bool first = true;
    for (const std::size_t i : node.chosen) {
      if (from[i].clause != c.clause) continue;
      first = false;
      for (const std::size_t t : from[i].explains) fresh.erase(t);
    }
    int words = 0;
    std::set<std::string> stems;
    for (const std::size_t t : fresh)
      if (stems.insert(clauses[c.clause].stems[t]).second)
        words += s_.catalog.weight(clauses[c.clause].stems[t]);
    return words - kOperationCost + (first ? c.operation.score - c.operation.verb : -kGoodEnough);
  }

  std::vector<Planned> searched() {
    if (tells_of_obstacle(s_.prompt)) return hindered();
    std::vector<Clause> clauses;
    std::optional<NamedTool> back;
    for (auto& clause : active())
      if (auto named = way_back(clause))
        back = std::move(named);
      else
        clauses.push_back(std::move(clause));
    const auto from = candidates(clauses);
    std::vector<Node> layer = {Node{}};
    Node best;
    for (int depth = 0; depth < style_.writes && !layer.empty(); ++depth) {
      std::vector<Node> next;
      for (const auto& node : layer)
        for (std::size_t i = 0; i < from.size(); ++i) {
          if (!node.chosen.empty() && from[i].clause < from[node.chosen.back()].clause) continue;
          if (std::find(node.chosen.begin(), node.chosen.end(), i) != node.chosen.end()) continue;
          Node longer = node;
          longer.score += gain(from, clauses, node, i);
          longer.chosen.push_back(i);
          next.push_back(std::move(longer));
        }
      std::stable_sort(next.begin(), next.end(),
                       [](const Node& a, const Node& b) { return a.score > b.score; });
      if (next.size() > kBeam) next.resize(kBeam);
      if (!next.empty() && next.front().score > best.score) best = next.front();
      layer = std::move(next);
    }
    std::vector<Planned> out;
    for (const std::size_t i : best.chosen)
      out.push_back({from[i].operation, hangs_on_refusal(clauses[from[i].clause].text), {}});
    if (back) out.push_back({{}, true, std::move(back)});
    return out;
  }

  struct Outcome {
    bool done = false;
    std::string code;  // of the tool or of the rule that forbids it
  };

  bool may_write() const { return writes_ < style_.writes && s_.left() > 0; }

  // All calls of the operation up to the first that is refused.
  Result<Outcome> carry_out(const Operation& o) {
    for (const auto& call : calls_of(s_.catalog, s_.known, o)) {
      if (!may_write()) return Outcome{true, ""};
      ++writes_;
      SEEDBED_TRY(const auto results, s_.call({call}));
      if (!results.empty() && results.front().end != schemas::End::ok)
        return Outcome{false, error_code(results.front())};
    }
    return Outcome{true, ""};
  }

  // What the handbook wants done after the operation, worked out before it.
  Result<std::vector<NamedTool>> duties(const Operation& o) {
    auto out = duties_of(s_.catalog, s_.known, o);
    if (out.empty()) return out;
    for (const auto& named : out)
      if (!call_on(s_.catalog, s_.known, named, o.rows))
        if (auto e = read_for(named)) return *std::move(e);
    return duties_of(s_.catalog, s_.known, o);
  }

  Step read_for(const NamedTool& named) {
    for (const auto& p : s_.catalog.tools[static_cast<std::size_t>(named.tool)].params)
      if (p.required && p.noun >= 0)
        if (auto e = s_.read_again(p.noun)) return e;
    return std::nullopt;
  }

  Step do_also(const std::vector<NamedTool>& more, const Operation& after) {
    for (const auto& named : more)
      if (const auto also = call_on(s_.catalog, s_.known, named, after.rows)) {
        SEEDBED_TRY(const auto outcome, carry_out(*also));
      }
    return std::nullopt;
  }

  // Tries what might clear the way, and the operation again. Whether it went through.
  Result<bool> clear_way(const Operation& o, const std::string& code) {
    const WayOut way = way_out(s_.catalog, s_.prompt, o, code, style_.refuses);
    for (std::size_t i = 0; i < way.nouns.size() && i < 3; ++i)
      if (auto e = s_.read_again(way.nouns[i])) return *std::move(e);
    for (const auto& one : clearing_calls(s_.catalog, s_.known, way, o, kMaxClearing)) {
      if (!may_write()) return false;
      SEEDBED_TRY(const auto cleared, carry_out(one));
      if (!cleared.done) continue;
      SEEDBED_TRY(const auto again, carry_out(o));
      return again.done;
    }
    return false;
  }

  // The named tool on what the operations so far made or touched, what is new first.
  Step take_back(const NamedTool& named, const Knowledge& before) {
    const auto& tool = s_.catalog.tools[static_cast<std::size_t>(named.tool)];
    std::vector<RowRef> rows;
    for (int tries = 0; tries < 2 && rows.empty(); ++tries) {
      if (tries > 0)
        if (auto e = read_for(named)) return e;
      for (const auto& p : tool.params) {
        if (p.noun < 0) continue;
        const auto& table = s_.known.rows[static_cast<std::size_t>(p.noun)];
        for (std::size_t r = table.size(); r-- > 0;)  // the newest has the last id
          if (before.row(p.noun, table[r].id) == nullptr) rows.push_back({p.noun, r});
        for (const auto& ref : touched_)
          if (ref.noun == p.noun) rows.push_back(ref);
      }
    }
    rows.insert(rows.end(), touched_.begin(), touched_.end());
    if (const auto call = call_on(s_.catalog, s_.known, named, rows)) {
      SEEDBED_TRY(const auto outcome, carry_out(*call));
    }
    return std::nullopt;
  }

  // Carries them out; the arguments of refuse where a rule or a tool forbids one and nothing is to
  // be done instead.
  Result<std::optional<Value>> write(const std::vector<Planned>& plan) {
    const bool hindered = tells_of_obstacle(s_.prompt);
    const Knowledge before = s_.known;
    bool refused = true;  // what nothing fits is not done either
    for (std::size_t i = 0; i < plan.size(); ++i) {
      if (plan[i].fallback && !refused) continue;
      if (plan[i].back) {
        if (auto e = take_back(*plan[i].back, before)) return *std::move(e);
        continue;
      }
      const auto& o = plan[i].operation;
      const bool other = i + 1 < plan.size() && plan[i + 1].fallback;
      std::optional<std::string> code;
      if (style_.refuses && (writes_ == 0 || other))
        code = broken_rule(s_.catalog, s_.known, o.tool, o.rows);
      refused = code.has_value();
      if (!refused) {
        std::vector<NamedTool> more;
        if (style_.refuses) {
          SEEDBED_TRY(more, duties(o));
        }
        SEEDBED_TRY(auto outcome, carry_out(o));
        if (!outcome.done && hindered) {
          SEEDBED_TRY(outcome.done, clear_way(o, outcome.code));
        }
        refused = !outcome.done;
        code = std::move(outcome.code);
        if (!refused || !other) touched_.insert(touched_.end(), o.rows.begin(), o.rows.end());
        if (!refused)
          if (auto e = do_also(more, o)) return *std::move(e);
      }
      if (!refused || other || !style_.refuses) continue;
      if (auto refusal = refusal_for(s_.catalog, s_.known, o.rows, *code)) return refusal;
    }
    return std::optional<Value>();
  }

  const Sight& sight_;
  Style style_;
  Session s_;
  std::vector<RowRef> touched_;
  int writes_ = 0;
};

}  // namespace

Result<Ending> solve_by_plan(const Sight& sight, const Ways& ways, const Style& style) {
  return Planner(sight, ways, style).run();
}

}  // namespace seedbed::tasks::solvers
