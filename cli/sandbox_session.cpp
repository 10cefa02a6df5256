#include "cli/sandbox_session.h"

#include <cstdio>
#include <iostream>

#include "base/text.h"
#include "cli/box_arguments.h"
#include "sandbox/hosts/python_host.h"
#include "sandbox/hosts/shell_host.h"

namespace seedbed::cli {
namespace {

using sandbox::Milliseconds;
using schemas::Value;

constexpr std::size_t kMostLine = 4 << 20;

Value bad_request(const std::string& found) {
  return Value::object().set(
      "error",
      "found " + found +
          ", wanted {\"run\": TEXT, \"wall_ms\"?: N}, {\"read\": PATH}, {\"write\": PATH, "
          "\"text\": TEXT}, {\"replace\": PATH, \"from\": TEXT, \"to\": TEXT} or {\"list\": PATH}");
}

// One box with what stays in it.
class Session {
 public:
  Session(std::string host, std::int64_t wall_ms) : host_(std::move(host)), wall_ms_(wall_ms) {}

  Step open(std::unique_ptr<sandbox::LiveBox> box, const std::string& warm) {
    work_ = box->work();
    if (host_ == "shell") {
      SEEDBED_TRY(shell_, sandbox::ShellHost::open(std::move(box), {}));
      return std::nullopt;
    }
    sandbox::PythonHost::Options options;
    for (auto& module : split(warm, ','))
      if (!module.empty()) options.warm.push_back(std::move(module));
    SEEDBED_TRY(python_, sandbox::PythonHost::open(std::move(box), std::move(options)));
    return std::nullopt;
  }

  Result<Value> answer(const Value& request) {
    const Value* wall = request.find("wall_ms");
    const Milliseconds time(wall != nullptr && wall->is_int() && wall->as_int() > 0 ? wall->as_int()
                                                                                    : wall_ms_);
    const auto text = [&](const char* name) -> std::optional<std::string> {
      const Value* value = request.find(name);
      if (value == nullptr || !value->is_string()) return std::nullopt;
      return value->as_string();
    };
    if (const auto command = text("run"))
      return shell_ != nullptr ? run_shell(*command, time) : run_python(*command, time);
    const sandbox::WorkFiles files(work_, 4 << 20);
    if (const auto path = text("read")) return file(files.read(*path), true);
    if (const auto path = text("list")) return file(files.list(*path), true);
    if (const auto path = text("write"); path && text("text"))
      return file(files.write(*path, *text("text")), false);
    if (const auto path = text("replace"); path && text("from") && text("to"))
      return file(files.replace(*path, *text("from"), *text("to")), false);
    return bad_request(dump(request).substr(0, 200));
  }

 private:
  static Value file(const sandbox::FileReply& reply, bool with_text) {
    Value out = Value::object();
    if (reply.error != 0) return out.set("error", reply.why);
    if (with_text) out.set("text", replace_invalid_utf8(reply.text));
    return out.set("bytes", static_cast<std::int64_t>(reply.bytes));
  }

  Result<Value> run_shell(const std::string& command, Milliseconds time) {
    SEEDBED_TRY(const auto reply, shell_->run(command, time));
    Value out = Value::object();
    out.set("end",
            std::string(sandbox::enum_names(reply.end)[static_cast<std::size_t>(reply.end)]));
    out.set("exit_code", reply.exit_code).set("output", replace_invalid_utf8(reply.output));
    out.set("output_bytes", static_cast<std::int64_t>(reply.output_bytes))
        .set("directory", replace_invalid_utf8(reply.directory));
    return out.set("wall_us", reply.wall_us);
  }

  Result<Value> run_python(const std::string& code, Milliseconds time) {
    SEEDBED_TRY(const auto reply, python_->run(code, time));
    Value out = Value::object();
    out.set("end",
            std::string(sandbox::enum_names(reply.end)[static_cast<std::size_t>(reply.end)]));
    out.set("value", reply.value).set("error", reply.error);
    out.set("output", replace_invalid_utf8(reply.output))
        .set("errors", replace_invalid_utf8(reply.errors));
    out.set("output_bytes", static_cast<std::int64_t>(reply.output_bytes));
    return out.set("wall_us", reply.wall_us);
  }

  std::string host_;
  std::int64_t wall_ms_;
  std::unique_ptr<sandbox::ShellHost> shell_;
  std::unique_ptr<sandbox::PythonHost> python_;
  int work_ = -1;
};

// For people: what was said, and how it ended where that is not plain.
void show(Output& out, const Value& answer) {
  for (const char* name : {"output", "errors", "text", "value", "error"}) {
    std::string text = answer.text(name);
    if (text.empty()) continue;
    if (text.back() != '\n') text += '\n';
    out.raw(text);
  }
  const std::string end = answer.text("end");
  const Value* code = answer.find("exit_code");
  if ((!end.empty() && end != "done") || (code != nullptr && !(*code == Value(0))))
    out.status((end == "done" ? "exit code" : end) + (code == nullptr ? "" : " " + dump(*code)));
}

}  // namespace

Result<int> cmd_sandbox_session(Context& context, const Words& words) {
  BoxArguments arguments;
  std::string host = "shell", warm;
  std::int64_t wall_ms = 30'000;
  Options options(
      "sandbox session",
      "a shell or a Python that stays in a jail: each line of standard input is a request",
      "printf 'cd /tmp\\npwd\\n' | seedbed sandbox session");
  options.choice("--host", host, {"shell", "python"}, "bash, or Python as at its prompt");
  options.integer("--wall-ms", wall_ms, 1, 86'400'000, "of a request, where it names no other");
  options.text("--warm", warm, "A,B",
               "python: modules that are imported before the session begins");
  arguments.add_to(options);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help())
    return context.out.raw(options.help() +
                           "\nA request is text to run, or a JSON object: {\"run\": TEXT, "
                           "\"wall_ms\": N}, {\"read\": PATH}, {\"list\": PATH},\n"
                           "{\"write\": PATH, \"text\": TEXT}, {\"replace\": PATH, \"from\": TEXT, "
                           "\"to\": TEXT}; paths are below /work.\n"
                           "With --json the answer is an object a line.\n"),
           0;
  const bool json = arguments.common.json;
  SEEDBED_TRY(auto box, arguments.open());
  Session session(host, wall_ms);
  if (auto error = session.open(std::move(box), warm)) return *std::move(error);
  for (std::string line; std::getline(std::cin, line);) {
    if (line.size() > kMostLine)
      return make_error(Where::usage, "standard input", "a line",
                        "found " + std::to_string(line.size()) + " bytes, wanted at most 4 MiB",
                        "write a file with {\"write\": ...} and run that");
    if (line.empty()) continue;
    Value request = Value::object();
    if (line.front() == '{' && json) {
      auto read = schemas::parse_json(line);
      if (!read.ok() || !read->is_object()) {
        context.out.raw(dump(bad_request("no JSON object")) + "\n");
        continue;
      }
      request = *std::move(read);
    } else {
      request.set("run", line);
    }
    SEEDBED_TRY(const auto answer, session.answer(request));
    if (json)
      context.out.raw(dump(answer) + "\n");
    else
      show(context.out, answer);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace seedbed::cli
