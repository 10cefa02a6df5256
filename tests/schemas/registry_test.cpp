#include "schemas/registry.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "schemas/json_schema.h"
#include "schemas/reflect.h"
#include "schemas/task.h"
#include "schemas/trajectory.h"

namespace seedbed::schemas {
namespace {

std::filesystem::path golden(std::string_view name) {
  return std::filesystem::path(SEEDBED_SOURCE_DIR) / "schemas" /
         (std::string(name) + ".schema.json");
}
std::string content(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// SEEDBED_UPDATE_GOLDEN=1 rewrites the files: the difference is then read in review.
TEST(Registry, SchemasAreWhatTheGoldenFilesSay) {
  const char* update = std::getenv("SEEDBED_UPDATE_GOLDEN");
  for (const auto& entry : schema_registry()) {
    const auto printed = dump_pretty(entry.schema());
    if (update != nullptr && std::string_view(update) == "1")
      std::ofstream(golden(entry.name), std::ios::binary) << printed;
    EXPECT_EQ(content(golden(entry.name)), printed)
        << golden(entry.name) << ": run with SEEDBED_UPDATE_GOLDEN=1 if the change is meant";
  }
}

TEST(Registry, EveryGoldenFileBelongsToARecord) {
  for (const auto& file : std::filesystem::directory_iterator(golden("x").parent_path())) {
    const auto name = file.path().filename().string();
    const auto end = name.find(".schema.json");
    if (end == std::string::npos) continue;
    EXPECT_TRUE(schema_by_name(name.substr(0, end)).ok()) << name;
  }
}

TEST(Registry, EverySchemaCompilesAndTakesWhatTheRecordWrites) {
  for (const auto& entry : schema_registry()) {
    const auto compiled = JsonSchema::compile(entry.schema());
    EXPECT_TRUE(compiled.ok()) << entry.name << ": "
                               << (compiled.ok() ? "" : compiled.error().message);
  }
  const auto takes = [](std::string_view name, const Value& record) {
    const auto violations = JsonSchema::compile(*schema_by_name(name))->validate(record);
    EXPECT_TRUE(violations.empty())
        << name << ": " << violations[0].pointer << ": " << violations[0].message;
  };
  TaskSpec task;
  task.user = UserScript{{{{"when"}, "on Monday"}}, "no idea", 3};
  takes("task_spec", to_value(task));
  Trajectory trajectory;
  trajectory.turns.push_back(
      {"assistant", "", "", {{"c1", "t", Value::object(), {}, false, false}}, {1, 2}, {-0.5, -1}});
  takes("trajectory", to_value(trajectory));
}

TEST(Registry, AnUnknownNameGetsTheNearest) {
  const auto r = schema_by_name("trajectry");
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error().where, Where::usage);
  EXPECT_NE(r.error().message.find("did you mean 'trajectory'?"), std::string::npos)
      << r.error().message;
  EXPECT_FALSE(schema_by_name("").ok());
  EXPECT_FALSE(schema_by_name(std::string(1'000'000, 'x')).ok());
}

}  // namespace
}  // namespace seedbed::schemas
