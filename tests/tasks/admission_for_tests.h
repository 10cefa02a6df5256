// Makes Admitted* without gates, for tests of what comes after admission. The program has no such
// door.
#pragma once
#include <memory>
#include <string>
#include <utility>

#include "tasks/admit.h"

namespace seedbed::tasks {

struct AdmissionForTests {
  static std::unique_ptr<AdmittedEnvironment> environment(schemas::Environment env,
                                                          std::string image) {
    auto out = std::make_unique<AdmittedEnvironment>();
    out->id_ = schemas::environment_id(env);
    out->env_ = std::move(env);
    out->image_ = std::move(image);
    return out;
  }
  static AdmittedTask task(Draft draft) {
    AdmittedTask out;
    out.certificate_.task_id = schemas::task_id(draft.task);
    out.certificate_.gates.push_back({.gate = "G1", .checked = 3, .note = "the same twice"});
    out.draft_ = std::move(draft);
    return out;
  }
};

}  // namespace seedbed::tasks
