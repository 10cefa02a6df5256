// A little environment for the tests of tasks: persons, slots and bookings, nine tools, and a
// player that runs their programs on SQLite in the test's own process (what a call wrote is found
// by comparing tables, not by a recorder).
#pragma once
#include <map>
#include <string>
#include <vector>

#include "schemas/environment.h"
#include "schemas/task.h"
#include "tasks/admit.h"
#include "tasks/judge.h"

namespace seedbed::tasks::clinic {

schemas::Environment environment();  // image_hash set
const std::string& image();
// Any SQL script as an image.
std::string image_of(const std::string& sql);

Result<std::vector<PlayedPlan>> play(const schemas::Environment& env,
                                     const std::string& image,
                                     const Plans& plans);
Player player(const schemas::Environment& env);
Oracle oracle();  // the same world written again in C++

schemas::Value args(std::vector<std::pair<std::string, schemas::Value>> members);
schemas::ToolCall call(const std::string& tool,
                       std::vector<std::pair<std::string, schemas::Value>> members = {});
// The calls played from the initial state; stop and submission are the caller's.
Episode episode(const schemas::Environment& env, const std::vector<schemas::ToolCall>& calls);
Episode submitting(Episode episode, schemas::Value args);
Episode refusing(Episode episode,
                 const std::string& code,
                 const std::vector<std::string>& evidence);

}  // namespace seedbed::tasks::clinic
