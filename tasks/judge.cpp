#include "tasks/judge.h"

#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>

#include "tasks/judge_check.h"
#include "tasks/judge_db.h"
#include "tasks/judge_facts.h"
#include "tasks/judge_match.h"
#include "tasks/normal.h"

namespace seedbed::tasks {
namespace {

using schemas::Outcome;
using schemas::RowChange;
using schemas::Scalar;
using schemas::ScorePart;
using schemas::Stop;
using schemas::Value;
using schemas::Verdict;
using schemas::Verifier;

constexpr std::size_t kMaxQueries = 2'048;
constexpr std::size_t kMaxRemembered = 4'096;

// What the facts are after some changes; a function of the changes alone, so it is remembered under their bytes.
struct Difference {
  std::vector<ChangedFact> facts;
  std::string unseen;  // a table changed that no view reads and that is no bookkeeping
};

void put_scalar(std::string& out, const Scalar& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) {
    out.push_back('i');
    out.append(reinterpret_cast<const char*>(i), sizeof *i);
  } else if (const auto* s = std::get_if<std::string>(&value)) {
    const std::size_t n = s->size();
    out.push_back('t');
    out.append(reinterpret_cast<const char*>(&n), sizeof n);
    out.append(*s);
  } else {
    out.push_back('n');
  }
}

void put_row(std::string& out, const std::vector<Scalar>& row) {
  out.push_back(static_cast<char>(row.size()));
  for (const auto& value : row) put_scalar(out, value);
}

// The changes' bytes without the index of their call, which reads in between would shift.
std::string state_key(std::span<const RowChange> changes) {
  std::string out;
  for (const auto& change : changes) {
    out += change.table;
    out.push_back('\0');
    put_row(out, change.before);
    put_row(out, change.after);
  }
  return out;
}

Error bad_evidence(const std::string& found) {
  return make_error(Where::verifier, "episode", "its evidence", found, "run the episode again");
}

// In the order of their calls; the recorder gives them so, and a copy is made only where it did not.
std::span<const RowChange> in_order(const std::vector<RowChange>& changes, std::vector<RowChange>& copy) {
  const auto earlier = [](const RowChange& a, const RowChange& b) { return a.call < b.call; };
  if (std::is_sorted(changes.begin(), changes.end(), earlier)) return changes;
  copy = changes;
  std::stable_sort(copy.begin(), copy.end(), earlier);
  return copy;
}

std::span<const RowChange> before_call(std::span<const RowChange> changes, int call) {
  const auto end = std::find_if(changes.begin(), changes.end(), [call](const RowChange& c) { return c.call >= call; });
  return changes.first(static_cast<std::size_t>(end - changes.begin()));
}

// Parts in the order of the verdict; `quick` stops at the first that fails.
struct Parts {
  std::vector<ScorePart> cheap, asked, facts, rules;
  std::vector<std::pair<std::string, std::string>> whys;  // part -> why
  bool failed = false;

  void add(std::vector<ScorePart>& group, std::string name, double weight, bool holds, const std::string& why) {
    if (!holds) {
      failed = true;
      whys.emplace_back(name, why);
    }
    group.push_back({.name = std::move(name), .holds = holds, .weight = weight});
  }
};

}  // namespace

struct Judge::State {
  schemas::Environment env;
  std::unique_ptr<JudgeDb> db;
  std::optional<Facts> facts;
  std::vector<FactColumn> columns;
  std::unordered_map<std::string, Query> queries;
  std::unordered_map<std::string, std::shared_ptr<const Difference>> remembered;

  Result<const Query*> query(const std::string& sql, const std::string& at);
  Result<bool> holds(const std::string& sql, const std::string& at, const Value& args);
  Result<std::shared_ptr<const Difference>> difference(std::span<const RowChange> changes);
  std::shared_ptr<const Difference> recall(const std::string& key) const;
  Result<std::shared_ptr<const Difference>> learn(std::span<const RowChange> changes, const std::string& key);
  std::string unseen_table(std::span<const RowChange> changes) const;
  LineDiff lines(const Difference& difference) const;
  void fill_columns();

  Result<Parts> score(const Verifier& verifier, const Episode& episode, bool quick);
  Step score_rules(const Verifier& verifier, const Episode& episode, std::span<const RowChange> changes, Parts& parts);
};

