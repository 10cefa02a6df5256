#include "engine/grammar/grammar.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "engine/chat/markers.h"
#include "engine/grammar/grammar_data.h"
#include "engine/grammar/schema_rules.h"
#include "schemas/json_schema.h"

namespace seedbed::engine::grammar {

using schemas::Value;

namespace {

constexpr std::size_t kMaxValues = 50'000;  // of a schema
constexpr std::size_t kMaxFunctions = 512;
constexpr std::size_t kMaxFunctionName = 256;

std::size_t count_values(const Value& v) {
  std::size_t n = 1;
  if (v.is_array())
    for (const auto& item : v.items()) n += count_values(item);
  if (v.is_object())
    for (const auto& [key, item] : v.members()) n += count_values(item);
  return n;
}

Step check_schema(const Value& schema, const std::string& at) {
  if (count_values(schema) > kMaxValues)
    return make_error(Where::usage, at, "#",
                      "found more than " + std::to_string(kMaxValues) + " values, wanted fewer",
                      "send a smaller schema");
  const auto compiled = schemas::JsonSchema::compile(schema);
  if (!compiled.ok()) return Error{Where::usage, at + ": " + compiled.error().message};
  return std::nullopt;
}

Error nothing_fits(const std::string& at) {
  return make_error(Where::usage, at, "#",
                    "found demands that no text of at most " + std::to_string(kMaxDepth) +
                        " nested containers and 10^9 bytes meets, wanted some",
                    "loosen what is required");
}

// The reply around JSON and calls.
class Chat {
 public:
  Chat(RuleShop& shop, const ChatFormat& format, bool end_think_is_token)
      : shop_(shop), format_(format), end_think_is_token_(end_think_is_token) {}

  Step run(const std::vector<const Function*>& functions) {
    const auto id = shop_.program.root = shop_.program.new_rule();
    const int end = rule_.add(), content = rule_.add(), block = rule_.add();
    rule_.accept(end);
    if (format_.reasoning)
      reasoning(rule_.start(), content);
    else
      rule_.skip(rule_.start(), content);
    const bool must_call =
        format_.choice == ToolChoice::required || format_.choice == ToolChoice::named;
    if (format_.json) {
      static const Value any = Value::object().set("type", "object");
      const auto& schema = format_.schema.is_null() ? any : format_.schema;
      if (!must_call) {
        if (auto error = check_schema(schema, "response format")) return error;
        SchemaRules rules(shop_, schema, "response format");
        const auto document = rules.document();
        if (rules.failed()) return rules.failed();
        must_fit_.emplace_back(document, "response format");
        rule_.call(content, document, end);
      }
      rule_.skip(content, block);
    } else {
      add_text(rule_, content, text_without(shop_.forbidden()), Spelling::raw, block);
      if (!must_call) rule_.skip(block, end);
    }
    if (!functions.empty())
      if (auto error = calls(functions, block, end)) return error;
    auto& program = shop_.program;
    if (!rule_.finish(program, id)) return too_big();
    const bool fits = program.finish();
    for (const auto& [rule, at] : must_fit_)
      if (!program.can_end(rule)) return nothing_fits(at);
    if (!fits) return nothing_fits("reply");
    return std::nullopt;
  }

 private:
  static Error too_big() {
    return make_error(Where::usage, "tools", "",
                      "found schemas whose automaton is too big together, wanted smaller ones",
                      "offer fewer tools");
  }

  void reasoning(int from, int to) {
    auto words = shop_.forbidden();
    if (!end_think_is_token_) words.emplace_back(chat::kEndThink);
    const int close = rule_.add();
    add_text(rule_, from, text_without(words), Spelling::raw, close);
    if (end_think_is_token_)
      rule_.edge(close, kEndThinkSymbol, kEndThinkSymbol, to);
    else
      rule_.skip(rule_.text(close, chat::kEndThink), to);
  }

