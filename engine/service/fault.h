// A request that is answered with an error: OpenAI's error object, and the status that goes with
// it.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/service/exchange.h"
#include "schemas/value.h"

namespace seedbed::engine::service {

struct Fault {
  int status = 400;
  std::string message;
  std::string type = "invalid_request_error";
  std::string param, code;  // empty: null
  int retry_after = 0;      // seconds; 0: not said
};
using Refusal = std::optional<Fault>;  // empty: all is well

// 400 about one member of the request.
Fault bad(std::string_view param,
          std::string_view found_and_wanted,
          std::string_view todo = "correct the request");
// 400 with a message that has its four parts already.
Fault bad(std::string_view param, const Error& error);
Fault server_fault(const Error& error);  // 500

schemas::Value error_value(const Fault& fault);  // {"error": {...}}
HttpReply reply_of(const Fault& fault);

}  // namespace seedbed::engine::service
