// Schema text to nodes. Every subschema is one node, found again by its address, so that $ref may
// point anywhere and backwards; references are resolved by a work list, never by recursion.
#include <algorithm>
#include <deque>
#include <unordered_map>

#include "base/text.h"
#include "schemas/json_schema_node.h"

namespace seedbed::schemas {

namespace {

using Node = JsonSchema::Node;

constexpr int kMaxSchemaDepth = 64;
constexpr int kMaxInPlaceHeight = 64;  // nodes applied to one value, one inside the other

struct Program {
  Value text;  // nodes are keyed by address in here while compiling
  std::deque<Node> nodes;
};

std::string escaped(const std::string& key) {
  return replace_all(replace_all(key, "~", "~0"), "/", "~1");
}

class Compiler {
 public:
  explicit Compiler(Program& program) : program_(program) {}

  Result<const Node*> run() {
    const Node* root = schema(program_.text, "#", 0);
    while (!failed_ && !pending_.empty()) {
      const Pending ref = std::move(pending_.back());
      pending_.pop_back();
      resolve(ref);
    }
    if (!failed_) check_loops();
    if (failed_) return *std::move(failed_);
    return root;
  }

 private:
  struct Pending {
    Node* from;
    std::string target, at;
  };

  void fail(const std::string& at,
            const std::string& found_and_wanted,
            const char* todo = "correct the schema") {
    if (!failed_) failed_ = make_error(Where::config, "schema", at, found_and_wanted, todo);
  }
  bool want(bool holds, const std::string& at, const Value& found, const char* wanted) {
    if (!holds) fail(at, std::string("found ") + kind_name(found.kind()) + ", wanted " + wanted);
    return holds;
  }

