#include <sys/utsname.h>

#include <array>
#include <cstdio>

#include "base/clock.h"
#include "cli/common.h"
#include "sandbox/box_exec.h"
#include "schemas/reflect.h"

namespace seedbed::cli {
namespace {

// A jail for any program, tried whole: opened, and /bin/true run in it.
struct BoxTrial {
  std::string refused;
  double open_ms = 0, run_ms = 0;
};

BoxTrial try_box(const std::string& isolation) {
  BoxTrial out;
  const auto since = [](std::int64_t begin) {
    return static_cast<double>(monotonic_us() - begin) / 1000;
  };
  const auto boxes = sandbox::Boxes::start(isolation_of(isolation));
  if (!boxes.ok()) return {boxes.error().message};
  const auto begin = monotonic_us();
  const auto box = (*boxes)->open(sandbox::BoxSpec{});
  if (!box.ok()) return {box.error().message};
  out.open_ms = since(begin);
  sandbox::Command command;
  command.argv = {"/bin/true"};
  const auto running = monotonic_us();
  const auto done = sandbox::execute(**box, command);
  out.run_ms = since(running);
  if (!done.ok()) return {done.error().message};
  if (done->cause != sandbox::ExecCause::exited || done->code != 0)
    out.refused =
        "/bin/true does not run inside: " +
        std::string(sandbox::enum_names(done->cause)[static_cast<std::size_t>(done->cause)]) +
        (done->stage.empty() ? "" : " at " + done->stage);
  return out;
}

}  // namespace

Result<int> cmd_doctor(Context& context, const Words& words) {
  Common common;
  Options options("doctor", "try every layer of the jail on this machine and say what holds",
                  "seedbed doctor --json");
  isolation_option(options, common);
  json_option(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(common.json);

  const auto layers = sandbox::probe_layers();
  std::string refused;
  if (auto jails = start_jails(common.isolation); !jails.ok()) refused = jails.error().message;
  utsname machine = {};
  uname(&machine);

  schemas::Value list = schemas::Value::array();
  Table table{{"layer", "state", "why", "remedy"}, {}};
  for (const auto& layer : layers) {
    table.rows.push_back(
        {layer.name,
         std::string(sandbox::enum_names(layer.state)[static_cast<std::size_t>(layer.state)]),
         layer.why, layer.remedy});
    list.push(schemas::to_value(layer));
  }
  context.out.table(table);
  context.out.line(std::string("\nkernel ") + machine.release + ", " +
                   std::to_string(core_count()) + " cores");
  context.out.line(refused.empty() ? "isolation " + common.isolation + ": can be given"
                                   : "isolation " + common.isolation + ": refused: " + refused);
  const BoxTrial box = try_box(common.isolation);
  std::array<char, 96> took{};
  std::snprintf(took.data(), took.size(), "opened in %.1f ms, /bin/true ran in %.1f ms",
                box.open_ms, box.run_ms);
  context.out.line("jails for any program: " +
                   (box.refused.empty() ? std::string(took.data()) : "refused: " + box.refused));
  schemas::Value out = schemas::Value::object();
  schemas::Value trial = schemas::Value::object();
  trial.set("available", box.refused.empty()).set("refused", box.refused);
  trial.set("open_ms", box.open_ms).set("run_ms", box.run_ms);
  out.set("boxes", std::move(trial));
  out.set("layers", std::move(list))
      .set("isolation", common.isolation)
      .set("available", refused.empty())
      .set("refused", refused);
  out.set("kernel", std::string(machine.release)).set("cores", core_count());
  context.out.object(out);
  return refused.empty() ? 0 : 1;
}

}  // namespace seedbed::cli