namespace {

// The state as the episode goes on: changes are applied up to a call, never back.
class Replay {
 public:
  Replay(JudgeDb& db, std::span<const RowChange> changes) : db_(db), changes_(changes) {}
  Step to(int call) {
    while (at_ < changes_.size() && changes_[at_].call < call) {
      std::size_t end = at_;
      while (end < changes_.size() && changes_[end].call == changes_[at_].call) ++end;
      if (auto e = db_.apply(changes_.subspan(at_, end - at_))) return e;
      at_ = end;
    }
    return std::nullopt;
  }

 private:
  JudgeDb& db_;
  std::span<const RowChange> changes_;
  std::size_t at_ = 0;
};

constexpr int kToTheEnd = 0x7fffffff;

void score_answers(const Verifier& verifier, const Episode& episode, Parts& parts) {
  const double share = verifier.answer.empty() ? 0 : 4.0 / static_cast<double>(verifier.answer.size());
  const bool submitted = episode.stop == Stop::answered;
  for (const auto& field : verifier.answer) {
    const Value* value = submitted ? episode.submitted.find(field.name) : nullptr;
    parts.add(parts.cheap, "answer:" + field.name, share, accepts(field, value),
              value == nullptr ? "was not submitted" : "submitted " + dump(*value) + ", which is not the accepted value");
  }
}

void score_refusal(const Verifier& verifier, const Episode& episode, Parts& parts) {
  const bool refused = episode.stop == Stop::refused;
  const std::string code = refused ? normal_text(episode.submitted.text("reason_code")) : "";
  const bool right_code = refused && std::any_of(verifier.refuse_codes.begin(), verifier.refuse_codes.end(),
                                                 [&](const std::string& c) { return normal_text(c) == code; });
  parts.add(parts.cheap, "refuse_code", 1, right_code, "reason '" + code + "' is not the rule that forbids this");
  const Value* ids = refused ? episode.submitted.find("evidence_ids") : nullptr;
  const schemas::AnswerField wanted{.name = "evidence_ids", .type = schemas::AnswerType::set, .accept = verifier.refuse_evidence};
  parts.add(parts.cheap, "evidence", 4, accepts(wanted, ids), "the evidence is not exactly the records that prove it");
}

}  // namespace

Result<const Query*> Judge::State::query(const std::string& sql, const std::string& at) {
  if (const auto it = queries.find(sql); it != queries.end()) return &it->second;
  if (queries.size() >= kMaxQueries) queries.clear();
  SEEDBED_TRY(Query made, db->prepare(sql, at));
  return &queries.emplace(sql, std::move(made)).first->second;
}

Result<bool> Judge::State::holds(const std::string& sql, const std::string& at, const Value& args) {
  SEEDBED_TRY(const Query* made, query(sql, at));
  return db->holds(*made, at, [&](const std::string& name) {
    if (name == "now") return Value(env.now_minutes);
    const Value* value = args.find(name);
    return value == nullptr ? Value() : *value;
  });
}

// Net changes of tables that no view shows, do-then-undo left out.
std::string Judge::State::unseen_table(std::span<const RowChange> changes) const {
  std::unordered_map<std::string, std::pair<std::vector<Scalar>, std::vector<Scalar>>> net;  // table and key -> first, last
  for (const auto& change : changes) {
    const bool exempt = std::find(env.bookkeeping.begin(), env.bookkeeping.end(), change.table) != env.bookkeeping.end();
    const TableInfo* table = db->table(change.table);
    if (exempt || table == nullptr || !facts->views_over(change.table).empty()) continue;
    const auto place = [&](const std::vector<Scalar>& row) {
      std::string key = change.table + '\0';
      for (const int k : table->key) put_scalar(key, row[static_cast<std::size_t>(k)]);
      return key;
    };
    if (!change.before.empty()) net.try_emplace(place(change.before), change.before, std::vector<Scalar>{}).first->second.second.clear();
    if (!change.after.empty()) net.try_emplace(place(change.after), std::vector<Scalar>{}, change.after).first->second.second = change.after;
  }
  std::string found;
  for (const auto& [key, rows] : net)
    if (rows.first != rows.second && (found.empty() || key < found)) found = key;
  return found.substr(0, found.find('\0'));
}