  const Node* schema(const Value& text, const std::string& at, int depth) {
    if (const auto known = by_address_.find(&text); known != by_address_.end())
      return known->second;
    Node& node = program_.nodes.emplace_back();
    by_address_.emplace(&text, &node);
    if (depth >= kMaxSchemaDepth) {
      fail(at, "nested deeper than " + std::to_string(kMaxSchemaDepth) + ", wanted at most that");
      return &node;
    }
    if (text.is_bool()) {
      node.nothing = !text.as_bool();
      return &node;
    }
    if (!want(text.is_object(), at, text, "an object or a boolean")) return &node;
    for (const auto& [key, value] : text.members()) {
      if (failed_) break;
      const auto here = at + "/" + escaped(key);
      keyword(node, key, value, here, depth) || numbers(node, key, value, here) ||
          applicator(node, key, value, here, depth) || annotation(key, value, here);
    }
    std::sort(node.properties.begin(), node.properties.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    node.in_place = node.ref != nullptr || !node.all_of.empty() || !node.any_of.empty() ||
                    !node.one_of.empty() || node.none_of != nullptr || node.condition != nullptr;
    return &node;
  }

  // Each of the four answers whether the keyword was its own.
  bool keyword(
      Node& node, const std::string& key, const Value& value, const std::string& at, int depth) {
    if (key == "type") {
      types(node, value, at);
    } else if (key == "enum") {
      if (want(value.is_array(), at, value, "an array")) node.choices = value.items();
    } else if (key == "const") {
      node.constant = value;
    } else if (key == "pattern") {
      pattern(value, at, node.pattern);
    } else if (key == "format") {
      if (!want(value.is_string(), at, value, "a string")) return true;
      if (value.as_string() == "date") node.format = Format::date;
      if (value.as_string() == "date-time") node.format = Format::date_time;
    } else if (key == "uniqueItems") {
      if (want(value.is_bool(), at, value, "a boolean")) node.unique_items = value.as_bool();
    } else if (key == "required") {
      node.required = names(value, at);
    } else if (key == "dependentRequired") {
      if (!want(value.is_object(), at, value, "an object")) return true;
      for (const auto& [name, list] : value.members())
        node.dependencies.push_back({name, names(list, at + "/" + escaped(name)), nullptr});
    } else if (key == "properties") {
      if (!want(value.is_object(), at, value, "an object")) return true;
      for (const auto& [name, sub] : value.members())
        node.properties.push_back({name, schema(sub, at + "/" + escaped(name), depth + 1)});
    } else if (key == "patternProperties") {
      if (!want(value.is_object(), at, value, "an object")) return true;
      for (const auto& [name, sub] : value.members()) {
        std::optional<Pattern> compiled;
        pattern(Value(name), at, compiled);
        const auto* child = schema(sub, at + "/" + escaped(name), depth + 1);
        if (compiled) node.pattern_properties.emplace_back(*std::move(compiled), child);
      }
    } else {
      return false;
    }
    return true;
  }

  bool numbers(Node& node, const std::string& key, const Value& value, const std::string& at) {
    static constexpr std::pair<std::string_view, std::optional<Value> Node::*> kBounds[] = {
        {"minimum", &Node::minimum},
        {"maximum", &Node::maximum},
        {"exclusiveMinimum", &Node::above},
        {"exclusiveMaximum", &Node::below},
        {"multipleOf", &Node::multiple_of}};
    static constexpr std::pair<std::string_view, std::optional<std::size_t> Node::*> kCounts[] = {
        {"minLength", &Node::min_length},         {"maxLength", &Node::max_length},
        {"minItems", &Node::min_items},           {"maxItems", &Node::max_items},
        {"minProperties", &Node::min_properties}, {"maxProperties", &Node::max_properties},
        {"maxContains", &Node::max_contains}};
    for (const auto& [name, member] : kBounds) {
      if (key != name) continue;
      if (!want(value.is_number(), at, value, "a number")) return true;
      if (key == "multipleOf" && !(value.as_double() > 0))
        fail(at, "found " + dump(value) + ", wanted a number > 0");
      node.*member = value;
      return true;
    }
    for (const auto& [name, member] : kCounts) {
      if (key != name) continue;
      node.*member = count(value, at);
      return true;
    }
    if (key == "minContains") {
      node.min_contains = count(value, at);
      return true;
    }
    return false;
  }

  bool applicator(
      Node& node, const std::string& key, const Value& value, const std::string& at, int depth) {
    static constexpr std::pair<std::string_view, const Node * Node::*> kSingle[] = {
        {"items", &Node::items},       {"additionalProperties", &Node::additional},
        {"contains", &Node::contains}, {"propertyNames", &Node::property_names},
        {"not", &Node::none_of},       {"if", &Node::condition},
        {"then", &Node::then_schema},  {"else", &Node::else_schema}};
    static constexpr std::pair<std::string_view, std::vector<const Node*> Node::*> kLists[] = {
        {"allOf", &Node::all_of},
        {"anyOf", &Node::any_of},
        {"oneOf", &Node::one_of},
        {"prefixItems", &Node::prefix_items}};
    for (const auto& [name, member] : kSingle) {
      if (key != name) continue;
      node.*member = schema(value, at, depth + 1);
      return true;
    }
    for (const auto& [name, member] : kLists) {
      if (key != name) continue;
      if (!want(value.is_array(), at, value, "an array")) return true;
      if (value.items().empty()) fail(at, "found an empty array, wanted at least one schema");
      for (std::size_t i = 0; i < value.items().size(); ++i)
        (node.*member).push_back(schema(value.items()[i], at + "/" + std::to_string(i), depth + 1));
      return true;
    }
    if (key == "$ref") {
      if (!want(value.is_string(), at, value, "a string")) return true;
      pending_.push_back({&node, value.as_string(), at});
      node.ref = &node;  // a mark until it is resolved
      return true;
    }
    if (key == "$defs" || key == "dependentSchemas") {
      if (!want(value.is_object(), at, value, "an object")) return true;
      for (const auto& [name, sub] : value.members()) {
        const auto* child = schema(sub, at + "/" + escaped(name), depth + 1);
        if (key == "dependentSchemas") node.dependencies.push_back({name, {}, child});
      }
      return true;
    }
    return false;
  }

  // What only describes is ignored, but for its kind; what would assert and is not known here must
  // not be ignored: an accepted schema means what it says.
  bool annotation(const std::string& key, const Value& value, const std::string& at) {
    if (key == "title" || key == "description" || key == "$comment" || key == "$schema") {
      want(value.is_string(), at, value, "a string");
    } else if (key == "examples") {
      want(value.is_array(), at, value, "an array");
    } else if (key == "deprecated" || key == "readOnly" || key == "writeOnly") {
      want(value.is_bool(), at, value, "a boolean");
    } else if (key == "unevaluatedProperties" || key == "unevaluatedItems" ||
               key == "$dynamicRef" || key == "$recursiveRef" || (key == "$id" && at != "#/$id")) {
      fail(at, "found a keyword that is not supported, wanted none", "say it without");
    }
    return true;
  }

  void types(Node& node, const Value& value, const std::string& at) {
    if (value.is_string()) {
      type(node, value, at);
    } else if (want(value.is_array(), at, value, "a string or an array of strings")) {
      if (value.items().empty()) fail(at, "found an empty array, wanted at least one type");
      for (std::size_t i = 0; i < value.items().size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
          if (value.items()[i] == value.items()[j])
            fail(at, "found a type twice, wanted each once");
      for (const auto& item : value.items()) type(node, item, at);
    }
    const auto number = std::uint8_t{1} << static_cast<int>(Value::Kind::number);
    node.whole_numbers = (node.types & number) == 0 && (node.types & number >> 1) != 0;
  }

  void type(Node& node, const Value& value, const std::string& at) {
    static const std::vector<std::string> kNames = {"null",   "boolean", "integer", "number",
                                                    "string", "array",   "object"};
    if (!want(value.is_string(), at, value, "a string")) return;
    const auto found = std::find(kNames.begin(), kNames.end(), value.as_string());
    if (found == kNames.end()) {
      fail(at, "found '" + value.as_string() + "', wanted one of " + join(kNames, ", "));
      return;
    }
    const auto kind = found - kNames.begin();
    node.types = static_cast<std::uint8_t>(node.types | 1U << kind);
    if (*found == "number") node.types = static_cast<std::uint8_t>(node.types | 1U << (kind - 1));
  }

  void pattern(const Value& value, const std::string& at, std::optional<Pattern>& out) {
    if (!want(value.is_string(), at, value, "a string")) return;
    auto compiled = Pattern::compile(value.as_string());
    if (compiled.ok())
      out = *std::move(compiled);
    else
      fail(at, compiled.error().message);
  }

  std::size_t count(const Value& value, const std::string& at) {
    const bool whole =
        value.is_int() || (value.kind() == Value::Kind::number && is_multiple(value, Value(1)));
    if (!whole || value.as_double() < 0 || value.as_double() > 0x1p53) {
      fail(at, "found " + (value.is_number() ? dump(value) : kind_name(value.kind())) +
                   ", wanted an integer >= 0");
      return 0;
    }
    return static_cast<std::size_t>(value.as_double());
  }

  std::vector<std::string> names(const Value& value, const std::string& at) {
    std::vector<std::string> out;
    if (!want(value.is_array(), at, value, "an array of strings")) return out;
    for (const auto& item : value.items()) {
      if (!want(item.is_string(), at, item, "strings")) return out;
      out.push_back(item.as_string());
    }
    auto sorted = out;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
      fail(at, "found a name twice, wanted each once");
    return out;
  }

  void resolve(const Pending& ref) {
    if (ref.target != "#" && !ref.target.starts_with("#/")) {
      fail(ref.at, "found '" + ref.target + "', wanted a reference within the schema: # or #/...");
      return;
    }
    const Value* at = &program_.text;
    if (ref.target.size() > 1)
      for (const auto& raw : split(std::string_view(ref.target).substr(2), '/')) {
        const auto step = replace_all(replace_all(percent_decoded(raw), "~1", "/"), "~0", "~");
        at = child(*at, step);
        if (at == nullptr) {
          fail(ref.at, "found '" + ref.target + "', which leads nowhere at '" + step + "'");
          return;
        }
      }
    ref.from->ref = schema(*at, ref.target, 0);
  }

  static const Value* child(const Value& at, const std::string& step) {
    if (!at.is_array()) return at.find(step);
    if (step.empty() || step.size() > 6 ||
        !std::all_of(step.begin(), step.end(), [](char c) { return c >= '0' && c <= '9'; }))
      return nullptr;
    const auto index = static_cast<std::size_t>(std::stoul(step));
    return index < at.items().size() ? &at.items()[index] : nullptr;
  }

  static std::string percent_decoded(const std::string& text) {
    const auto digit = [](char c) {
      const auto at =
          std::string_view("0123456789abcdef").find(lower_ascii(std::string_view(&c, 1))[0]);
      return at == std::string_view::npos ? -1 : static_cast<int>(at);
    };
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const bool coded = text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 &&
                         digit(text[i + 2]) >= 0;
      out.push_back(coded ? static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]))
                          : text[i]);
      if (coded) i += 2;
    }
    return out;
  }

