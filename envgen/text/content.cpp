// What a prompt must say: the goal's requests and the constants in them, and whether a text says
// them.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "envgen/text/text.h"

namespace seedbed::envgen {
namespace {

constexpr std::array<const char*, 13> kNumbers = {"",     "",       "two",   "three", "four",
                                                  "five", "six",    "seven", "eight", "nine",
                                                  "ten",  "eleven", "twelve"};

bool word_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c & 0x80) != 0;
}
bool digit(char c) {
  return c >= '0' && c <= '9';
}

// Whole words only: 15 does not stand in 2031-03-15, nor 250 in 1,250.
int count(const std::string& text, const std::string& what) {
  int n = 0;
  for (auto i = text.find(what); i != std::string::npos; i = text.find(what, i + 1)) {
    const std::size_t end = i + what.size();
    if (i > 0 && (word_char(text[i - 1]) || (i > 1 && (text[i - 1] == '-' || text[i - 1] == ',') &&
                                             digit(text[i - 2]) && digit(what[0]))))
      continue;
    if (end < text.size() &&
        (word_char(text[end]) || (end + 1 < text.size() && (text[end] == '-' || text[end] == ',') &&
                                  digit(text[end + 1]) && digit(what.back()))))
      continue;
    ++n;
  }
  return n;
}

int times_said(const std::string& text, const std::string& constant) {
  int n = count(text, constant);
  if (!std::all_of(constant.begin(), constant.end(), digit) || constant.size() > 9) return n;
  const std::size_t size = constant.size();
  if (size > 3) {
    std::string grouped = constant;
    for (std::size_t i = size; i > 3; i -= 3) grouped.insert(i - 3, ",");
    n += count(text, grouped);
  }
  const auto value = static_cast<std::size_t>(std::stoul(constant));
  if (size <= 2 && value >= 2 && value < kNumbers.size()) n += count(text, kNumbers[value]);
  return n;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& t : texts) out += (out.empty() ? "" : "\n") + t;
  return out;
}

void add_constant(Content& c, const std::string& text, int turn) {
  if (text.empty() || text == c.secret) return;
  for (const auto& x : c.constants)
    if (x.text == text && x.turn == turn) return;
  c.constants.push_back({text, turn, 0});
}

void add_numbers(Content& c, const std::string& text, int turn) {
  for (std::size_t i = 0; i < text.size();) {
    if (!digit(text[i]) ||
        (i > 0 && (word_char(text[i - 1]) || text[i - 1] == '-' || text[i - 1] == '_'))) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && (word_char(text[end]) || text[end] == '-')) ++end;
    while (end > i && text[end - 1] == '-') --end;
    const std::string token = text.substr(i, end - i);
    if (std::all_of(token.begin(), token.end(), [](char x) { return digit(x) || x == '-'; }))
      add_constant(c, token, turn);
    i = end;
  }
}

struct Named {
  const Reference* ref;
  std::string name;
};

// "Dana Reyes" again, in a later request of the same text: "the same guest", where no other guest
// was named in between.
void say_same(const Lowered& l,
              const std::vector<Named>& named,
              std::vector<std::string>& requests) {
  for (const auto& n : named) {
    if (requests.size() < 2 || count(requests[0], n.name) != 1 || count(requests[1], n.name) != 1)
      continue;
    const bool alone = std::none_of(named.begin(), named.end(), [&](const Named& o) {
      return o.ref->concept_id == n.ref->concept_id && o.name != n.name;
    });
    if (!alone) continue;
    const std::string noun = Speaker{l}.noun(n.ref->concept_id);
    std::string& text = requests[1];
    const auto found = text.find(n.name);
    if (text.compare(found + n.name.size(), 2, "'s") == 0) continue;
    const std::string long_form = "the " + noun + " " + n.name;
    const auto whole = text.find(long_form);
    if (whole != std::string::npos)
      text.replace(whole, long_form.size(), "the same " + noun);
    else
      text.replace(found, n.name.size(), "the same " + noun);
  }
}

}  // namespace

std::string secret_text(bool fact, const std::string& value, Rng& rng) {
  static const std::vector<std::string> kFacts = {"I mean {}.", "{}, please.", "That would be {}.",
                                                  "It is {} that I have in mind.",
                                                  "I am thinking of {}."},
                                        kValues = {"Please take {}.", "It should be {}.",
                                                   "Make it {}.", "{}, as always.",
                                                   "Let us say {}."};
  std::string text = replace_all(rng.pick(fact ? kFacts : kValues), "{}", value);
  if (text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

Content content_of(const Lowered& l, const Goal& goal) {
  Content c;
  if (goal.hidden_param >= 0) {
    c.secret = goal.hidden_value;
    c.asks = true;
  }
  c.reports = !goal.refusal && !goal.answers.empty();
  for (const auto& r : goal.requests) c.requests.push_back(tidy(r));
  for (const auto& t : goal.turns) {
    c.later.emplace_back();
    for (const auto& r : t.requests) c.later.back().push_back(tidy(r));
  }
  std::vector<Named> named;
  const Speaker say{l};
  const auto take = [&](const Reference& r) {
    if (r.concept_id < 0) return;
    if (r.by_name) {
      named.push_back({&r, say.name(r.concept_id, r.key)});
      add_constant(c, named.back().name, r.turn);
    }
    for (const auto& [a, v] : r.filters) {
      const Domain& d = l.world->concepts[static_cast<std::size_t>(r.concept_id)]
                            .attrs[static_cast<std::size_t>(a)]
                            .domain;
      if (d.type == Type::ref) add_constant(c, say.name(d.target, v), r.turn);
    }
  };
  for (const auto& r : goal.mentions) take(r);
  for (const auto* list : {&goal.operations, &goal.other})
    for (const auto& o : *list)
      for (const auto& r : o.refs) take(r);
  if (goal.turns.empty() && !c.asks) say_same(l, named, c.requests);
  for (const auto& r : c.requests) add_numbers(c, r, 0);
  for (std::size_t i = 0; i < c.later.size(); ++i)
    for (const auto& r : c.later[i]) add_numbers(c, r, static_cast<int>(i) + 1);
  for (auto& k : c.constants)
    k.times = times_said(
        joined(k.turn == 0 ? c.requests : c.later[static_cast<std::size_t>(k.turn) - 1]), k.text);
  return c;
}

bool says_all(const Content& content,
              const std::string& prompt,
              const std::vector<std::string>& later,
              std::string* why) {
  const auto fail = [&](const std::string& text) {
    if (why != nullptr) *why = text;
    return false;
  };
  for (const auto& k : content.constants) {
    if (k.turn > static_cast<int>(later.size())) return fail("no text of turn for " + k.text);
    const std::string& text = k.turn == 0 ? prompt : later[static_cast<std::size_t>(k.turn) - 1];
    const int n = times_said(text, k.text);
    if (k.times < 1) return fail("the requests lack '" + k.text + "'");
    if (n != k.times)
      return fail("'" + k.text + "' stands " + std::to_string(n) + " times, wanted " +
                  std::to_string(k.times));
  }
  if (!content.secret.empty() && count(prompt, content.secret) > 0 &&
      !std::all_of(content.secret.begin(), content.secret.end(), digit))
    return fail("the secret '" + content.secret + "' is told");
  return true;
}

}  // namespace seedbed::envgen
