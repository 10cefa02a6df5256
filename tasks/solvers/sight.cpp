#include "tasks/solvers/sight.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "tasks/solvers/words.h"

namespace seedbed::tasks::solvers {
namespace {

using schemas::Value;
using Stems = std::vector<std::string>;

constexpr std::array<std::string_view, 12> kReadVerbs = {"list",   "find",   "get",    "show",
                                                         "search", "look",   "fetch",  "read",
                                                         "view",   "latest", "recent", "describe"};

int noun_of(Catalog& c, const Stems& stems) {
  if (stems.empty()) return -1;
  for (std::size_t i = 0; i < c.nouns.size(); ++i)
    if (c.nouns[i].stems == stems) return static_cast<int>(i);
  c.nouns.push_back({.stems = stems});
  return static_cast<int>(c.nouns.size()) - 1;
}

SeenParam param_of(Catalog& c, const std::string& name, const Value& schema, bool required) {
  using Kind = SeenParam::Kind;
  SeenParam out;
  out.name = name;
  out.required = required;
  out.stems = stems_of_name(name);
  for (auto& stem : stems_of_text(schema.text("description"))) out.stems.push_back(std::move(stem));
  if (const Value* words = schema.find("enum"); words != nullptr && words->is_array()) {
    out.kind = Kind::choice;
    for (const auto& word : words->items())
      if (word.is_string()) out.choices.push_back(word.as_string());
    return out;
  }
  const std::string type = schema.text("type");
  Stems parts = stems_of_name(name);
  const std::string last = parts.empty() ? "" : parts.back();
  const bool ids = last == "id" || (type == "array" && last == "ids");
  if (name == "offset" || name == "page") {
    out.kind = Kind::offset;
  } else if (parts.size() > 1 && (ids || last == "nam" || last == "name")) {
    out.kind = ids ? Kind::ref : Kind::ref_name;
    out.many = type == "array";
    parts.pop_back();
    while (parts.back().size() == 1 && parts.size() > 1) parts.pop_back();
    if (const auto known = stems_of_text(schema.text("description"));
        parts.size() > 1 && !known.empty() && known != parts &&
        find_run(parts, known) != std::string::npos)
      parts = known;  // "extra_curator_id": the description names the kind
    out.noun = noun_of(c, parts);
  } else if (last == "nam" || last == "name") {
    out.kind = Kind::name;
  } else if (type == "integer" || type == "number") {
    out.kind = Kind::number;
  } else if (type == "array") {
    out.kind = Kind::list;
  } else if (schema.text("format").starts_with("date")) {
    out.kind = Kind::date;
  }
  return out;
}

// The noun of a reading tool is what is left of its name.
SeenTool tool_of(Catalog& c, const schemas::Tool& tool) {
  SeenTool out;
  out.name = tool.name;
  Stems parts = stems_of_name(tool.name);
  const auto is_verb = [](const std::string& stem) {
    return std::any_of(kReadVerbs.begin(), kReadVerbs.end(),
                       [&](std::string_view verb) { return stem == stem_of(verb); });
  };
  const bool reads = !parts.empty() && (is_verb(parts.front()) || is_verb(parts.back()));
  const Value* required = tool.input.find("required");
  const Value* properties = tool.input.find("properties");
  bool needs = false;
  if (properties != nullptr && properties->is_object())
    for (const auto& [name, schema] : properties->members()) {
      const bool must =
          required != nullptr && required->is_array() &&
          std::any_of(required->items().begin(), required->items().end(),
                      [&](const Value& r) { return r.is_string() && r.as_string() == name; });
      needs = needs || must;
      out.params.push_back(param_of(c, name, schema, must));
    }
  if (reads) {
    parts.erase(is_verb(parts.front()) ? parts.begin() : parts.end() - 1);
    out.noun = noun_of(c, parts);
    out.form = !needs                                        ? SeenTool::Form::list
               : out.param(SeenParam::Kind::name) != nullptr ? SeenTool::Form::find
                                                             : SeenTool::Form::get;
  }
  out.paged = out.param(SeenParam::Kind::offset) != nullptr;
  return out;
}

void find_rules(Catalog& c, const std::string& handbook) {
  for (const auto& line : split(handbook, '\n'))
    if (!trim(line).empty()) c.rules.emplace_back(trim(line));
  for (const auto& token : tokens_of(handbook))
    if (const auto day = day_of(token.text)) {
      c.today = *day;
      return;
    }
}

}  // namespace

const SeenParam* SeenTool::param(SeenParam::Kind kind) const {
  const auto it =
      std::find_if(params.begin(), params.end(), [&](const auto& p) { return p.kind == kind; });
  return it == params.end() ? nullptr : &*it;
}

int Catalog::weight(const std::string& stem) const {
  const auto it = tools_with.find(stem);
  return it == tools_with.end() ? 0 : std::max(1, 24 / it->second);
}

int Catalog::noun_at(const Stems& stems, std::size_t at) const {
  int best = -1;
  for (std::size_t n = 0; n < nouns.size(); ++n) {
    const auto& own = nouns[n].stems;
    if (at + own.size() > stems.size() ||
        !std::equal(own.begin(), own.end(), stems.begin() + static_cast<std::ptrdiff_t>(at)))
      continue;
    if (best < 0 || own.size() > nouns[static_cast<std::size_t>(best)].stems.size())
      best = static_cast<int>(n);
  }
  return best;
}

bool Catalog::mentions(const Stems& stems, int noun) const {
  for (std::size_t at = 0; at < stems.size(); ++at)
    if (noun_at(stems, at) == noun) return true;
  return false;
}

Catalog catalog_of(const schemas::Environment& env) {
  Catalog c;
  for (const auto& tool : env.tools) {
    c.tools.push_back(tool_of(c, tool));
    for (const auto& p : c.tools.back().params)
      c.choices.insert(p.choices.begin(), p.choices.end());
  }
  for (std::size_t i = 0; i < c.tools.size(); ++i) {
    auto& tool = c.tools[i];
    const Stems parts = stems_of_name(tool.name);
    for (std::size_t at = 0; at < parts.size() && tool.noun < 0; ++at)
      tool.noun = c.noun_at(parts, at);  // of an act: the record that its name speaks of
    if (tool.noun >= 0) {
      auto& noun = c.nouns[static_cast<std::size_t>(tool.noun)];
      int* at = tool.form == SeenTool::Form::list   ? &noun.list
                : tool.form == SeenTool::Form::find ? &noun.find
                : tool.form == SeenTool::Form::get  ? &noun.get
                                                    : nullptr;
      const bool latest = find_run(parts, {stem_of("latest")}) != std::string::npos;
      if (at != nullptr && *at < 0 && !latest) *at = static_cast<int>(i);
    }
    Stems words = parts;
    for (auto& stem : stems_of_text(env.tools[i].description)) words.push_back(std::move(stem));
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    words.erase(std::remove_if(words.begin(), words.end(),
                               [](const auto& stem) { return is_stop_word(stem); }),
                words.end());
    for (const auto& stem : words) ++c.tools_with[stem];
    tool.stems = std::move(words);
  }
  c.reasons = env.policy.reasons;
  find_rules(c, env.policy.handbook);
  return c;
}

}  // namespace seedbed::tasks::solvers
