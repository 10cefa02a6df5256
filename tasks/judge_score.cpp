// The parts of a verdict, cheap ones first.
#include <algorithm>

#include "tasks/judge_match.h"
#include "tasks/judge_state.h"
#include "tasks/normal.h"

namespace seedbed::tasks {
namespace {

using schemas::Outcome;
using schemas::RowChange;
using schemas::Stop;
using schemas::Value;
using schemas::Verifier;

Error bad_evidence(const std::string& found) {
  return make_error(Where::verifier, "episode", "its evidence", found, "run the episode again");
}

void score_answers(const Verifier& verifier, Stop stop, const Value& given, Parts& parts) {
  const double share =
      verifier.answer.empty() ? 0 : 4.0 / static_cast<double>(verifier.answer.size());
  const bool submitted = stop == Stop::answered;
  for (const auto& field : verifier.answer) {
    const Value* value = submitted ? given.find(field.name) : nullptr;
    parts.add(parts.cheap, "answer:" + field.name, share, accepts(field, value),
              value == nullptr ? "was not submitted"
                               : "submitted " + dump(*value) + ", which is not the accepted value");
  }
}

void score_refusal(const Verifier& verifier, Stop stop, const Value& given, Parts& parts) {
  const bool refused = stop == Stop::refused;
  const std::string code = refused ? normal_text(given.text("reason_code")) : "";
  const bool right_code =
      refused && std::any_of(verifier.refuse_codes.begin(), verifier.refuse_codes.end(),
                             [&](const std::string& c) { return normal_text(c) == code; });
  parts.add(parts.cheap, "refuse_code", 1, right_code,
            "reason '" + code + "' is not the rule that forbids this");
  const Value* ids = refused ? given.find("evidence_ids") : nullptr;
  const schemas::AnswerField wanted{
      .name = "evidence_ids", .type = schemas::AnswerType::set, .accept = verifier.refuse_evidence};
  parts.add(parts.cheap, "evidence", 4, accepts(wanted, ids),
            "the evidence is not exactly the records that prove it");
}

}  // namespace

// Rules see the state before each call that ended well. A statement that fails on an agent's
// arguments does not hold.
Step Judge::State::score_rules(const Verifier& verifier,
                               const Episode& episode,
                               Replay& replay,
                               Parts& parts) {
  if (verifier.obligations.empty()) return std::nullopt;
  const double share = 1.0 / static_cast<double>(verifier.obligations.size());
  std::vector<std::string> broken(verifier.obligations.size());
  for (std::size_t i = 0; i < episode.calls.size(); ++i) {
    if (episode.results[i].end != schemas::End::ok) continue;
    for (std::size_t o = 0; o < verifier.obligations.size(); ++o) {
      const auto& rule = verifier.obligations[o];
      if (rule.tool != episode.calls[i].tool || !broken[o].empty()) continue;
      if (auto e = replay.to(static_cast<int>(i))) return e;
      auto made = query(rule.sql, "obligation " + rule.rule);
      if (!made.ok()) return made.error();
      const auto held = holds(rule.sql, "obligation " + rule.rule, episode.calls[i].args);
      if (!held.ok() || !*held)
        broken[o] = "call " + std::to_string(i) + " (" + rule.tool + ") broke the rule";
    }
  }
  for (std::size_t o = 0; o < broken.size(); ++o)
    parts.add(parts.rules, "obligation:" + verifier.obligations[o].rule, share, broken[o].empty(),
              broken[o]);
  return std::nullopt;
}

void score_submission(const Verifier& verifier, Stop stop, const Value& submitted, Parts& parts) {
  const bool is_submit = verifier.outcome == Outcome::submit;
  parts.add(parts.cheap, "outcome", 1, stop == (is_submit ? Stop::answered : Stop::refused),
            is_submit ? "nothing was submitted" : "the request was not refused");
  if (is_submit)
    score_answers(verifier, stop, submitted, parts);
  else
    score_refusal(verifier, stop, submitted, parts);
}

Result<Parts> Judge::State::all_parts(const Verifier& verifier, const Episode& episode, How how) {
  auto scored = score(verifier, episode, how);
  if (auto e = db->rollback()) return *std::move(e);
  return scored;
}

Result<Parts> Judge::State::score(const Verifier& verifier, const Episode& episode, How how) {
  const bool quick = how == How::quick;
  Parts parts;
  score_submission(verifier, episode.stop, episode.submitted, parts);
  if (quick && parts.failed) return parts;

  if (episode.calls.size() != episode.results.size())
    return bad_evidence(std::to_string(episode.calls.size()) + " calls, " +
                        std::to_string(episode.results.size()) + " results");
  std::vector<RowChange> copy;
  const auto changes = in_order(episode.changes, copy);
  if (!changes.empty() && (changes.front().call < 0 ||
                           static_cast<std::size_t>(changes.back().call) >= episode.calls.size()))
    return bad_evidence("a change by a call that was not made");
  const std::string key = state_key(changes);
  auto known = recall(key);
  const auto compare = [&] {
    const Match match = match_delta(verifier.delta, known->facts, *facts, env.views);
    if (!verifier.delta.empty())
      parts.add(parts.facts, "delta", 4, match.delta.empty(), match.delta);
    const std::string frame =
        match.frame.empty() && !known->unseen.empty()
            ? "table " + known->unseen + " was written, which nothing asked for"
            : match.frame;
    parts.add(parts.facts, "frame", 1, frame.empty(), frame);
  };
  if (known) compare();
  if (quick && parts.failed) return parts;
  Replay replay(*db, changes);
  if (auto e = score_rules(verifier, episode, replay, parts)) return *std::move(e);
  const bool with_posts = how != How::without_posts && !verifier.post.empty();
  if (!known || !verifier.choose.empty() || with_posts)
    if (auto e = replay.to(kToTheEnd)) return *std::move(e);
  if (!known) {
    SEEDBED_TRY(known, learn(changes, key));
    compare();
  }
  parts.state = known;
  for (const auto& condition : verifier.choose) {
    const bool submitted = episode.stop == Stop::answered && episode.submitted.is_object();
    auto held = submitted ? holds(condition.sql, "choose " + condition.name, episode.submitted)
                          : Result<bool>(false);
    const bool one = held.ok() && *held;
    parts.add(
        parts.asked, "choose:" + condition.name, 3.0 / static_cast<double>(verifier.choose.size()),
        one,
        submitted ? "the submission does not meet: " + condition.symbol : "nothing was submitted");
  }
  for (const auto& condition : verifier.post) {
    bool held = true;
    if (with_posts) {
      SEEDBED_TRY(held, holds(condition.sql, "post " + condition.name, Value()));
    }
    parts.add(parts.asked, "post:" + condition.name,
              2.0 / static_cast<double>(verifier.post.size()), held,
              "does not hold in the end: " + condition.symbol);
  }
  return parts;
}

}  // namespace seedbed::tasks
