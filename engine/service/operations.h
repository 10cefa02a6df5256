// What an operator and a trainer's loop ask for: models, tokens, weights, pauses.
#pragma once
#include <memory>

#include "engine/service/exchange.h"
#include "engine/service/fault.h"
#include "engine/service/service.h"

namespace seedbed::engine::service {

using ExchangePtr = std::shared_ptr<Exchange>;
using FlightPtr = std::shared_ptr<Flight>;

// Each answers before it returns, or refuses.
Refusal serve_models(Service& service, const ExchangePtr& exchange, const FlightPtr& flight);
Refusal serve_version(Service& service, const ExchangePtr& exchange, const FlightPtr& flight);
Refusal serve_tokenize(Service& service, const ExchangePtr& exchange, const FlightPtr& flight);
Refusal serve_detokenize(Service& service, const ExchangePtr& exchange, const FlightPtr& flight);
Refusal serve_abort_requests(Service& service,
                             const ExchangePtr& exchange,
                             const FlightPtr& flight);
// These wait for the engine.
Refusal serve_update_weights(Service& service,
                             const ExchangePtr& exchange,
                             const FlightPtr& flight);
Refusal serve_pause(Service& service, const ExchangePtr& exchange, const FlightPtr& flight);
Refusal serve_resume(Service& service, const ExchangePtr& exchange, const FlightPtr& flight);
Refusal serve_reset_prefix_cache(Service& service,
                                 const ExchangePtr& exchange,
                                 const FlightPtr& flight);

}  // namespace seedbed::engine::service
