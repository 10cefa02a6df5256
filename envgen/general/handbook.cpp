// The handbook: rules, gates, reactions and loads as numbered sentences, and the reason codes of
// refusals.
#include <set>

#include "base/text.h"
#include "envgen/general/sentence.h"
#include "envgen/general/surface.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

// The first letter small: the sentence goes on after a colon.
std::string continued(std::string text) {
  if (text.size() > 1 && text[0] >= 'A' && text[0] <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z'))
    text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}
std::string closed_sentence(std::string text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '.')) text.pop_back();
  return text + ".";
}

using Constants = std::vector<std::pair<std::string, std::int64_t>>;

struct Writer {
  const Lowered& l;
  std::vector<schemas::ReasonCode>& reasons;
  const World& w;
  std::vector<std::string> lines;
  std::set<std::string> codes;
  std::vector<std::size_t> rule_lines;  // by rule: its number in the handbook

  [[nodiscard]] const std::string& noun(int c) const { return l.skin.concepts[at(c)].singular; }
  // A pack's sentence: constants as numbers, references by their concept's word.
  [[nodiscard]] std::string fill(std::string text,
                                 int mechanism,
                                 SlotNames slots,
                                 const Constants& constants) const {
    for (const auto& [name, v] : constants)
      text = replace_all(text, "{" + name + "}", std::to_string(v));
    text = fill_words(w, l.skin, mechanism, slots, text);
    for (const auto& [name, domain] : slots)
      text =
          replace_all(text, "{" + name + "}",
                      domain.type == Type::ref ? noun(domain.target) : replace_all(name, "_", " "));
    return capitalised(with_right_articles(text));
  }
  void reason(const std::string& code, const std::string& text) {
    if (codes.insert(code).second) reasons.push_back({code, text});
  }
  void rules();
  void gates();
  void duties();
  void reactions();
  void loads();
};

void Writer::rules() {
  for (const auto& r : w.rules) {
    const Transition& t = w.transitions[at(r.transition)];
    std::vector<std::string> evidence;
    for (const auto& e : r.evidence) evidence.push_back("the id of the " + noun(e->domain.target));
    const std::string sentence =
        closed_sentence(fill(r.say, t.mechanism, slot_names(t.params), r.constants));
    lines.push_back(sentence.substr(0, sentence.size() - 1) + " (reason code " + r.code +
                    "; evidence: " + join(evidence, " and ") + ").");
    rule_lines.push_back(lines.size());
    reason(r.code, sentence);
  }
  for (std::size_t i = 0; i < w.rules.size(); ++i) {
    const Rule& r = w.rules[i];
    if (!r.base) continue;
    const Transition& t = w.transitions[at(r.transition)];
    lines.push_back("Exception to rule " + std::to_string(rule_lines[i]) + ": " +
                    continued(closed_sentence(
                        fill(r.unless_say, t.mechanism, slot_names(t.params), r.constants))));
  }
}

void Writer::gates() {
  std::set<const PackGate*> said;
  for (const auto& g : w.gates) {
    if (!said.insert(g.pack).second) continue;
    std::vector<std::string> operations;
    for (const auto& other : w.gates)
      for (const int id : other.transitions)
        if (other.pack == g.pack && l.surface.offer(id) != nullptr)
          operations.push_back(l.surface.said(id));
    if (operations.empty()) continue;
    const std::string sentence =
        closed_sentence(fill(g.say, w.edges[at(g.edge)].from,
                             {{"x", {Type::ref, g.over, -1, 0, 0, false}}}, g.constants));
    lines.push_back(sentence + " Otherwise " + join(operations, " and ") +
                    (operations.size() > 1 ? " are" : " is") + " refused for that " + noun(g.over) +
                    " (reason code " + g.code + "; evidence: the id of the " + noun(g.over) + ").");
    reason(g.code, sentence);
  }
}

void Writer::duties() {
  for (const auto& d : w.duties) {
    const Transition& t = w.transitions[at(d.on)];
    if (l.surface.offer(d.on) == nullptr || l.surface.offer(d.then) == nullptr) continue;
    std::string line = closed_sentence(fill(d.say, t.mechanism, slot_names(t.params), d.constants));
    line.pop_back();
    line += " (" + l.surface.said(d.on) + ", then " + l.surface.said(d.then) +
            "; no tool does this by itself)";
    for (std::size_t i = 0; i < w.rules.size(); ++i)
      if (w.rules[i].transition == d.on) line += "; see also rule " + std::to_string(rule_lines[i]);
    lines.push_back(line + ".");
  }
}

void Writer::reactions() {
  for (const auto& t : w.transitions)
    for (const auto& r : t.reactions) {
      const Transition& reaction = w.reactions[at(r.transition)];
      const std::string tool = l.surface.said(static_cast<int>(&t - w.transitions.data()));
      if (tool.empty()) continue;
      lines.push_back("After " + tool + ": " +
                      continued(closed_sentence(fill(reaction.say[0], reaction.mechanism,
                                                     slot_names(reaction.params), {}))));
    }
}

void Writer::loads() {
  for (const auto& load : w.loads) {
    std::string derived = load.derived;
    for (const auto& d : w.derived)
      if (d.mechanism == load.to && d.symbol == w.mechanisms[at(load.to)] + "." + load.derived)
        derived = d.noun;
    lines.push_back("For the " + derived + ": " +
                    continued(closed_sentence(fill(load.pack->say, load.from, {}, {}))));
  }
}

}  // namespace

std::string handbook_of(const Lowered& l, std::vector<schemas::ReasonCode>& reasons) {
  Writer h{l, reasons, *l.world, {}, {}, {}};
  h.lines.push_back("Today is " + iso_date(l.world->now) +
                    ". Amounts are in cents where a tool does not say otherwise, dates are written "
                    "YYYY-MM-DD.");
  h.rules();
  h.gates();
  h.duties();
  h.reactions();
  h.loads();
  for (const auto& [code, text] :
       {std::pair<const char*, const char*>{"not_found", "what is asked about does not exist"},
        {"not_permitted", "the person asking may not ask for this"},
        {"already_done", "it has been done before"},
        {"missing_information", "the request cannot be understood and nobody answers"},
        {"out_of_scope", "no tool can do it"},
        {"conflict", "two wishes of the request exclude each other"}})
    if (reasons.size() < 8) h.reason(code, text);
  std::string out;
  for (std::size_t i = 0; i < h.lines.size(); ++i)
    out += std::to_string(i + 1) + ". " + h.lines[i] + "\n";
  out +=
      "A tool does not check every rule: where a rule forbids what is asked, change nothing and "
      "refuse with its reason code and the evidence named there.\n";
  return out;
}

}  // namespace seedbed::envgen
