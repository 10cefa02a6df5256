#include "tasks/diversity/facts.h"

#include <algorithm>
#include <set>

#include "base/hash.h"
#include "base/text.h"
#include "tasks/diversity/near.h"

namespace seedbed::tasks::diversity {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::uint64_t hash_of(const std::vector<std::uint64_t>& sorted) {
  return hash64(std::string_view(reinterpret_cast<const char*>(sorted.data()),
                                 sorted.size() * sizeof(std::uint64_t)),
                7);
}

// The words of an identifier: list_fund_entries, listFundEntries.
void add_words(std::string_view name, std::set<std::string, std::less<>>& out) {
  std::string word;
  const auto end = [&] {
    if (word.size() > 1) {
      out.insert(word);
      if (word.back() == 's') out.insert(word.substr(0, word.size() - 1));
    }
    word.clear();
  };
  for (const char c : name) {
    if (!is_letter(c) || (c >= 'A' && c <= 'Z')) end();
    if (is_letter(c)) word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  end();
}

bool is_plain(std::string_view word) {
  static const std::set<std::string, std::less<>> words = {
      "a",  "an", "and", "are", "at", "be",   "by",  "for", "from", "in",   "is",   "it", "no",
      "of", "on", "or",  "per", "so", "that", "the", "to",  "was",  "were", "with", "id", "not"};
  return words.contains(word);
}

// What names things in this environment: words of its tables, columns, views and tools.
std::set<std::string, std::less<>> names_of(const schemas::Environment& env) {
  std::set<std::string, std::less<>> out;
  for (const auto& view : env.views) {
    add_words(view.view, out);
    for (const auto& table : view.tables) add_words(table, out);
    for (const auto& column : view.columns) add_words(column, out);
  }
  for (const auto& tool : env.tools) add_words(tool.name, out);
  return out;
}

std::string rule_skeleton(std::string_view rule, const std::set<std::string, std::less<>>& names) {
  std::string out;
  const auto put = [&](std::string_view what) {
    const bool mask = what == "@" || what == "#";
    if (mask && out.size() >= 2 && out.substr(out.size() - 2) == std::string(what) + " ") return;
    out += what;
    out += ' ';
  };
  for (std::size_t at = 0; at < rule.size();) {
    std::size_t end = at + 1;
    const char c = rule[at];
    if (is_letter(c) || is_digit(c)) {
      bool digit = is_digit(c), joined = false;
      while (end < rule.size() &&
             (is_letter(rule[end]) || is_digit(rule[end]) || rule[end] == '_')) {
        digit = digit || is_digit(rule[end]);
        joined = joined || rule[end] == '_' ||
                 (rule[end] >= 'A' && rule[end] <= 'Z' && !(c >= 'A' && c <= 'Z'));
        ++end;
      }
      const std::string word = lower_ascii(rule.substr(at, end - at));
      const std::string stem = word.back() == 's' ? word.substr(0, word.size() - 1) : word;
      const bool name =
          joined || (!is_plain(word) && (names.contains(word) || names.contains(stem)));
      put(digit ? "#" : name ? "@" : word);
    } else if (static_cast<unsigned char>(c) > ' ') {
      put(rule.substr(at, 1));
    }
    at = end;
  }
  return out;
}

std::vector<std::string> kinds_of(const std::vector<std::string>& passes) {
  std::set<std::string> out;
  for (const auto& pass : passes) out.insert(pass.substr(0, pass.find(':')));
  return {out.begin(), out.end()};
}

// A task that does not say a knob is outside the table of knobs.
std::int64_t knob(const schemas::TaskSpec& task, std::string_view name, std::int64_t absent = -1) {
  for (const auto& k : task.knobs)
    if (k.name == name) return k.value;
  return absent;
}

}  // namespace

std::vector<std::uint64_t> rule_skeletons(const schemas::Environment& env) {
  const auto names = names_of(env);
  std::vector<std::uint64_t> out;
  for (const auto& line : split(env.policy.handbook, '\n')) {
    const auto dot = line.find(". ");
    const bool rule =
        dot != std::string::npos && dot > 0 &&
        std::all_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(dot), is_digit);
    if (rule) out.push_back(hash64(rule_skeleton(std::string_view(line).substr(dot + 2), names)));
  }
  std::sort(out.begin(), out.end());
  return out;
}

