#include "base/hash.h"
#include "schemas/environment.h"
#include "schemas/task.h"

namespace seedbed::schemas {

std::string environment_id(const Environment& env) {
  return content_hash(dump_record(env));
}
std::string task_id(const TaskSpec& task) {
  return content_hash(dump_record(task));
}

}  // namespace seedbed::schemas
