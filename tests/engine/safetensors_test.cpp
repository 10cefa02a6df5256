#include "engine/safetensors.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>

#include "checkpoint_kit.h"

namespace seedbed::engine {
namespace {

using kit::Folder;

std::string refusal(const std::string& json, std::uint64_t payload = 16) {
  const auto header = parse_safetensors_header(json, payload, "a.safetensors");
  return header.ok() ? "" : header.error().message;
}
std::string entry(const char* name, const char* dtype, const char* shape, const char* offsets) {
  return std::string("\"") + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape +
         R"(,"data_offsets":)" + offsets + "}";
}
std::string one(const char* dtype, const char* shape, const char* offsets) {
  return "{" + entry("t", dtype, shape, offsets) + "}";
}
bool says(const std::string& message, const std::string& part) {
  return message.find(part) != std::string::npos;
}
std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(Safetensors, ReadsAHeader) {
  const auto header = parse_safetensors_header(
      R"({"__metadata__":{"format":"pt"},)" + entry("b", "BF16", "[2,2]", "[8,16]") + "," +
          entry("a", "F32", "[2]", "[0,8]") + "," + entry("none", "F32", "[0,4]", "[16,16]") +
          "}   ",
      16, "x");
  ASSERT_TRUE(header.ok()) << header.error().message;
  ASSERT_EQ(header->tensors.size(), 3U);
  EXPECT_EQ(header->tensors[0].name, "a");  // by offset
  EXPECT_EQ(header->tensors[1].dtype, StoredType::bf16);
  EXPECT_EQ(header->tensors[1].shape, (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(header->tensors[2].elements(), 0U);
  EXPECT_EQ(header->metadata[0].second, "pt");
}

TEST(Safetensors, RefusesHostileHeaders) {
  const struct {
    std::string json, part;
  } rows[] = {
      {"", "no JSON"},
      {"[]", "no JSON object"},
      {"{", "no JSON"},
      {R"({"t":3})", "'t' is no object"},
      {R"({"t":{"dtype":"F32","shape":[4]}})", "no object of dtype"},
      {R"({"t":{"dtype":"F32","shape":[4],"data_offsets":[0,16],"x":1}})", "no object of dtype"},
      {R"({"__metadata__":{"a":1}})", "__metadata__"},
      {one("F99", "[4]", "[0,16]"), "unknown dtype 'F99'"},
      {one("F32", "[-4]", "[0,16]"), "no size"},
      {one("F32", "[4.0]", "[0,16]"), "no size"},
      {one("F32", "[4]", "[16,0]"), "ascending"},
      {one("F32", "[4]", "[0]"), "ascending"},
      {one("F32", "[4]", "[-16,0]"), "ascending"},
      {one("F32", "[4]", "[0,17]"), "payload"},
      {one("F32", "[4]", "[9223372036854775791,9223372036854775807]"), "payload"},
      {one("F32", "[4]", "[0,99999999999999999999999]"), "ascending"},
      {one("F32", "[3]", "[0,16]"), "wanted 12"},
      {one("F32", "[4294967296,4294967296,4]", "[0,16]"), "overflows"},
      {one("F32", "[1,1,1,1,1,1,1,1,4]", "[0,16]"), "dimensions"},
      {"{" + entry("a", "F32", "[2]", "[0,8]") + "," + entry("b", "F32", "[3]", "[4,16]") + "}",
       "overlap"},
      {"{" + entry("a", "F32", "[2]", "[0,8]") + "," + entry("b", "F32", "[2]", "[0,8]") + "}",
       "overlap"},
      {"{" + entry("a", "F32", "[1]", "[0,4]") + "," + entry("b", "F32", "[2]", "[8,16]") + "}",
       "gap"},
      {one("F32", "[2]", "[0,8]"), "wanted both equal"},
      {"{" + entry("a", "F32", "[2]", "[0,8]") + "," + entry("a", "F32", "[2]", "[8,16]") + "}",
       "no JSON"},  // a duplicate name
  };
  for (const auto& row : rows) {
    const auto message = refusal(row.json);
    EXPECT_TRUE(says(message, row.part)) << row.json << "\n" << message;
    EXPECT_TRUE(says(message, "a.safetensors")) << message;
  }
}

TEST(Safetensors, RefusesBrokenFiles) {
  const Folder folder;
  const auto path = folder / "a.safetensors";
  const auto whole = kit::header_bytes(one("F32", "[4]", "[0,16]")) + std::string(16, 'x');
  const auto opens = [&](const std::string& bytes) {
    kit::write_bytes(path, bytes);
    const auto file = SafetensorsFile::open(path);
    EXPECT_EQ(file.ok(), read_safetensors_header(path).ok());
    return file.ok() ? "" : file.error().message;
  };
  EXPECT_EQ(opens(whole), "");
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(opens(whole.substr(0, size)), "") << "cut at " << size;
  EXPECT_NE(opens(whole + "y"), "");
  auto huge = whole;
  huge[6] = 1;  // a header of 2^48 bytes
  EXPECT_TRUE(says(opens(huge), "header of"));
  EXPECT_FALSE(SafetensorsFile::open(folder / "absent.safetensors").ok());
  EXPECT_FALSE(SafetensorsFile::open(folder.path()).ok());
}

TEST(Safetensors, AHeaderOverTheBoundIsRefusedWithoutReadingIt) {
  const Folder folder;
  const auto path = folder / "big.safetensors";
  std::string length(8, '\0');
  const std::uint64_t n = 101U << 20;
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(n >> (8 * i) & 0xff);
  kit::write_bytes(path, length);
  ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(n + 64)), 0);  // sparse
  const auto header = read_safetensors_header(path);
  ASSERT_FALSE(header.ok());
  EXPECT_TRUE(says(header.error().message, "100 MiB"));
}

TEST(Safetensors, WhatIsWrittenReadsBack) {
  const Folder folder;
  const std::vector<PlannedTensor> tensors = {
      {"codes", StoredType::f8_e4m3, {3, 5}},
      {"wide", StoredType::f32, {2}},
      {"half", StoredType::bf16, {3}},
      {"last", StoredType::f32, {6}},
  };
  const std::string values[] = {"abcdefghijklmno", "12345678", "ABCDEF",
                                "abcdefghijklmnopqrstuvwx"};
  {
    auto writer = SafetensorsWriter::create(folder.path(), tensors, 30);
    ASSERT_TRUE(writer.ok()) << writer.error().message;
    // Backwards and in pieces.
    for (std::size_t i = 4; i-- > 0;) {
      const auto half = values[i].size() / 2;
      ASSERT_FALSE(writer->put(i, half, bytes_of(values[i]).subspan(half)));
      ASSERT_FALSE(writer->put(i, 0, bytes_of(values[i]).first(half)));
    }
    ASSERT_FALSE(writer->finish());
  }
  std::map<std::string, std::string> found;
  for (const char* name :
       {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}) {
    const auto file = SafetensorsFile::open(folder / name);
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(file->header().payload_begin % 8, 0U);
    EXPECT_EQ(file->header().metadata[0].first, "format");
    for (const auto& tensor : file->header().tensors) {
      EXPECT_EQ(tensor.begin % stored_type_bytes(tensor.dtype), 0U) << tensor.name;
      found[tensor.name] = std::string(reinterpret_cast<const char*>(file->data(tensor)),
                                       static_cast<std::size_t>(tensor.bytes()));
    }
  }
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(found[tensors[i].name], values[i]);
  const auto index = schemas::read_json_file(folder / "model.safetensors.index.json");
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(index->find("metadata")->integer("total_size"), 53);
  EXPECT_EQ(index->find("weight_map")->text("last"), "model-00002-of-00002.safetensors");
}

TEST(Safetensors, AnEarlyEndLeavesNothingThatLooksWhole) {
  const Folder folder;
  {
    auto writer = SafetensorsWriter::create(folder.path(), {{"a", StoredType::f32, {2}}}, 100);
    ASSERT_TRUE(writer.ok());
    EXPECT_FALSE(std::filesystem::is_empty(folder.path()));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Safetensors, AFolderWithWeightsIsNotWrittenInto) {
  const Folder folder;
  kit::write_bytes(folder / "model.safetensors", "x");
  const auto writer = SafetensorsWriter::create(folder.path(), {{"a", StoredType::f32, {2}}}, 100);
  ASSERT_FALSE(writer.ok());
  EXPECT_TRUE(says(writer.error().message, "already holds model.safetensors"));
  EXPECT_FALSE(SafetensorsWriter::create("/proc/none", {}, 100).ok());
}

}  // namespace
}  // namespace seedbed::engine
