// Clients without a model: the ceiling, the floor, and chance. They are baselines and gates.
#pragma once
#include <memory>
#include <string_view>

#include "agent/client.h"

namespace seedbed::agent {

inline constexpr std::string_view kScriptedVersion = "1";

// oracle: plays the task's gold plan; stops where one of its calls fails.
// nop:    says "done" and nothing else.
// random: schema-valid calls with values drawn from what it has read (random_client.cpp).
// Null for any other name.
std::unique_ptr<ModelClient> scripted_client(std::string_view policy);

std::unique_ptr<ModelClient> random_client();

}  // namespace seedbed::agent
