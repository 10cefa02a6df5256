// Small hand-written environments for the tests of the SQL tool host.
#pragma once
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "sandbox/sql_client.h"

namespace seedbed::sandbox {

inline std::string image_of(const std::string& sql) {
  sqlite3* db = nullptr;
  EXPECT_EQ(sqlite3_open(":memory:", &db), SQLITE_OK);
  char* said = nullptr;
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &said), SQLITE_OK)
      << (said == nullptr ? "" : said);
  sqlite3_free(said);
  sqlite3_int64 size = 0;
  unsigned char* bytes = sqlite3_serialize(db, "main", &size, 0);
  std::string image(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  sqlite3_free(bytes);
  sqlite3_close(db);
  return image;
}

inline schemas::Value json(const std::string& text) {
  auto v = schemas::parse_json(text);
  EXPECT_TRUE(v.ok()) << text << (v.ok() ? "" : v.error().message);
  return v.ok() ? *v : schemas::Value();
}

struct ToolSpec {
  std::string name;
  std::string properties = {};  // JSON object of the input schema's properties
  std::string required = {};    // JSON array
  std::vector<schemas::ProgramStep> steps = {};
  std::string result = "SELECT 1 AS done";
  schemas::Shape shape = schemas::Shape::object;
  std::optional<int> page_size = std::nullopt;
};

inline schemas::Tool make_tool(const ToolSpec& spec) {
  schemas::Tool tool;
  tool.name = spec.name;
  tool.description = spec.name;
  tool.input = json(R"({"type":"object","additionalProperties":false,"properties":)" +
                    (spec.properties.empty() ? "{}" : spec.properties) + R"(,"required":)" +
                    (spec.required.empty() ? "[]" : spec.required) + "}");
  tool.program = {spec.steps, spec.result, spec.shape, spec.page_size};
  return tool;
}

inline schemas::ProgramStep let(const std::string& name, const std::string& sql) {
  schemas::ProgramStep s;
  s.let = name;
  s.sql = sql;
  return s;
}
inline schemas::ProgramStep require(const std::string& sql,
                                    const std::string& code,
                                    const std::string& message) {
  schemas::ProgramStep s;
  s.require = sql;
  s.code = code;
  s.message = message;
  return s;
}
inline schemas::ProgramStep run(const std::string& sql) {
  schemas::ProgramStep s;
  s.run = sql;
  return s;
}
inline schemas::ProgramStep each(const std::string& sql, std::vector<std::string> body) {
  schemas::ProgramStep s;
  s.each = sql;
  s.body = std::move(body);
  return s;
}
inline schemas::ProgramStep when(const std::string& name, schemas::ProgramStep step) {
  step.when = name;
  return step;
}

// A host with one environment loaded.
class SqlHostTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = open_unjailed_sql_host_for_tests();
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    host_ = *std::move(opened);
  }
  Step try_load(const std::string& sql, const std::vector<ToolSpec>& tools) {
    image_ = image_of(sql);
    env_ = schemas::Environment();
    env_.now_minutes = 1000;
    env_.image_hash = content_hash(image_);
    for (const auto& t : tools) env_.tools.push_back(make_tool(t));
    return host_->load(env_, image_);
  }
  void load(const std::string& sql, const std::vector<ToolSpec>& tools) {
    const auto e = try_load(sql, tools);
    ASSERT_FALSE(e.has_value()) << e->message;
  }
  std::string refusal(const std::string& sql, const std::vector<ToolSpec>& tools) {
    const auto e = try_load(sql, tools);
    if (!e) return "loaded";
    EXPECT_EQ(e->where, Where::tool) << e->message;
    return e->message;
  }
  schemas::ToolResult call(const std::string& tool,
                           const std::string& args = "{}",
                           int wall_ms = 5000) {
    auto r = host_->call({tool, json(args)}, wall_ms);
    EXPECT_TRUE(r.ok()) << (r.ok() ? "" : r.error().message);
    return r.ok() ? *r : schemas::ToolResult{schemas::End::crashed, ""};
  }
  std::string out(const std::string& tool, const std::string& args = "{}") {
    return call(tool, args).out;
  }
  std::vector<schemas::RowChange> changes() {
    auto c = host_->changes();
    EXPECT_TRUE(c.ok()) << (c.ok() ? "" : c.error().message);
    return c.ok() ? *c : std::vector<schemas::RowChange>();
  }
  std::string digest() {
    auto d = host_->digest();
    EXPECT_TRUE(d.ok()) << (d.ok() ? "" : d.error().message);
    return d.ok() ? *d : "";
  }
  std::int64_t stat(const std::string& name) {
    auto s = host_->stats();
    EXPECT_TRUE(s.ok()) << (s.ok() ? "" : s.error().message);
    return s.ok() ? json(*s).integer(name, -1) : -1;
  }
  void reset() {
    const auto e = host_->reset();
    EXPECT_FALSE(e.has_value()) << e->message;
  }

  std::unique_ptr<SqlHostClient> host_;
  std::string image_;
  schemas::Environment env_;
};

}  // namespace seedbed::sandbox
