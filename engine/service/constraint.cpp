#include "engine/service/constraint.h"

#include <algorithm>

namespace seedbed::engine::service {
namespace {

using schemas::Value;

constexpr std::size_t kMostGrammars = 64;

std::string key_of(const grammar::ChatFormat& format) {
  Value functions = Value::array();
  for (const auto& function : format.functions) {
    Value one = Value::object();
    one.set("name", function.name).set("strict", function.strict);
    one.set("parameters", function.parameters);
    functions.push(std::move(one));
  }
  Value key = Value::object();
  key.set("reasoning", format.reasoning).set("choice", static_cast<int>(format.choice));
  key.set("functions", std::move(functions)).set("named", format.named);
  key.set("parallel", format.parallel).set("json", format.json).set("schema", format.schema);
  return dump(key);
}

using Made = Result<std::shared_ptr<const grammar::Grammar>>;

// Functions that are not strict are held to their schemas where a mask can hold them, and may
// otherwise be called with any object.
Made make(const std::shared_ptr<const grammar::Vocabulary>& vocabulary,
          const grammar::ChatFormat& format) {
  grammar::ChatFormat tried = format;
  for (auto& function : tried.functions) function.strict = true;
  Made all = grammar::Grammar::chat(vocabulary, tried);
  if (all.ok()) return all;
  bool changed = false;
  for (std::size_t i = 0; i < tried.functions.size(); ++i) {
    if (format.functions[i].strict) continue;
    grammar::ChatFormat alone;
    alone.functions = {tried.functions[i]};
    if (grammar::Grammar::chat(vocabulary, alone).ok()) continue;
    tried.functions[i].strict = false;
    changed = true;
  }
  return changed ? grammar::Grammar::chat(vocabulary, tried) : all;
}

}  // namespace

Result<std::shared_ptr<const grammar::Grammar>> Grammars::get(const grammar::ChatFormat& format) {
  std::string key = key_of(format);
  {
    const std::lock_guard lock(mutex_);
    const auto at = std::find_if(items_.begin(), items_.end(),
                                 [&](const Item& item) { return item.first == key; });
    if (at != items_.end()) {
      items_.splice(items_.begin(), items_, at);
      return at->second;
    }
  }
  SEEDBED_TRY(auto made, make(vocabulary_.grammar_vocabulary(), format));
  const std::lock_guard lock(mutex_);
  items_.emplace_front(std::move(key), made);
  if (items_.size() > kMostGrammars) items_.pop_back();
  return made;
}

}  // namespace seedbed::engine::service