std::shared_ptr<const Difference> Judge::State::recall(const std::string& key) const {
  static const auto kNone = std::make_shared<const Difference>();
  if (key.empty()) return kNone;
  const auto it = remembered.find(key);
  return it == remembered.end() ? nullptr : it->second;
}

// The database must be in the state after `changes`.
Result<std::shared_ptr<const Difference>> Judge::State::learn(std::span<const RowChange> changes, const std::string& key) {
  std::set<int> touched;
  for (const auto& change : changes) {
    const auto& views = facts->views_over(change.table);
    touched.insert(views.begin(), views.end());
  }
  auto made = std::make_shared<Difference>();
  SEEDBED_TRY(made->facts, facts->compare(*db, {touched.begin(), touched.end()}));
  made->unseen = unseen_table(changes);
  if (remembered.size() >= kMaxRemembered) remembered.clear();
  remembered.emplace(key, made);
  return std::shared_ptr<const Difference>(std::move(made));
}

Result<std::shared_ptr<const Difference>> Judge::State::difference(std::span<const RowChange> changes) {
  const std::string key = state_key(changes);
  if (auto known = recall(key)) return known;
  Step failed = Replay(*db, changes).to(kToTheEnd);
  auto made = failed ? Result<std::shared_ptr<const Difference>>(*std::move(failed)) : learn(changes, key);
  if (auto e = db->rollback()) return *std::move(e);
  return made;
}

LineDiff Judge::State::lines(const Difference& d) const {
  LineDiff out;
  for (const auto& fact : d.facts) {
    const auto& view = env.views[static_cast<std::size_t>(fact.view)];
    const auto& initial = facts->views()[static_cast<std::size_t>(fact.view)];
    if (fact.row >= 0) {
      const Scalar* row = initial.row(fact.row);
      out.gone.push_back(fact_line(view, row[0], {row + 1, row + initial.width}));
    }
    if (!fact.now.empty()) out.come.push_back(fact_line(view, fact.now[0], {fact.now.begin() + 1, fact.now.end()}));
  }
  std::sort(out.gone.begin(), out.gone.end());
  std::sort(out.come.begin(), out.come.end());
  return out;
}

void Judge::State::fill_columns() {
  for (std::size_t v = 0; v < env.views.size(); ++v) {
    const auto& view = env.views[v];
    const auto& rows = facts->views()[v];
    for (std::size_t c = 0; c < rows.width; ++c) {
      FactColumn column{.concept_name = view.concept_name,
                        .attribute = c == 0 ? "" : view.attributes[c - 1],
                        .column = c == 0 ? view.key : view.columns[c - 1],
                        .values = {}};
      for (int r = 0; r < rows.count(); ++r)
        if (rows.row(r)[c].index() != 0) column.values.push_back(rows.row(r)[c]);
      std::sort(column.values.begin(), column.values.end());
      column.values.erase(std::unique(column.values.begin(), column.values.end()), column.values.end());
      columns.push_back(std::move(column));
    }
  }
}

// ---- scoring ----

// Rules see the state before each call that ended well. A statement that fails on an agent's arguments does not hold.
Step Judge::State::score_rules(const Verifier& verifier, const Episode& episode, std::span<const RowChange> changes,
                               Parts& parts) {
  if (verifier.obligations.empty()) return std::nullopt;
  const double share = 1.0 / static_cast<double>(verifier.obligations.size());
  std::vector<std::string> broken(verifier.obligations.size());
  Replay replay(*db, changes);
  for (std::size_t i = 0; i < episode.calls.size(); ++i) {
    if (episode.results[i].end != schemas::End::ok) continue;
    for (std::size_t o = 0; o < verifier.obligations.size(); ++o) {
      const auto& rule = verifier.obligations[o];
      if (rule.tool != episode.calls[i].tool || !broken[o].empty()) continue;
      if (auto e = replay.to(static_cast<int>(i))) return e;
      auto made = query(rule.sql, "obligation " + rule.rule);
      if (!made.ok()) return made.error();
      const auto held = holds(rule.sql, "obligation " + rule.rule, episode.calls[i].args);
      if (!held.ok() || !*held) broken[o] = "call " + std::to_string(i) + " (" + rule.tool + ") broke the rule";
    }
  }
  for (std::size_t o = 0; o < broken.size(); ++o)
    parts.add(parts.rules, "obligation:" + verifier.obligations[o].rule, share, broken[o].empty(), broken[o]);
  return replay.to(kToTheEnd);
}

