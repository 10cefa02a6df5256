#include "tasks/judge_check.h"

#include <algorithm>
#include <set>

#include "tasks/judge.h"
#include "tasks/normal.h"

namespace seedbed::tasks {
namespace {

using schemas::ChangeKind;
using schemas::FactChange;
using schemas::Outcome;
using schemas::Verifier;

Error bad(const std::string& at, const std::string& found, const char* todo) {
  return make_error(Where::verifier, "verifier", at, found, todo);
}

template <class T, class F>
bool has(const std::vector<T>& items, F&& f) {
  return std::any_of(items.begin(), items.end(), f);
}

Step check_change(const FactChange& change, const schemas::Environment& env) {
  const std::string at = "delta of " + change.concept_name;
  const auto view = std::find_if(env.views.begin(), env.views.end(), [&](const auto& v) {
    return v.concept_name == change.concept_name;
  });
  if (view == env.views.end())
    return bad(at, "found no view of that concept", "name a concept that has a view");
  const auto known = [&](const std::string& a) {
    return has(view->attributes, [&](const auto& x) { return x == a; });
  };
  if (change.kind == ChangeKind::add) {
    if (!change.row.is_object() || change.row.members().empty())
      return bad(at, "found a new fact without attributes, wanted an object",
                 "say what the new fact is");
    for (const auto& [attribute, value] : change.row.members())
      if (!known(attribute))
        return bad(at, "found attribute '" + attribute + "', which the view has not",
                   "name its attributes");
    return std::nullopt;
  }
  if (!change.key.is_int() && !change.key.is_string())
    return bad(at, "found no key, wanted an integer or a text", "name the fact");
  if (change.kind == ChangeKind::set && !known(change.attribute))
    return bad(at, "found attribute '" + change.attribute + "', which the view has not",
               "name one of its attributes");
  return std::nullopt;
}

Step check_fields(const Verifier& verifier) {
  std::set<std::string> names;
  for (const auto& field : verifier.answer) {
    const std::string at = "answer '" + field.name + "'";
    if (field.name.empty() || !names.insert(field.name).second)
      return bad(at, "found no name or one twice", "name each field once");
    if (field.accept.empty()) return bad(at, "accepts nothing", "give the accepted form");
    if (!normal_accept(field))
      return bad(at, "accepts a form that does not read as its type",
                 "write it in its normal form");
  }
  names.clear();
  for (const auto* list : {&verifier.choose, &verifier.post})
    for (const auto& condition : *list)
      if (condition.name.empty() || condition.sql.empty() || !names.insert(condition.name).second)
        return bad("condition '" + condition.name + "'", "found no name, no SQL or a name twice",
                   "name each condition once");
  return std::nullopt;
}

}  // namespace

Step check_not_empty(const Verifier& verifier) {
  if (verifier.outcome == Outcome::refuse) {
    if (verifier.refuse_codes.empty() || verifier.refuse_evidence.empty())
      return bad("refuse", "found no code or no evidence",
                 "an empty verifier would pass anybody: name codes and records");
    return std::nullopt;
  }
  if (verifier.answer.empty() && verifier.choose.empty() && verifier.post.empty() &&
      verifier.delta.empty())
    return bad("submit", "found no answer, choose, post or delta",
               "an empty verifier would pass anybody: demand something");
  return std::nullopt;
}

Step check_shape(const Verifier& verifier, const schemas::Environment& env) {
  const bool is_refuse = verifier.outcome == Outcome::refuse;
  if (is_refuse && (!verifier.answer.empty() || !verifier.choose.empty()))
    return bad("refuse", "found answer fields, wanted none",
               "ask for an answer or for a refusal, not for both");
  if (!is_refuse && (!verifier.refuse_codes.empty() || !verifier.refuse_evidence.empty()))
    return bad("submit", "found codes or evidence of a refusal, wanted none",
               "ask for an answer or for a refusal, not for both");
  for (const auto& code : verifier.refuse_codes)
    if (!has(env.policy.reasons, [&](const auto& r) { return r.code == code; }))
      return bad("refuse", "found code '" + code + "', which the handbook has not",
                 "use one of its reason codes");
  if (auto e = check_fields(verifier)) return e;
  for (const auto& change : verifier.delta)
    if (auto e = check_change(change, env)) return e;
  std::set<std::string> rules;
  for (const auto& o : verifier.obligations) {
    const std::string at = "obligation '" + o.rule + "'";
    if (o.rule.empty() || o.sql.empty() || !rules.insert(o.rule + "\n" + o.tool).second)
      return bad(at, "found no name, no SQL or a rule twice for one tool",
                 "name each rule once a tool");
    if (!has(env.tools, [&](const auto& t) { return t.name == o.tool; }))
      return bad(at, "found tool '" + o.tool + "', which does not exist",
                 "name a tool of the environment");
  }
  return std::nullopt;
}

std::vector<std::string> argument_names(const schemas::Environment& env, const std::string& tool) {
  std::vector<std::string> out;
  for (const auto& t : env.tools) {
    if (t.name != tool) continue;
    if (const auto* properties = t.input.find("properties");
        properties != nullptr && properties->is_object())
      for (const auto& [name, schema] : properties->members()) out.push_back(name);
  }
  return out;
}

}  // namespace seedbed::tasks
