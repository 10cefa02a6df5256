#include "cli/shipped_model.h"

#include <cstdlib>
#include <filesystem>
#include <vector>

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

}  // namespace seedbed::cli
