// Chance: 5 to 12 schema-valid calls with values drawn from what was read so far, then a
// schema-valid submit_result (in most episodes), a refusal, or a message. Its draws depend on
// (seed, task, sample) alone.
#include <algorithm>
#include <map>

#include "agent/sample_args.h"
#include "agent/scripted.h"
#include "base/rng.h"
#include "schemas/json_schema.h"

namespace seedbed::agent {
namespace {

using schemas::Value;

class Random final : public ModelClient {
 public:
  void begin(const EpisodeStart& start) override {
    rng_ = rng_for(start.seed, start.task_id, static_cast<std::uint64_t>(start.sample),
                   "random client");
    pool_ = Pool();
    read_turns_ = 0;
    made_ = 0;
    wanted_ = static_cast<int>(rng_.between(5, 12));
    const int room = std::min(start.task.budget.max_calls, start.task.budget.max_turns) - 1;
    wanted_ = std::max(0, std::min(wanted_, room));
    if (start.task.environment_id != environment_id_) schemas_.clear();
    environment_id_ = start.task.environment_id;
  }

  Result<Reply> reply(const View& view) override {
    read(view);
    Reply out;
    if (made_ < wanted_ && !view.environment.tools.empty()) {
      ++made_;
      const schemas::Tool& tool = rng_.pick(view.environment.tools);
      out.what = Calls{"", "", {{"", tool.name, arguments(tool)}}};
      return out;
    }
    const std::uint64_t ending = rng_.below(100);
    if (ending < 90 || (ending < 97 && !may_refuse(view.environment))) {
      const Value args = until_valid(view.task.submit_schema, [&](const Value& v) {
        auto wrong = view.offered.check_submit(v);
        return wrong.ok() && wrong->empty();
      });
      out.what = Calls{"", "", {{"", std::string(schemas::kSubmitTool), args}}};
    } else if (ending < 97) {
      const Value schema = refuse_schema(view.environment);
      out.what = Calls{
          "", "", {{"", std::string(schemas::kRefuseTool), sample_value(schema, pool_, rng_)}}};
    } else {
      out.what = Message{"I am done.", ""};
    }
    return out;
  }

 private:
  void read(const View& view) {
    if (read_turns_ == 0) pool_.read_text(view.environment.policy.handbook);
    for (; read_turns_ < view.turns.size(); ++read_turns_) {
      const schemas::Turn& turn = view.turns[read_turns_];
      if (turn.role == "user") pool_.read_text(turn.text);
      for (const auto& call : turn.calls)
        if (auto value = schemas::parse_json(call.result.out);
            value.ok() && value->find("error") == nullptr)
          pool_.read_result(*value);
    }
  }

  Value arguments(const schemas::Tool& tool) {
    auto found = schemas_.find(tool.name);
    if (found == schemas_.end()) {
      auto compiled = schemas::JsonSchema::compile(tool.input);
      if (!compiled.ok()) return Value::object();
      found = schemas_.emplace(tool.name, *std::move(compiled)).first;
    }
    return until_valid(tool.input,
                       [&](const Value& v) { return found->second.validate(v).empty(); });
  }

  template <class Valid>
  Value until_valid(const Value& schema, Valid&& valid) {
    Value value;
    for (int tries = 0; tries < 12; ++tries) {
      value = sample_value(schema, pool_, rng_);
      if (value.is_object() && valid(value)) return value;
    }
    return value.is_object() ? value : Value::object();
  }

  Rng rng_{0};
  Pool pool_;
  std::size_t read_turns_ = 0;
  int made_ = 0, wanted_ = 0;
  std::string environment_id_;
  std::map<std::string, schemas::JsonSchema> schemas_;  // of the environment's tools, compiled once
};

}  // namespace

std::unique_ptr<ModelClient> random_client() {
  return std::make_unique<Random>();
}

}  // namespace seedbed::agent