  // Nodes that apply to the same value as `node` does.
  static std::vector<const Node*> in_place(const Node& node) {
    std::vector<const Node*> out;
    for (const auto* list : {&node.all_of, &node.any_of, &node.one_of})
      out.insert(out.end(), list->begin(), list->end());
    for (const auto* one :
         {node.ref, node.none_of, node.condition, node.then_schema, node.else_schema})
      if (one != nullptr) out.push_back(one);
    for (const auto& d : node.dependencies)
      if (d.schema != nullptr) out.push_back(d.schema);
    return out;
  }

  // A schema that refers to itself without going into the value would never end.
  void check_loops() {
    struct Visit {
      const Node* node;
      std::vector<const Node*> next;
      int height = 1;
    };
    std::unordered_map<const Node*, int> height;  // 0 while on the stack
    for (const auto& start : program_.nodes) {
      if (height.contains(&start)) continue;
      std::vector<Visit> stack;
      stack.push_back({&start, in_place(start)});
      height[&start] = 0;
      while (!stack.empty()) {
        Visit& top = stack.back();
        if (top.next.empty()) {
          const int done = top.height;
          height[top.node] = done;
          if (done > kMaxInPlaceHeight)
            return fail("#", "references are chained too deep, wanted at most " +
                                 std::to_string(kMaxInPlaceHeight));
          stack.pop_back();
          if (!stack.empty()) stack.back().height = std::max(stack.back().height, done + 1);
          continue;
        }
        const Node* next = top.next.back();
        top.next.pop_back();
        const auto [known, fresh] = height.emplace(next, 0);
        if (fresh)
          stack.push_back({next, in_place(*next)});
        else if (known->second == 0)
          return fail("#", "a $ref leads back to itself without going into the value");
        else
          top.height = std::max(top.height, known->second + 1);
      }
    }
  }

  Program& program_;
  std::unordered_map<const Value*, Node*> by_address_;
  std::vector<Pending> pending_;
  Step failed_;
};

}  // namespace

Result<JsonSchema> JsonSchema::compile(const Value& schema) {
  auto program = std::make_shared<Program>();
  program->text = schema;
  SEEDBED_TRY(const Node* root, Compiler(*program).run());
  return JsonSchema(std::shared_ptr<const Node>(program, root));
}

}  // namespace seedbed::schemas
