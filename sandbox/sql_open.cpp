// The SQL tool host inside a jail.
#include "sandbox/jail.h"
#include "sandbox/libexec.h"
#include "sandbox/sql_client.h"

namespace seedbed::sandbox {

Result<std::unique_ptr<ToolHost>> open_sql_host(Broker& broker, const JailLimits& limits) {
  SEEDBED_TRY(const std::string program, libexec_path("seedbed-sql-host"));
  SEEDBED_TRY(Jail opened, broker.open(program, {"seedbed-sql-host"}, limits));
  auto jail = std::make_shared<Jail>(std::move(opened));
  HostProcess process{jail->socket(), [jail] { jail->kill(); }, [jail] { return jail->cause(); },
                      jail};
  return std::unique_ptr<ToolHost>(std::make_unique<SqlHostClient>(std::move(process)));
}

}  // namespace seedbed::sandbox