TextFacts text_facts(std::string_view prompt) {
  TextFacts out;
  out.words = static_cast<std::int64_t>(words_of(prompt).size());
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    const char c = prompt[i];
    if (c != '.' && c != '!' && c != '?') continue;
    std::size_t next = i + 1;
    while (next < prompt.size() &&
           (prompt[next] == '"' || prompt[next] == '\'' || prompt[next] == ')'))
      ++next;
    const bool ends = next == prompt.size() || static_cast<unsigned char>(prompt[next]) <= ' ';
    if (!ends || (i > 0 && (prompt[i - 1] == '.' || prompt[i - 1] == '!' || prompt[i - 1] == '?') &&
                  c == '.' && next == prompt.size() && out.sentences > 0))
      continue;
    ++out.sentences;
    if (c == '?') ++out.questions;
  }
  if (out.words > 0) out.sentences = std::max<std::int64_t>(out.sentences, 1);
  return out;
}

std::string opening_of(std::string_view prompt) {
  auto words = words_of(prompt.substr(0, 200));
  if (words.size() > 3) words.resize(3);
  return join(words, " ");
}

EnvironmentFacts facts_of(const schemas::Environment& env) {
  EnvironmentFacts out;
  out.heldout = env.recipe.split == "heldout";
  out.schema_class = hash64(env.recipe.schema_class);
  out.core_schema_class = hash64(env.recipe.core_schema_class);
  out.tools_signature = tool_signature(env);
  const auto dependencies = dependency_graph(env);
  out.dependencies = wl_hash(dependencies);
  out.dependency_extent = extent_of(dependencies);
  out.rules = rule_skeletons(env);
  out.policy = hash_of(out.rules);
  out.tools = static_cast<std::int64_t>(env.tools.size());
  out.lexicon = env.recipe.lexicon;
  out.mechanisms = env.recipe.mechanisms;
  out.layout_passes = kinds_of(env.recipe.layout_passes);
  out.surface_passes = kinds_of(env.recipe.surface_passes);
  return out;
}

TaskFacts facts_of(const std::map<std::string, Role, std::less<>>& roles,
                   const schemas::TaskSpec& task,
                   const schemas::Gold& gold,
                   const schemas::Verifier& verifier,
                   const std::string& masked_prompt) {
  TaskFacts out;
  out.shape = canonical_hash(solution_shape(roles, gold.steps));
  out.skeleton = hash64(task.skeleton);
  out.masked = hash64(masked_prompt);
  std::set<std::uint64_t> symbols;
  for (const auto& o : verifier.obligations) symbols.insert(hash64(o.symbol));
  out.obligations = hash_of({symbols.begin(), symbols.end()});
  out.kind = task.kind;
  out.level = knob(task, "level", 0);
  out.plan_calls =
      std::count_if(gold.steps.begin(), gold.steps.end(),
                    [](const schemas::GoldStep& s) { return s.kind == schemas::GoldKind::call; });
  out.interactions = gold.interactions;
  out.mechanisms = gold.mechanisms;
  out.writes = knob(task, "writes");
  out.turns = knob(task, "turns");
  out.duties = knob(task, "duties");
  out.obstacles = knob(task, "obstacles");
  out.text = text_facts(task.prompt);
  out.grams = shingles_of(words_of(task.prompt));
  out.masked_grams = shingles_of(masked_words_of(masked_prompt));
  return out;
}

}  // namespace seedbed::tasks::diversity
