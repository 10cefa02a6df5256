// How to reach an OpenAI-compatible endpoint.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "schemas/value.h"

namespace seedbed::agent {

struct HttpOptions {
  std::string base_url;  // up to and with the version: http://127.0.0.1:8000/v1
  std::string model;
  std::string
      api_key_env;  // name of the environment variable that holds the key; "": no key is sent
  // The endpoint's own where absent. top_k and min_p are no part of OpenAI's dialect: some refuse
  // them.
  std::optional<double> temperature, top_p, min_p;
  std::optional<std::int64_t> max_tokens, top_k;
  bool send_seed = true;  // episode_seed, as `seed`
  schemas::Value extra;   // object: further members of the request's body
  int connect_timeout_ms = 10'000;
  int timeout_ms = 120'000;  // one request, from sending to the last byte
  int max_tries = 5;  // of a request, on 429, 5xx and broken connections; two where it timed out or
                      // was unreadable
  int backoff_ms = 500;         // before the second try; doubles, with jitter
  int max_backoff_ms = 30'000;  // also bounds what Retry-After may ask for
  std::int64_t max_response_bytes = 8 << 20;
};

}  // namespace seedbed::agent
