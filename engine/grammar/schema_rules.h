// A JSON Schema to rules: JSON documents of it, and DSML parameters of a function.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/grammar/automaton.h"
#include "engine/grammar/schema_view.h"
#include "engine/grammar/strings.h"

namespace seedbed::engine::grammar {

// Rules that several schemas of one grammar share, and how the chat format spells its marker.
struct RuleShop {
  Program& program;
  bool dsml_is_token = false;
  bool in_chat = false;                         // the text is read by the chat parser
  std::map<std::string, std::uint32_t> shared;  // by what they say

  [[nodiscard]] std::vector<Symbol> markup(std::string_view text) const;
  // Tags are told by their spelling alone, so that strings must not hold any.
  [[nodiscard]] bool no_bar() const { return in_chat && !dsml_is_token; }
  [[nodiscard]] std::string json(const schemas::Value& value) const;
  // What no text of a message or raw value may spell.
  [[nodiscard]] std::vector<std::string> forbidden() const;
};

class SchemaRules {
 public:
  // `schema` outlives it.
  SchemaRules(RuleShop& shop, const schemas::Value& schema, std::string at);
  // kNone: see failed().
  std::uint32_t document();
  // The parameters of a call, from after its opening tag's line end up to its closing tag included.
  std::uint32_t parameters();
  [[nodiscard]] const Step& failed() const { return view_.failed(); }

 private:
  struct Declared {
    std::string name;
    Goal goal;
    bool required;
  };
  struct Free {  // members whose names the schema does not list
    TextDfa keys;
    Goal goal;
  };
  struct Members {
    std::vector<Declared> declared;
    std::vector<Free> free;
    std::uint32_t free_min = 0, free_max = kNone;
    bool none = false;  // no object is possible
  };
  struct Style;

  std::uint32_t value(const Goal& goal, unsigned kinds = kAnyKind);
  void add_flat(RuleBuilder& rule, int end, const Goal& flat, unsigned kinds);
  bool add_number(RuleBuilder& rule, int end, const Demands& d, const schemas::Value& at);
  std::uint32_t string(const Demands& d, const schemas::Value& at);
  std::uint32_t raw(const Goal& goal);
  void add_raw(RuleBuilder& rule, int end, const Goal& flat);
  void close_raw(RuleBuilder& rule, int from, int end, std::uint8_t flags);
  std::uint32_t array(const Demands& d, const schemas::Value& at);
  std::uint32_t object(const Goal& flat, const Demands& d, bool dsml);
  static bool enough_short(TextDfa& keys, std::size_t wanted);
  static bool first_is_sure(const Members& m);
  Members members(const Goal& flat, const Demands& d, bool dsml);
  void add_free(
      const Goal& flat, const Demands& d, Members& out, std::vector<std::string> names, bool dsml);
  void count_members(const Goal& flat, const Demands& d, Members& out);
  void write_members(RuleBuilder& rule, int from, int end, const Members& m, const Style& style);
  std::uint32_t key(const TextDfa& keys, Spelling spelling);
  void add_value(RuleBuilder& rule, int from, int to, const Goal& goal, const Style& style);

  std::uint32_t finish(const RuleBuilder& rule, std::uint32_t id, const schemas::Value& at);
  // The rule of that name, made where it is not there yet: make(rule, end, its Rule).
  std::uint32_t shared(const std::string& name,
                       const std::function<void(RuleBuilder&, int, Rule&)>& make);
  [[nodiscard]] Goal normal(Goal goal) const;

  RuleShop& shop_;
  Program& p_;
  const schemas::Value& root_;
  SchemaView view_;
  std::map<std::pair<Goal, unsigned>, std::uint32_t> values_;
  std::map<Goal, std::uint32_t> raws_;
};

}  // namespace seedbed::engine::grammar
