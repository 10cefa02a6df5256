#include "cli/eval_suites.h"

#include <algorithm>
#include <filesystem>

#include "base/hash.h"
#include "base/text.h"
#include "envgen/general/pack.h"

namespace seedbed::cli {
namespace {

constexpr int kLevels = 10;
constexpr std::int64_t kEnvironments = 100, kTasksEach = 4;
// Beyond what --seed takes, so that no training store is made from one by accident.
constexpr std::uint64_t kFirstSeed = 10'000'000'000'000'000'000U;

Suite suite(const std::string& name, std::uint64_t number, const std::string& levels) {
  Suite out;
  out.name = name;
  auto& r = out.request;
  r.seed = std::to_string(kFirstSeed + number);
  r.envs = kEnvironments;
  r.tasks_per_env = kTasksEach;
  r.split = "train";
  if (auto mix = schemas::mix_of_levels(levels); mix.ok()) r.mix = *std::move(mix);
  return out;
}

std::vector<Suite> all_suites() {
  std::vector<Suite> out;
  const auto compact = [](Suite s) {
    s.request.tools = schemas::ToolRange{.least = 8, .most = 12};
    return s;
  };
  const auto apart = [](Suite s) {
    s.request.split = "heldout";
    return s;
  };
  for (int level = 1; level <= kLevels; ++level) {
    const auto text = std::to_string(level);
    out.push_back(suite("general-l" + text, static_cast<std::uint64_t>(level), text));
  }
  for (int level = 1; level <= kLevels; ++level) {
    const auto text = std::to_string(level);
    out.push_back(
        compact(suite("compact-l" + text, 100 + static_cast<std::uint64_t>(level), text)));
  }
  out.push_back(apart(suite("heldout", 200, "1-2")));
  out.push_back(compact(apart(suite("compact-heldout", 201, "1-2"))));
  return out;
}

}  // namespace

std::vector<std::string> suite_names() {
  std::vector<std::string> out;
  for (const auto& s : all_suites()) out.push_back(s.name);
  return out;
}

Result<std::vector<Suite>> suites_of(const std::string& list) {
  const auto all = all_suites();
  std::vector<Suite> out;
  const auto take = [&](const Suite& s) {
    const bool there = std::any_of(out.begin(), out.end(),
                                   [&](const Suite& other) { return other.name == s.name; });
    if (!there) out.push_back(s);
  };
  for (const auto& name : split(list, ',')) {
    bool found = false;
    for (const auto& s : all) {
      const bool of_group =
          (name == "general" || name == "compact") && s.name.starts_with(name + "-l");
      if (s.name != name && !of_group) continue;
      take(s);
      found = true;
    }
    if (found) continue;
    auto names = suite_names();
    names.insert(names.end(), {"general", "compact"});
    const auto near = nearest(name, names);
    return make_error(Where::usage, "seedbed eval", "--suite",
                      "found '" + name +
                          "', wanted general-l1 to general-l10, compact-l1 to compact-l10, "
                          "heldout, compact-heldout, or general or compact for ten levels",
                      near.empty() ? "separate names with commas" : "did you mean '" + near + "'?");
  }
  return out;
}

Result<std::string> suite_folder(const std::string& given) {
  std::string folder = given;
  if (folder.empty()) {
    const auto cache = environment_variable("XDG_CACHE_HOME");
    const auto home = environment_variable("HOME");
    if (cache.empty() && home.empty())
      return make_error(Where::usage, "seedbed eval", "--store",
                        "absent, and neither XDG_CACHE_HOME nor HOME says where caches lie",
                        "name a folder with --store DIR");
    folder = (cache.empty() ? home + "/.cache" : cache) + "/seedbed/eval";
  }
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed || !std::filesystem::is_directory(folder))
    return make_error(Where::usage, "seedbed eval", "'" + folder + "'",
                      "cannot be made or is no folder" + (failed ? ": " + failed.message() : ""),
                      "name another folder with --store DIR");
  return folder;
}

std::string suite_path(const std::string& folder, const Suite& suite, const envgen::Packs& packs) {
  const auto& r = suite.request;
  const schemas::GenRequest request{.generator = envgen::kGeneratorVersion,
                                    .family = r.family,
                                    .seed = r.seed,
                                    .envs = r.envs,
                                    .tasks_per_env = r.tasks_per_env,
                                    .split = r.split,
                                    .packs = packs.hash,
                                    .mix = r.mix,
                                    .tools = r.tools};
  return folder + "/" + suite.name + "-" +
         content_hash(schemas::dump_record(request)).substr(0, 12) + ".db";
}

std::string held_out(const envgen::Packs& packs, const schemas::Recipe& recipe) {
  const bool lexicon =
      std::any_of(packs.lexicons.begin(), packs.lexicons.end(),
                  [&](const auto& x) { return x.heldout && x.name == recipe.lexicon; });
  const bool mechanism =
      std::any_of(packs.mechanisms.begin(), packs.mechanisms.end(), [&](const auto& m) {
        return m.heldout && std::find(recipe.mechanisms.begin(), recipe.mechanisms.end(), m.name) !=
                                recipe.mechanisms.end();
      });
  if (lexicon && mechanism) return "both";
  if (lexicon) return "lexicon";
  if (mechanism) return "mechanism";
  return recipe.split == "heldout" ? "class" : "";
}

}  // namespace seedbed::cli
