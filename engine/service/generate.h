// POST /inference/v1/generate: token ids in and out, with what a trainer needs of them.
#pragma once
#include <memory>

#include "engine/service/exchange.h"
#include "engine/service/fault.h"
#include "engine/service/service.h"

namespace seedbed::engine::service {

// As serve_chat.
Refusal serve_generate(Service& service,
                       const std::shared_ptr<Exchange>& exchange,
                       const std::shared_ptr<Flight>& flight);

}  // namespace seedbed::engine::service
