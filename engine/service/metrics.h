// GET /metrics: Prometheus' text format 0.0.4, under vLLM's names and under ours.
#pragma once
#include <memory>
#include <string>

#include "engine/service/exchange.h"
#include "engine/service/fault.h"
#include "engine/service/service.h"

namespace seedbed::engine::service {

Refusal serve_metrics(Service& service,
                      const std::shared_ptr<Exchange>& exchange,
                      const std::shared_ptr<Flight>& flight);
std::string metrics_text(const Service& service);

}  // namespace seedbed::engine::service
