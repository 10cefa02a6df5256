#include "agent/teacher_mistake.h"

#include <algorithm>
#include <array>

#include "schemas/json_schema.h"

namespace seedbed::agent {
namespace {

using schemas::Tool;
using schemas::Value;

const Tool* tool_of(const View& view, const std::string& name) {
  for (const auto& tool : view.offered.tools())
    if (tool.name == name) return &tool;
  return nullptr;
}

// Offered tools come without programs: those of the environment have them.
bool only_reads(const View& view, const std::string& name) {
  if (view.environment.server) return false;  // nothing tells what its tools do
  for (const auto& tool : view.environment.tools)
    if (tool.name == name)
      return std::none_of(tool.program.steps.begin(), tool.program.steps.end(),
                          [](const auto& step) { return step.run || step.each; });
  return false;
}

const Value* property(const Tool& tool, const std::string& name) {
  const Value* properties = tool.input.find("properties");
  return properties == nullptr ? nullptr : properties->find(name);
}

std::vector<std::string> required(const Tool& tool) {
  std::vector<std::string> out;
  if (const Value* names = tool.input.find("required"); names != nullptr && names->is_array())
    for (const auto& name : names->items())
      if (name.is_string()) out.push_back(name.as_string());
  return out;
}

// Whether the arguments are refused before anything is run.
bool refused(const View& view, const Tool& tool, const Value& args) {
  if (schemas::ends_episode(tool.name)) {
    const auto wrong = tool.name == schemas::kSubmitTool ? view.offered.check_submit(args)
                                                         : view.offered.check_refuse(args);
    return wrong.ok() && !wrong->empty();
  }
  const auto schema = schemas::JsonSchema::compile(tool.input);
  return schema.ok() && !schema->validate(args, 1).empty();
}

// The same arguments with one of them under another name, of another value, or gone.
Value changed(const Value& args, const std::string& name, const std::string& as, const Value* to) {
  Value out = Value::object();
  for (const auto& [key, value] : args.members()) {
    if (key != name)
      out.set(key, value);
    else if (!as.empty())
      out.set(as, to == nullptr ? value : *to);
  }
  return out;
}

struct Maker {
  const View& view;
  const ReplyCall& right;
  const Facts& facts;
  Rng& rng;
  const Tool* tool;

  [[nodiscard]] std::optional<Mistake> of(MistakeKind kind) {
    switch (kind) {
      case MistakeKind::argument_name:
        return argument_name();
      case MistakeKind::argument_value:
        return argument_value();
      case MistakeKind::missing:
        return missing();
      case MistakeKind::tool_name:
        return tool_name();
      case MistakeKind::unknown_id:
        return unknown_id();
      case MistakeKind::extra:
        return extra();
      case MistakeKind::other_finder:
        return other_finder();
      default:
        return needless();
    }
  }

 private:
  const std::pair<std::string, Value>* any_argument() {
    const auto& members = right.args.members();
    return members.empty() ? nullptr
                           : &members[static_cast<std::size_t>(rng.below(members.size()))];
  }
  std::optional<Mistake> if_refused(Mistake mistake) {
    if (tool == nullptr || !refused(view, *tool, mistake.call.args)) return std::nullopt;
    return mistake;
  }

  std::optional<Mistake> argument_name() {
    const auto* argument = any_argument();
    if (argument == nullptr) return std::nullopt;
    const std::string& name = argument->first;
    const auto words = words_of(name);
    std::vector<std::string> names;
    if (name.ends_with("_id")) names = {"id", name.substr(0, name.size() - 3)};
    if (words.size() > 1) names.push_back(words.back());
    names.push_back(name + (name.ends_with("s") ? "_list" : "s"));
    names.push_back("the_" + name);
    const std::string as = rng.pick(names);
    if (property(*tool, as) != nullptr) return std::nullopt;
    return if_refused({MistakeKind::argument_name,
                       {"", right.tool, changed(right.args, name, as, nullptr)},
                       name,
                       as,
                       name});
  }