Result<Parts> Judge::State::score(const Verifier& verifier, const Episode& episode, bool quick) {
  Parts parts;
  const bool is_submit = verifier.outcome == Outcome::submit;
  parts.add(parts.cheap, "outcome", 1, episode.stop == (is_submit ? Stop::answered : Stop::refused),
            is_submit ? "nothing was submitted" : "the request was not refused");
  if (is_submit) score_answers(verifier, episode, parts);
  else score_refusal(verifier, episode, parts);
  if (quick && parts.failed) return parts;

  if (episode.calls.size() != episode.results.size())
    return bad_evidence(std::to_string(episode.calls.size()) + " calls, " + std::to_string(episode.results.size()) + " results");
  std::vector<RowChange> copy;
  const auto changes = in_order(episode.changes, copy);
  if (!changes.empty() && (changes.front().call < 0 || static_cast<std::size_t>(changes.back().call) >= episode.calls.size()))
    return bad_evidence("a change by a call that was not made");
  const std::string key = state_key(changes);
  auto known = recall(key);
  const auto compare = [&] {
    const Match match = match_delta(verifier.delta, known->facts, *facts, env.views);
    if (!verifier.delta.empty()) parts.add(parts.facts, "delta", 4, match.delta.empty(), match.delta);
    const std::string frame = match.frame.empty() && !known->unseen.empty()
                                  ? "table " + known->unseen + " was written, which nothing asked for" : match.frame;
    parts.add(parts.facts, "frame", 1, frame.empty(), frame);
  };
  if (known) compare();
  if (quick && parts.failed) return parts;
  if (auto e = score_rules(verifier, episode, changes, parts)) return *std::move(e);
  const bool needs_state = !known || !verifier.choose.empty() || !verifier.post.empty();
  if (needs_state && verifier.obligations.empty())  // else score_rules went to the end
    if (auto e = Replay(*db, changes).to(kToTheEnd)) return *std::move(e);
  if (!known) {
    SEEDBED_TRY(known, learn(changes, key));
    compare();
  }
  for (const auto& condition : verifier.choose) {
    const bool submitted = episode.stop == Stop::answered && episode.submitted.is_object();
    auto held = submitted ? holds(condition.sql, "choose " + condition.name, episode.submitted) : Result<bool>(false);
    const bool one = held.ok() && *held;
    parts.add(parts.asked, "choose:" + condition.name, 3.0 / static_cast<double>(verifier.choose.size()), one,
              submitted ? "the submission does not meet: " + condition.symbol : "nothing was submitted");
  }
  for (const auto& condition : verifier.post) {
    SEEDBED_TRY(const bool held, holds(condition.sql, "post " + condition.name, Value()));
    parts.add(parts.asked, "post:" + condition.name, 2.0 / static_cast<double>(verifier.post.size()), held,
              "does not hold in the end: " + condition.symbol);
  }
  return parts;
}

// ---- public ----

Judge::Judge(std::unique_ptr<State> state) : state_(std::move(state)) {}
Judge::~Judge() = default;

Result<std::unique_ptr<Judge>> Judge::open(const schemas::Environment& env, const std::string& image) {
  auto state = std::make_unique<State>();
  state->env = env;
  SEEDBED_TRY(state->db, JudgeDb::open(image));
  SEEDBED_TRY(state->facts, Facts::open(env, *state->db));
  for (const auto& table : env.bookkeeping)
    if (state->db->table(table) == nullptr || !state->facts->views_over(table).empty())
      return make_error(Where::verifier, "bookkeeping table", table, "is absent or read by a view",
                        "list tables of the state that no view reads");
  state->fill_columns();
  return std::unique_ptr<Judge>(new Judge(std::move(state)));
}

