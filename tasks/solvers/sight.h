// What an agent sees before its first call, parsed once: tools by name, description and arguments
// (never their programs), handbook, reason codes.
#pragma once
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/environment.h"
#include "schemas/value.h"

namespace seedbed::tasks::solvers {

struct SeenParam {
  enum class Kind : std::uint8_t { ref, ref_name, choice, name, number, date, text, list, offset };
  std::string name;
  Kind kind = Kind::text;
  bool required = false;
  bool many = false;  // ref, ref_name: an array of them
  int noun = -1;      // ref, ref_name: index into Catalog::nouns
  std::vector<std::string> choices;
  std::vector<std::string> stems;  // of name and description
};

struct SeenTool {
  enum class Form : std::uint8_t { list, find, get, act };  // list: no argument is required
  std::string name;
  Form form = Form::act;
  int noun = -1;                   // what its results are
  std::vector<std::string> stems;  // each once, without stop words and nouns
  std::vector<SeenParam> params;
  bool paged = false;
  [[nodiscard]] const SeenParam* param(SeenParam::Kind kind) const;
};

struct Noun {  // a kind of record, as the tools name it
  std::vector<std::string> stems;
  int list = -1, find = -1, get = -1;  // tools
};

struct Catalog {
  std::vector<SeenTool> tools;
  std::vector<Noun> nouns;
  std::vector<schemas::ReasonCode> reasons;
  std::vector<std::string> rules;                           // lines of the handbook
  std::int64_t today = 0;                                   // days since 2000-01-01
  std::map<std::string, int> tools_with;                    // stem -> number of tools that say it
  std::set<std::string> choices;                            // words that arguments choose among
  [[nodiscard]] int weight(const std::string& stem) const;  // rarer words weigh more; 0: unknown
  // The longest noun that the stems hold at `at`; -1 where none.
  [[nodiscard]] int noun_at(const std::vector<std::string>& stems, std::size_t at) const;
  [[nodiscard]] bool mentions(const std::vector<std::string>& stems, int noun) const;
};
Catalog catalog_of(const schemas::Environment& env);

struct Sight {
  const Catalog& catalog;
  std::string_view prompt;
  const schemas::Value& submit_schema;
};

}  // namespace seedbed::tasks::solvers
