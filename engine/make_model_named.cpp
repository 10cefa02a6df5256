#include "base/text.h"
#include "engine/make_model.h"

namespace seedbed {
// Made from bench/configs/ (cmake/embed.cmake).
extern const char kConfigNano[], kConfigSmall[], kConfigMid[], kConfigDeepseekV32[];
}  // namespace seedbed

namespace seedbed::engine {
namespace {

struct Named {
  const char* name;
  const char* text;
};
constexpr Named kNamed[] = {
    {"nano", kConfigNano},
    {"small", kConfigSmall},
    {"mid", kConfigMid},
    {"deepseek-v3.2", kConfigDeepseekV32},
};

}  // namespace

std::vector<std::string> named_configs() {
  std::vector<std::string> out;
  for (const auto& named : kNamed) out.emplace_back(named.name);
  return out;
}

Result<ModelConfig> named_config(std::string_view name) {
  for (const auto& named : kNamed) {
    if (name != named.name) continue;
    SEEDBED_TRY(const auto json, schemas::parse_json(named.text));
    return parse_model_config(json, name);
  }
  const auto near = nearest(name, named_configs());
  return make_error(Where::config, "config", name,
                    "is unknown; there are " + join(named_configs(), ", "),
                    near.empty() ? "give one of them" : "did you mean '" + near + "'?");
}

}  // namespace seedbed::engine
