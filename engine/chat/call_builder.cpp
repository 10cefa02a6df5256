#include "engine/chat/call_builder.h"

#include "base/text.h"
#include "engine/chat/json_text.h"

namespace seedbed::engine::chat {

using schemas::Value;

void CallBuilder::start(std::size_t begin, bool lone_parameter) {
  *this = CallBuilder();
  begin_ = begin;
  lone_parameter_ = lone_parameter;
  value_ = Value::object();
  if (lone_parameter) broken("a parameter outside of any call");
}

void CallBuilder::name_call(std::string& arguments) {
  named_ = true;
  arguments.push_back('{');
}

void CallBuilder::broken(std::string_view why) {
  if (why_.empty()) why_ = why;
}

void CallBuilder::begin_parameter(const Attributes& attributes, std::string& arguments) {
  parameter_.clear();
  is_string_ = attributes.is_string != Attributes::Bool::no;
  if (!attributes.readable || attributes.name.empty() || !is_valid_utf8(attributes.name))
    return broken("a parameter tag without a readable name");
  parameter_ = attributes.name;
  if (attributes.is_string == Attributes::Bool::absent ||
      attributes.is_string == Attributes::Bool::other)
    broken("parameter '" + parameter_ + "' does not say string=\"true\" or string=\"false\"");
  if (value_.find(parameter_) != nullptr) broken("parameter '" + parameter_ + "' occurs twice");
  if (!named_) return;
  if (arguments.size() > 1) arguments.append(", ");
  append_json_string(parameter_, arguments);
  arguments.append(is_string_ ? ": \"" : ": ");
}

void CallBuilder::add_value(std::string_view bytes, std::string& arguments) const {
  if (parameter_.empty() || !named_) return;
  if (is_string_)
    append_json_escaped(bytes, arguments);
  else
    arguments.append(bytes);
}

void CallBuilder::end_parameter(std::string_view value, std::string& arguments) {
  if (parameter_.empty() || !named_) return;
  if (is_string_) {
    arguments.push_back('"');
    if (!is_valid_utf8(value))
      broken("the value of parameter '" + parameter_ + "' is not valid UTF-8");
    else
      value_.set(parameter_, Value(value));
    return;
  }
  // The object around it takes one level of the depth that a reader allows.
  auto json = schemas::parse_json(value, {.max_depth = schemas::ParseLimits{}.max_depth - 1});
  if (json.ok())
    value_.set(parameter_, *std::move(json));
  else
    broken("parameter '" + parameter_ +
           "' says string=\"false\", but its value is no JSON: " + json.error().message);
}

void CallBuilder::end_call(std::string& arguments) const {
  if (named_) arguments.push_back('}');
}

}  // namespace seedbed::engine::chat
