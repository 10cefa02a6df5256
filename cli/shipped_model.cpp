#include "cli/shipped_model.h"

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "schemas/value.h"

namespace seedbed::cli {
namespace {

namespace fs = std::filesystem;
constexpr const char* kName = "models/sprout";

bool is_model(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_regular_file(folder / "config.json", ignored);
}

}  // namespace

Result<std::string> model_or_shipped(const std::string& given) {
  if (!given.empty()) return given;
  std::vector<fs::path> places;
  if (const char* named = std::getenv("SEEDBED_MODEL"); named != nullptr && *named != '\0') {
    places.emplace_back(named);  // alone: a wrong name must not be passed over
  } else {
    std::error_code failed;
    const fs::path own = fs::read_symlink("/proc/self/exe", failed).parent_path();
    if (!failed)
      for (const char* way : {".", "../..", "../share/seedbed"})
        places.push_back((own / way / kName).lexically_normal());
    places.push_back(fs::path(SEEDBED_SOURCES) / kName);
  }
  std::string tried;
  for (const fs::path& place : places) {
    if (is_model(place)) return place.string();
    tried += (tried.empty() ? "" : ", ") + place.string();
  }
  return make_error(Where::config, "model", "the one that comes with the program",
                    "no config.json in " + tried,
                    "name a model folder with --model, or in SEEDBED_MODEL");
}

Result<bool> thinks(const std::string& model_dir) {
  const std::string file = (fs::path(model_dir) / "generation_config.json").string();
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return true;
  SEEDBED_TRY(const auto json, schemas::read_json_file(file));
  const schemas::Value* said = json.is_object() ? json.find("thinking") : nullptr;
  if (json.is_object() && said == nullptr) return true;
  if (said == nullptr || !said->is_bool())
    return make_error(Where::model, "generation config", file,
                      said == nullptr ? "is no object" : "'thinking' is neither true nor false",
                      "correct it, or say --thinking on or off");
  return said->as_bool();
}

}  // namespace seedbed::cli
