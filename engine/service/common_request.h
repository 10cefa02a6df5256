// What the three endpoints that sample read alike.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/service/exchange.h"
#include "engine/service/fields.h"
#include "engine/service/service.h"

namespace seedbed::engine::service {

struct CommonRequest {
  SamplingParams sampling;      // with the seed
  std::int64_t max_tokens = 0;  // as asked for, or the default; clipped by request_of
  std::int64_t n = 1;
  std::vector<std::string> stop;
  std::vector<std::int32_t> stop_ids;
  bool stream = false, include_usage = false;
  bool ignore_eos = false;
  bool processed_logprobs = false;  // list those under the distribution drawn from
  int priority = 0;
  std::uint64_t session = 0;
};

// `params`: where the sampling parameters stand (in /inference/v1/generate a member of their own).
void read_sampling(Service& service, Fields& params, CommonRequest& out);
void read_delivery(const Exchange& exchange, Fields& body, CommonRequest& out);
// A model name that is ours, or none; else 404.
Refusal check_model(const Service& service, const schemas::Value& body, bool& says_reasoner);

// The engine's request for one choice. The answer is clipped to the context; a prompt that leaves
// no room for a token is refused.
Refusal check_room(const Service& service, std::size_t prompt_tokens);
Request request_of(const Service& service,
                   const CommonRequest& common,
                   std::vector<std::int32_t> prompt,
                   std::size_t choice);

}  // namespace seedbed::engine::service
