#include <sys/utsname.h>

#include "cli/common.h"
#include "schemas/reflect.h"

namespace seedbed::cli {

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
  if (auto broker = start_broker(common.isolation); !broker.ok()) refused = broker.error().message;
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
  schemas::Value out = schemas::Value::object();
  out.set("layers", std::move(list))
      .set("isolation", common.isolation)
      .set("available", refused.empty())
      .set("refused", refused);
  out.set("kernel", std::string(machine.release)).set("cores", core_count());
  context.out.object(out);
  return refused.empty() ? 0 : 1;
}

}  // namespace seedbed::cli
