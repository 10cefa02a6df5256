// Clients without a model: the ceiling, the floor, and chance. They are baselines and gates.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/client.h"

namespace seedbed::agent {

inline constexpr std::string_view kScriptedVersion = "1";
// Raised whenever the teacher's episodes change.
inline constexpr std::string_view kTeacherVersion = "4";

// oracle: plays the task's gold plan; stops where one of its calls fails.
// teacher: the gold plan or a variant, with reasons, and with mistakes that are repaired
// (teacher.cpp).
// plain-teacher: the same with fewer mistakes, and with reasons in one wording that leave nothing
// out (teacher_plain.h): for small models.
// nop:    says "done" and nothing else.
// random: schema-valid calls with values drawn from what it has read (random_client.cpp).
// and the solvers of tasks/solvers/solve.h: first-match, greedy, bfs-1 to bfs-6, no-policy,
// refuse-all, prompt-echo.
// Null for any other name.
std::unique_ptr<ModelClient> scripted_client(std::string_view policy);
// Their names, in the order in which help texts list them.
std::vector<std::string> scripted_policies();

// A step of a plan that is a call, a submission or a refusal, as an agent would make it.
ReplyCall call_of(const schemas::GoldStep& step);

std::unique_ptr<ModelClient> random_client();
std::unique_ptr<ModelClient> teacher_client(bool plain);
std::unique_ptr<ModelClient> solver_client(std::string_view policy);

}  // namespace seedbed::agent