  std::optional<Mistake> argument_value() {
    const auto* argument = any_argument();
    if (argument == nullptr) return std::nullopt;
    const auto& [name, value] = *argument;
    const Value* schema = property(*tool, name);
    Value to;
    if (schema != nullptr && schema->find("enum") != nullptr && value.is_string())
      to = value.as_string() + (rng.chance(1, 2) ? "_now" : "s");
    else if (value.is_string())
      to = Value(Value::Array{value});
    else if (value.is_array() && !value.items().empty())
      to = value.items().front();
    else
      to = value_text(value);
    return if_refused({MistakeKind::argument_value,
                       {"", right.tool, changed(right.args, name, name, &to)},
                       value_text(value),
                       value_text(to),
                       name});
  }

  std::optional<Mistake> missing() {
    const auto names = required(*tool);
    if (names.empty()) return std::nullopt;
    const std::string& name = rng.pick(names);
    const Value* value = right.args.find(name);
    if (value == nullptr) return std::nullopt;
    return if_refused({MistakeKind::missing,
                       {"", right.tool, changed(right.args, name, "", nullptr)},
                       value_text(*value),
                       "",
                       name});
  }

  std::optional<Mistake> tool_name() {
    if (schemas::ends_episode(right.tool)) return std::nullopt;
    constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kVerbs = {
        {{"list", "get_all"},
         {"list", "show"},
         {"find", "search"},
         {"find", "get"},
         {"get", "show"},
         {"get", "find"},
         {"cancel", "delete"},
         {"show", "get"}}};
    std::vector<std::string> names;
    for (const auto& [verb, other] : kVerbs)
      if (right.tool.rfind(verb, 0) == 0)
        names.push_back(std::string(other) + right.tool.substr(verb.size()));
    names.push_back(right.tool.ends_with("s") ? right.tool.substr(0, right.tool.size() - 1)
                                              : right.tool + "s");
    names.push_back("do_" + right.tool);
    const auto verb = right.tool.find('_');
    const Tool& other = rng.pick(view.offered.tools());
    const auto noun = other.name.find('_');
    if (verb != std::string::npos && noun != std::string::npos)
      names.push_back(right.tool.substr(0, verb) + other.name.substr(noun));
    const std::string name = rng.pick(names);
    if (name.empty() || tool_of(view, name) != nullptr) return std::nullopt;
    return Mistake{MistakeKind::tool_name, {"", name, right.args}, right.tool, name, ""};
  }

  std::optional<Mistake> unknown_id() {
    if (!only_reads(view, right.tool)) return std::nullopt;
    const auto* argument = any_argument();
    if (argument == nullptr) return std::nullopt;
    const auto& [name, value] = *argument;
    if (!facts.find(value_text(value), {})) return std::nullopt;
    Value to;
    if (value.is_int() && value.as_int() > 1000) {
      to = value.as_int() + 90'000 + static_cast<std::int64_t>(rng.below(900));
    } else if (value.is_string()) {
      std::string text = value.as_string();
      const auto digit = text.find_first_of("0123456789");
      if (digit == std::string::npos || is_date(text)) return std::nullopt;
      text[digit] = '9';
      if (text == value.as_string()) return std::nullopt;
      to = text;
    } else {
      return std::nullopt;
    }
    const Value args = changed(right.args, name, name, &to);
    if (refused(view, *tool, args)) return std::nullopt;
    return Mistake{
        MistakeKind::unknown_id, {"", right.tool, args}, value_text(value), value_text(to), name};
  }

