// POST /v1/chat/completions.
#pragma once
#include <memory>

#include "engine/service/exchange.h"
#include "engine/service/fault.h"
#include "engine/service/service.h"

namespace seedbed::engine::service {

// On the thread `requests`. A refusal is for the caller to send; without one the exchange is
// answered in time.
Refusal serve_chat(Service& service,
                   const std::shared_ptr<Exchange>& exchange,
                   const std::shared_ptr<Flight>& flight);

// The body as a JSON object; refuses what is none.
Refusal read_body(const Exchange& exchange, schemas::Value& out);

}  // namespace seedbed::engine::service
