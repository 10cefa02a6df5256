// What a model folder says about itself.
#include "cli/shipped_model.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace seedbed::cli {
namespace {

TEST(ShippedModel, AModelSaysWhetherItThinks) {
  const auto folder = std::filesystem::temp_directory_path() / "seedbed-thinks";
  std::filesystem::create_directories(folder);
  const auto file = folder / "generation_config.json";
  const auto says = [&](const char* text) {
    std::ofstream(file) << text;
    return thinks(folder.string());
  };
  std::filesystem::remove(file);
  EXPECT_TRUE(*thinks(folder.string())) << "a model that says nothing thinks";
  EXPECT_TRUE(*says(R"({"temperature": 1.0})"));
  EXPECT_TRUE(*says(R"({"thinking": true})"));
  EXPECT_FALSE(*says(R"({"thinking": false, "temperature": 1.0})"));
  for (const char* wrong : {"", "[]", R"({"thinking": "off"})", R"({"thinking": null})", "{"})
    EXPECT_FALSE(says(wrong).ok()) << wrong;
  std::filesystem::remove_all(folder);
}

TEST(ShippedModel, AFolderThatIsNamedIsTakenAsItIs) {
  EXPECT_EQ(*model_or_shipped("/nowhere/m"), "/nowhere/m");
}

}  // namespace
}  // namespace seedbed::cli