  // An argument that another tool takes: a name of the user's, a record that was seen, a choice.
  std::optional<Mistake> extra() {
    std::vector<std::pair<std::string, Value>> all;
    const auto names = facts.names();
    for (const auto& other : view.offered.tools()) {
      const Value* properties = other.input.find("properties");
      if (properties == nullptr || schemas::ends_episode(other.name)) continue;
      for (const auto& [name, schema] : properties->members()) {
        if (property(*tool, name) != nullptr || name == "offset") continue;
        if (const Value* choices = schema.find("enum"); choices != nullptr && choices->is_array())
          all.emplace_back(name, rng.pick(choices->items()));
        else if (name.ends_with("_id") && !facts.calls().empty() &&
                 !facts.calls().back().items.empty() &&
                 !facts.calls().back().items.front()->members().empty())
          all.emplace_back(name, facts.calls().back().items.front()->members().front().second);
        else if (name == "name" && !names.empty())
          all.emplace_back(name, Value(rng.pick(names)));
      }
    }
    if (all.empty()) return std::nullopt;
    const auto& [name, value] = rng.pick(all);
    Value args = right.args;
    args.set(name, value);
    return if_refused({MistakeKind::extra, {"", right.tool, args}, "", value_text(value), name});
  }

  // Another tool that finds by a name, for the name that is sought, or for one of the request where
  // a list is right.
  std::optional<Mistake> other_finder() {
    const auto names = facts.names();
    const auto& members = right.args.members();
    const bool sought = members.size() == 1 && members.front().second.is_string() &&
                        facts.user_says(members.front().second.as_string()) &&
                        required(*tool) == std::vector{members.front().first};
    if (!sought && (names.empty() || !only_reads(view, right.tool))) return std::nullopt;
    const std::vector<std::string> wanted = {sought ? members.front().first : "name"};
    std::vector<std::string> finders;
    for (const auto& other : view.offered.tools())
      if (other.name != right.tool && required(other) == wanted && only_reads(view, other.name))
        finders.push_back(other.name);
    if (finders.empty()) return std::nullopt;
    const std::string& finder = rng.pick(finders);
    Value args = Value::object();
    args.set(wanted.front(), sought ? members.front().second : Value(rng.pick(names)));
    return Mistake{MistakeKind::other_finder, {"", finder, args}, right.tool, finder, ""};
  }

  std::optional<Mistake> needless() {
    std::vector<const Tool*> lists;
    for (const auto& other : view.environment.tools)
      if (other.name != right.tool && required(other).empty() && only_reads(view, other.name) &&
          std::none_of(facts.calls().begin(), facts.calls().end(),
                       [&](const SeenCall& call) { return call.tool == other.name; }))
        lists.push_back(&other);
    if (lists.empty()) return std::nullopt;
    return Mistake{
        MistakeKind::needless, {"", rng.pick(lists)->name, Value::object()}, right.tool, "", ""};
  }
};

}  // namespace

std::optional<Mistake> make_wrong_tool(
    const View& view, const ReplyCall& right, const Facts& facts, bool finder, Rng& rng) {
  Maker maker{view, right, facts, rng, tool_of(view, right.tool)};
  if (maker.tool == nullptr || !right.args.is_object()) return std::nullopt;
  return maker.of(finder ? MistakeKind::other_finder : MistakeKind::tool_name);
}

std::optional<Mistake> make_mistake(const View& view,
                                    const ReplyCall& right,
                                    const Facts& facts,
                                    Rng& rng) {
  std::vector<MistakeKind> kinds = {MistakeKind::argument_name, MistakeKind::argument_value,
                                    MistakeKind::missing,       MistakeKind::tool_name,
                                    MistakeKind::unknown_id,    MistakeKind::needless,
                                    MistakeKind::extra,         MistakeKind::other_finder,
                                    MistakeKind::extra};  // what small models do most
  rng.shuffle(kinds);
  Maker maker{view, right, facts, rng, tool_of(view, right.tool)};
  if (maker.tool == nullptr || !right.args.is_object()) return std::nullopt;
  for (const MistakeKind kind : kinds)
    if (auto made = maker.of(kind)) return made;
  return std::nullopt;
}

}  // namespace seedbed::agent
