// greedy, bfs-K and no-policy: read, decide clause by clause (or by search), write, submit.
#include <algorithm>
#include <set>

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
constexpr int kMaxAsks = 3;

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
    if (auto e = s_.explore()) return *std::move(e);
    SEEDBED_TRY(const bool answered, ask_what_is_lacking());
    if (!answered) return Ending{};
    const auto operations = style_.searches ? searched() : greedy();
    const Knowledge before = s_.known;
    SEEDBED_TRY(auto refusal, write(operations));
    if (refusal) return Ending{Ending::Kind::refuse, *std::move(refusal)};
    if (asks_afterwards(sight_.submit_schema))
      for (const int noun : nouns_asked(s_.catalog, {}, sight_.submit_schema))
        if (auto e = s_.read_again(noun)) return *std::move(e);
    const auto& clauses = s_.clauses();
    const Findings findings{s_.catalog, s_.known, before, s_.prompt, clauses, touched_};
    return Ending{Ending::Kind::submit, fill_submission(findings, sight_.submit_schema)};
  }

 private:
  bool wants_change() const {
    return required_fields(sight_.submit_schema).empty() || asks_afterwards(sight_.submit_schema);
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

  std::vector<Operation> greedy() {
    std::vector<Operation> out;
    for (const auto& clause : active()) {
      auto best = fit_operations(s_.catalog, s_.known, clause, 1);
      if (!best.empty() && fits(clause, best.front())) out.push_back(std::move(best.front()));
    }
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
                p.name, s_.known.rows[static_cast<std::size_t>(p.noun)][alike.rows[r]].value);
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

  std::vector<Operation> searched() {
    const auto clauses = active();
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
    std::vector<Operation> out;
    for (const std::size_t i : best.chosen) out.push_back(from[i].operation);
    return out;
  }

  // Carries them out; the arguments of refuse where a rule or a tool forbids one.
  Result<std::optional<Value>> write(const std::vector<Operation>& operations) {
    int writes = 0;
    for (const auto& o : operations) {
      if (style_.refuses)
        if (const auto code = broken_rule(s_.catalog, s_.known, o.tool, o.rows);
            code && writes == 0)
          if (auto refusal = refusal_for(s_.catalog, s_.known, o.rows, *code)) return refusal;
      touched_.insert(touched_.end(), o.rows.begin(), o.rows.end());
      for (const auto& call : calls_of(s_.catalog, s_.known, o)) {
        if (writes >= style_.writes || s_.left() < 1) return std::optional<Value>();
        ++writes;
        SEEDBED_TRY(const auto results, s_.call({call}));
        if (results.empty() || results.front().end == schemas::End::ok) continue;
        if (!style_.refuses) break;
        if (auto refusal = refusal_for(s_.catalog, s_.known, o.rows, error_code(results.front())))
          return refusal;
        break;
      }
    }
    return std::optional<Value>();
  }

  const Sight& sight_;
  Style style_;
  Session s_;
  std::vector<RowRef> touched_;
};

}  // namespace

Result<Ending> solve_by_plan(const Sight& sight, const Ways& ways, const Style& style) {
  return Planner(sight, ways, style).run();
}

}  // namespace seedbed::tasks::solvers
