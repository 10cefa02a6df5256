#include "engine/service/fault.h"

#include "base/text.h"

namespace seedbed::engine::service {

using schemas::Value;

Fault bad(std::string_view param, std::string_view found_and_wanted, std::string_view todo) {
  Fault out;
  out.message = make_error(Where::usage, "request", param, found_and_wanted, todo).message;
  out.param = param;
  return out;
}

Fault bad(std::string_view param, const Error& error) {
  Fault out;
  out.message = error.message;
  out.param = param;
  return out;
}

Fault server_fault(const Error& error) {
  Fault out;
  out.status = 500;
  out.message = error.message;
  out.type = "server_error";
  return out;
}

Value error_value(const Fault& fault) {
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? Value() : Value(replace_invalid_utf8(text));
  };
  Value inner = Value::object();
  inner.set("message", replace_invalid_utf8(fault.message)).set("type", fault.type);
  inner.set("param", text_or_null(fault.param)).set("code", text_or_null(fault.code));
  Value out = Value::object();
  out.set("error", std::move(inner));
  return out;
}

HttpReply reply_of(const Fault& fault) {
  HttpReply out;
  out.status = fault.status;
  out.body = dump(error_value(fault));
  if (fault.retry_after > 0)
    out.headers.emplace_back("Retry-After", std::to_string(fault.retry_after));
  return out;
}

}  // namespace seedbed::engine::service
