// The handbook: rules, gates, reactions and loads as numbered sentences, and the reason codes of
// refusals.
#include <set>

#include "base/text.h"
#include "envgen/general/effects.h"
#include "envgen/general/surface.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

std::string handbook_of(const Lowered& l, std::vector<schemas::ReasonCode>& reasons) {
  const World& w = *l.world;
  const auto noun = [&](int c) { return l.skin.concepts[at(c)].singular; };
  const auto fill = [&](std::string text, int mechanism, const std::vector<Param>& params,
                        const std::vector<std::pair<std::string, std::int64_t>>& constants, int x) {
    Names names = names_for(w, mechanism);
    for (const auto& [name, v] : constants)
      text = replace_all(text, "{" + name + "}", std::to_string(v));
    for (std::size_t i = 0; i < params.size(); ++i) {
      if (params[i].domain.type == Type::ref)
        text = replace_all(text, "{" + params[i].name + "}", noun(params[i].domain.target));
      names.values[params[i].name] = param_of(static_cast<int>(i), params[i].domain);
    }
    if (x >= 0) text = replace_all(text, "{x}", noun(x));
    for (std::size_t open = 0; (open = text.find('{', open)) != std::string::npos;) {
      const auto close = text.find('}', open);
      if (close == std::string::npos) break;
      const std::string slot = text.substr(open + 1, close - open - 1);
      int c = names.concept_named(slot);
      if (c < 0) {
        auto term = parse_term(slot, names, "sentence");
        if (term.ok() && (*term)->domain.type == Type::ref) c = (*term)->domain.target;
      }
      text.replace(open, close - open + 1, c >= 0 ? noun(c) : replace_all(slot, "_", " "));
    }
    return capitalised(text);
  };
  std::vector<std::string> lines{"Today is " + iso_date(w.now) +
                                 ". Amounts are in cents, dates are written YYYY-MM-DD."};
  std::set<std::string> codes;
  const auto reason = [&](const std::string& code, const std::string& text) {
    if (codes.insert(code).second) reasons.push_back({code, text});
  };
  for (const auto& r : w.rules) {
    const Transition& t = w.transitions[at(r.transition)];
    std::vector<std::string> evidence;
    for (const auto& e : r.evidence) evidence.push_back("the id of the " + noun(e->domain.target));
    lines.push_back(fill(r.say, t.mechanism, t.params, r.constants, -1) + " (reason code " +
                    r.code + "; evidence: " + join(evidence, " and ") + ")");
    reason(r.code, fill(r.say, t.mechanism, t.params, r.constants, -1));
  }
  std::set<const PackGate*> said;
  for (const auto& g : w.gates) {
    if (!said.insert(g.pack).second) continue;
    const int mechanism = w.edges[at(g.edge)].from;
    std::vector<std::string> operations;
    for (const auto& other : w.gates)
      for (const int id : other.transitions)
        if (other.pack == g.pack && l.surface.offer(id) != nullptr)
          operations.push_back(l.surface.said(id));
    if (operations.empty()) continue;
    const std::string sentence = fill(g.say, mechanism, {}, g.constants, g.over);
    lines.push_back(sentence + " Otherwise " + join(operations, " and ") +
                    (operations.size() > 1 ? " are" : " is") + " refused for that " + noun(g.over) +
                    " (reason code " + g.code + "; evidence: the id of the " + noun(g.over) + ").");
    reason(g.code, sentence);
  }
  for (const auto& t : w.transitions)
    for (const auto& r : t.reactions) {
      const Transition& reaction = w.reactions[at(r.transition)];
      const std::string tool = l.surface.said(static_cast<int>(&t - w.transitions.data()));
      if (tool.empty()) continue;
      lines.push_back("After " + tool + ": " +
                      fill(reaction.say[0], reaction.mechanism, reaction.params, {}, -1) + ".");
      auto& line = lines.back();
      const auto colon = line.find(": ") + 2;
      if (line[colon] >= 'A' && line[colon] <= 'Z')
        line[colon] = static_cast<char>(line[colon] - 'A' + 'a');
    }
  for (const auto& load : w.loads) {
    std::string derived = load.derived;
    for (const auto& d : w.derived)
      if (d.mechanism == load.to && d.symbol == w.mechanisms[at(load.to)] + "." + load.derived)
        derived = d.noun;
    lines.push_back("For the " + derived + ": " + fill(load.pack->say, load.from, {}, {}, -1) +
                    ".");
    auto& line = lines.back();
    const auto colon = line.find(": ") + 2;
    if (line[colon] >= 'A' && line[colon] <= 'Z')
      line[colon] = static_cast<char>(line[colon] - 'A' + 'a');
  }
  for (const auto& [code, text] :
       {std::pair<const char*, const char*>{"not_found", "what is asked about does not exist"},
        {"not_permitted", "the person asking may not ask for this"},
        {"already_done", "it has been done before"},
        {"missing_information", "the request cannot be understood and nobody answers"},
        {"out_of_scope", "no tool can do it"},
        {"conflict", "two wishes of the request exclude each other"}})
    if (reasons.size() < 8) reason(code, text);
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i)
    out += std::to_string(i + 1) + ". " + lines[i] + "\n";
  out +=
      "A tool does not check every rule: where a rule forbids what is asked, change nothing and "
      "refuse with its reason code and the evidence named there.\n";
  return out;
}

}  // namespace seedbed::envgen
