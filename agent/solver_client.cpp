// The scripted solvers of tasks as clients. A solver is a function that calls tools; a client is
// asked turn by turn. So the function is run anew for each reply with the results so far: it is
// deterministic, asks for the same calls again and gets them from memory, and ends with `pending`
// at the first that was not made yet.
#include "agent/scripted.h"
#include "tasks/solvers/solve.h"

namespace seedbed::agent {
namespace {

namespace solvers = tasks::solvers;

class SolverClient final : public ModelClient {
 public:
  explicit SolverClient(std::string name) : name_(std::move(name)) {}

  void begin(const EpisodeStart& start) override {
    if (start.task.environment_id != environment_id_) catalog_.reset();
    environment_id_ = start.task.environment_id;
  }

  Result<Reply> reply(const View& view) override {
    if (!catalog_) catalog_ = solvers::catalog_of(view.environment);
    std::vector<const schemas::MadeCall*> made;
    std::vector<const std::string*> heard;  // the user's replies
    for (std::size_t i = 2; i < view.turns.size(); ++i) {
      for (const auto& call : view.turns[i].calls)
        if (!call.reserved) made.push_back(&call);
      if (view.turns[i].role == "user") heard.push_back(&view.turns[i].text);
    }
    Reply out;
    if (!view.turns.back().calls.empty() && view.turns.back().calls.back().reserved) {
      out.stop = schemas::Stop::stopped;  // the submission was not taken, and there is no other
      out.stop_detail = "the submission was not valid";
      return out;
    }
    std::size_t next_call = 0, next_reply = 0;
    Calls wanted;
    std::optional<std::string> message;
    const Error pending{Where::model, "pending"};
    const solvers::Ways ways{
        .call = [&](const std::vector<schemas::ToolCall>& calls)
            -> Result<std::vector<schemas::ToolResult>> {
          std::vector<schemas::ToolResult> results;
          for (const auto& call : calls) {
            if (next_call < made.size())
              results.push_back(made[next_call++]->result);
            else
              wanted.calls.push_back({"", call.tool, call.args});
          }
          if (!wanted.calls.empty()) return pending;
          return results;
        },
        .say = [&](const std::string& text) -> Result<std::optional<std::string>> {
          if (next_reply < heard.size()) return std::optional<std::string>(*heard[next_reply++]);
          message = text;
          return pending;
        }};
    const solvers::Sight sight{*catalog_, view.task.prompt, view.task.submit_schema};
    auto ending = solvers::solve(name_, sight, ways);
    if (ending.ok()) {
      out.what = ending_calls(*std::move(ending), out);
    } else if (message) {
      out.what = Message{*std::move(message), ""};
    } else if (!wanted.calls.empty()) {
      out.what = std::move(wanted);
    } else {
      return std::move(ending).error();
    }
    return out;
  }

 private:
  static Calls ending_calls(solvers::Ending ending, Reply& out) {
    if (ending.kind == solvers::Ending::Kind::stop) {
      out.stop = schemas::Stop::stopped;
      out.stop_detail = "the solver gave up";
      return {};
    }
    const bool submits = ending.kind == solvers::Ending::Kind::submit;
    Calls calls;
    calls.calls.push_back({"", std::string(submits ? schemas::kSubmitTool : schemas::kRefuseTool),
                           std::move(ending.args)});
    return calls;
  }

  std::string name_, environment_id_;
  std::optional<solvers::Catalog> catalog_;
};

}  // namespace

std::unique_ptr<ModelClient> solver_client(std::string_view policy) {
  if (!solvers::is_solver(policy)) return nullptr;
  return std::make_unique<SolverClient>(std::string(policy));
}

}  // namespace seedbed::agent