Step Judge::check(const Verifier& verifier) {
  if (auto e = check_not_empty(verifier)) return e;
  if (auto e = check_shape(verifier, state_->env)) return e;
  const auto prepares = [&](const std::string& sql, const std::string& at, const std::vector<std::string>* names) -> Step {
    auto query = state_->query(sql, at);
    if (!query.ok()) return query.error();
    for (const auto& [index, name] : (*query)->parameters)
      if (name != "now" && names != nullptr && std::find(names->begin(), names->end(), name) == names->end())
        return make_error(Where::verifier, "SQL", at, "found parameter :" + name + ", which is not given here",
                          "use :now or the names of what is bound");
    return std::nullopt;
  };
  const std::vector<std::string> none;
  for (const auto& c : verifier.choose)
    if (auto e = prepares(c.sql, "choose " + c.name, nullptr)) return e;
  for (const auto& c : verifier.post)
    if (auto e = prepares(c.sql, "post " + c.name, &none)) return e;
  for (const auto& o : verifier.obligations) {
    const auto names = argument_names(state_->env, o.tool);
    if (auto e = prepares(o.sql, "obligation " + o.rule, &names)) return e;
  }
  return std::nullopt;
}

Result<Verdict> Judge::judge(const Verifier& verifier, const Episode& episode) {
  auto scored = state_->score(verifier, episode, false);
  if (auto e = state_->db->rollback()) return *std::move(e);
  if (!scored.ok()) return scored.error();
  Verdict verdict;
  double all = 0, held = 0;
  for (auto* group : {&scored->cheap, &scored->asked, &scored->facts, &scored->rules})
    for (auto& part : *group) {
      all += part.weight;
      held += part.holds ? part.weight : 0;
      if (!part.holds && verdict.why.empty())
        for (const auto& [name, why] : scored->whys)
          if (name == part.name && verdict.why.empty()) verdict.why = name + ": " + why;
      verdict.parts.push_back(std::move(part));
    }
  verdict.solved = !scored->failed;
  const double share = held / all * (verdict.parts.front().holds ? 1.0 : 0.1);
  verdict.score = verdict.solved ? 1.0 : std::min(0.99, share);
  return verdict;
}

Result<bool> Judge::solves(const Verifier& verifier, const Episode& episode) {
  auto scored = state_->score(verifier, episode, true);
  if (auto e = state_->db->rollback()) return *std::move(e);
  if (!scored.ok()) return scored.error();
  return !scored->failed;
}

Result<LineDiff> Judge::difference(const std::vector<RowChange>& changes, int upto) {
  std::vector<RowChange> copy;
  SEEDBED_TRY(const auto found, state_->difference(before_call(in_order(changes, copy), upto)));
  return state_->lines(*found);
}

Result<std::vector<std::string>> Judge::facts(const std::vector<RowChange>& changes, int upto) {
  SEEDBED_TRY(const LineDiff diff, difference(changes, upto));
  std::vector<std::string> initial, kept, out;
  for (std::size_t v = 0; v < state_->env.views.size(); ++v) {
    const auto& rows = state_->facts->views()[v];
    for (int r = 0; r < rows.count(); ++r) {
      const Scalar* row = rows.row(r);
      initial.push_back(fact_line(state_->env.views[v], row[0], {row + 1, row + rows.width}));
    }
  }
  std::sort(initial.begin(), initial.end());
  std::set_difference(initial.begin(), initial.end(), diff.gone.begin(), diff.gone.end(), std::back_inserter(kept));
  std::merge(kept.begin(), kept.end(), diff.come.begin(), diff.come.end(), std::back_inserter(out));
  return out;
}

std::vector<std::string> Judge::values() const {
  std::set<std::string> out;
  for (const auto& column : state_->columns)
    for (const auto& value : column.values) out.insert(scalar_text(value));
  return {out.begin(), out.end()};
}

const std::vector<FactColumn>& Judge::columns() const { return state_->columns; }

std::string fact_line(const schemas::View& view, const Scalar& key, const std::vector<Scalar>& values) {
  std::string out = view.concept_name;
  const auto put = [&out](const Scalar& value) {
    if (std::holds_alternative<std::monostate>(value)) out += "\\N";
    else if (const auto* i = std::get_if<std::int64_t>(&value)) out += std::to_string(*i);
    else
      for (const char c : std::get<std::string>(value)) {
        if (c == '\\') out += "\\\\";
        else if (c == '|') out += "\\p";
        else if (c == '\n') out += "\\n";
        else out.push_back(c);
      }
  };
  out.push_back('|');
  put(key);
  for (std::size_t i = 0; i < values.size() && i < view.attributes.size(); ++i) {
    out.push_back('|');
    out += view.attributes[i];
    out.push_back('=');
    put(values[i]);
  }
  return out;
}

}  // namespace seedbed::tasks