  Step calls(const std::vector<const Function*>& functions, int from, int end) {
    static const Value none =
        Value::object().set("type", "object").set("additionalProperties", false);
    static const Value any = Value::object().set("type", "object");
    const bool many = format_.parallel && format_.choice != ToolChoice::named;
    const int first = rule_.add(), after = rule_.add();
    const auto open = "\n\n" + std::string(chat::kOpenCalls) + "\n";
    rule_.skip(rule_.text(from, shop_.markup(open)), first);
    for (const auto* f : functions) {
      const auto at = "function '" + f->name + "'";
      const auto& schema = !f->strict ? any : f->parameters.is_null() ? none : f->parameters;
      if (auto error = check_schema(schema, at)) return error;
      SchemaRules rules(shop_, schema, at);
      const auto parameters = rules.parameters();
      if (rules.failed()) return rules.failed();
      must_fit_.emplace_back(parameters, at);
      const auto head = std::string(chat::kOpenInvoke) + " name=\"" + f->name + "\">\n";
      rule_.call(rule_.text(first, shop_.markup(head)), parameters, after);
    }
    const int line = rule_.text(after, "\n");
    if (many) rule_.skip(line, first);
    rule_.skip(rule_.text(line, shop_.markup(chat::kCloseCalls)), end);
    return std::nullopt;
  }

  RuleShop& shop_;
  const ChatFormat& format_;
  bool end_think_is_token_;
  RuleBuilder rule_;
  std::vector<std::pair<std::uint32_t, std::string>> must_fit_;  // rules, and whose they are
};

Step check_functions(const ChatFormat& format) {
  const auto refuse = [](const std::string& at, const std::string& found, const char* todo) {
    return make_error(Where::usage, "tools", at, found, todo);
  };
  std::set<std::string> names;
  for (const auto& f : format.functions) {
    const bool fits = !f.name.empty() && f.name.size() <= kMaxFunctionName &&
                      is_valid_utf8(f.name) &&
                      std::none_of(f.name.begin(), f.name.end(), [](char c) {
                        return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '<' ||
                               c == '>' || c == 0x7f;
                      });
    if (!fits)
      return refuse("name", "found a name that a tag cannot hold, wanted letters, digits, _ and -",
                    "rename the function");
    if (!names.insert(f.name).second)
      return refuse("name", "found '" + f.name + "' twice, wanted each name once",
                    "rename one of them");
  }
  if (format.functions.size() > kMaxFunctions)
    return refuse("", "found more than " + std::to_string(kMaxFunctions) + ", wanted fewer",
                  "offer fewer tools");
  if (format.choice == ToolChoice::named && !names.contains(format.named))
    return refuse("tool_choice", "found '" + format.named + "', wanted one of the tools",
                  "name a function of the request");
  if (format.choice == ToolChoice::required && names.empty())
    return refuse("tool_choice", "found 'required' without tools, wanted at least one",
                  "send tools");
  return std::nullopt;
}

}  // namespace

Grammar::Grammar(std::unique_ptr<Data> data) : data_(std::move(data)) {}
Grammar::~Grammar() = default;

Result<std::shared_ptr<const Grammar>> Grammar::json_object(std::shared_ptr<const Vocabulary> v) {
  return json_schema(std::move(v), Value::object().set("type", "object"));
}

Result<std::shared_ptr<const Grammar>> Grammar::json_schema(std::shared_ptr<const Vocabulary> v,
                                                            const Value& schema) {
  if (auto error = check_schema(schema, "response format")) return *std::move(error);
  auto data = std::make_unique<Data>();
  data->vocabulary = std::move(v);
  RuleShop shop{data->program, data->vocabulary->data_->tree.table.dsml >= 0, false, {}};
  SchemaRules rules(shop, schema, "response format");
  data->program.root = rules.document();
  if (rules.failed()) return *rules.failed();
  if (!data->program.finish()) return nothing_fits("response format");
  return std::shared_ptr<const Grammar>(new Grammar(std::move(data)));
}

Result<std::shared_ptr<const Grammar>> Grammar::chat(std::shared_ptr<const Vocabulary> v,
                                                     const ChatFormat& format) {
  if (auto error = check_functions(format)) return *std::move(error);
  auto data = std::make_unique<Data>();
  data->vocabulary = std::move(v);
  const auto& table = data->vocabulary->data_->tree.table;
  std::vector<const Function*> functions;
  for (const auto& f : format.functions)
    if (format.choice != ToolChoice::none &&
        (format.choice != ToolChoice::named || f.name == format.named))
      functions.push_back(&f);
  RuleShop shop{data->program, table.dsml >= 0, true, {}};
  if (auto error = Chat(shop, format, table.end_think >= 0).run(functions))
    return *std::move(error);
  return std::shared_ptr<const Grammar>(new Grammar(std::move(data)));
}

std::int64_t Grammar::shortest() const {
  const auto& p = data_->program;
  const auto& rule = p.rules[p.root];
  return std::int64_t{p.states[rule.start].distance} + std::int64_t{rule.min} * rule.round + 1;
}

}  // namespace seedbed::engine::grammar
