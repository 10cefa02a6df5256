#include "schemas/reflect.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "schemas/environment.h"
#include "schemas/task.h"
#include "schemas/trajectory.h"

namespace seedbed::schemas {
namespace {

enum class Colour : std::uint8_t { red, dark_green };
constexpr std::array<std::string_view, 2> enum_names(Colour) {
  return {"red", "dark_green"};
}

struct Leaf {
  std::string name;
  std::int16_t count = 0;
};
template <class V>
void fields(V&& at, Leaf& x) {
  at("name", x.name, "its name");
  at("count", x.count, "how many");
}

struct Branch {
  std::vector<Leaf> leaves;
  std::optional<Leaf> best;
  Colour colour = Colour::red;
  double weight = 0;
  bool alive = false;
  Value any;
};
template <class V>
void fields(V&& at, Branch& x) {
  at("leaves", x.leaves, "some");
  at("best", x.best, "one, perhaps");
  at("colour", x.colour, "paint");
  at("weight", x.weight, "in kg");
  at("alive", x.alive, "still");
  at("any", x.any, "whatever");
}

const char* const kBranch =
    R"({"leaves":[{"name":"a","count":1},{"name":"b","count":2}],"colour":"dark_green","weight":1.5,"alive":true,"any":{"x":[1]}})";

std::string refusal(std::string_view text) {
  const auto r = parse_record<Branch>(text, "branch.json");
  EXPECT_FALSE(r.ok()) << text;
  return r.ok() ? "" : r.error().message;
}
std::string with(std::string_view from, std::string_view to) {
  const auto out = replace_all(kBranch, from, to);
  EXPECT_NE(out, kBranch);
  return out;
}

TEST(FieldList, ARecordRoundTrips) {
  const auto r = parse_record<Branch>(kBranch, "branch.json");
  ASSERT_TRUE(r.ok()) << r.error().message;
  EXPECT_EQ(r->leaves[1].count, 2);
  EXPECT_EQ(r->colour, Colour::dark_green);
  EXPECT_FALSE(r->best.has_value());
  EXPECT_EQ(dump_record(*r), kBranch);
}

TEST(FieldList, OptionalFieldsMayBeAbsentOrNull) {
  EXPECT_TRUE(parse_record<Branch>(with(R"("colour")", R"("best":null,"colour")"), "f").ok());
  const auto r =
      parse_record<Branch>(with(R"("colour")", R"("best":{"name":"x","count":3},"colour")"), "f");
  ASSERT_TRUE(r.ok());
  EXPECT_EQ(r->best->count, 3);
}

TEST(FieldList, AWrongKindNamesFilePointerFoundAndWanted) {
  EXPECT_EQ(refusal(with(R"("count":2)", R"("count":"two")")),
            "value 'branch.json#/leaves/1/count': found string \"two\", wanted integer; change it "
            "to integer");
  EXPECT_EQ(refusal(with("1.5", "[]")),
            "value 'branch.json#/weight': found array, wanted number; change it to number");
  EXPECT_EQ(refusal("[]"),
            "value 'branch.json#/': found array, wanted object; change it to object");
  EXPECT_NE(
      refusal(with(R"("count":2)", R"("count":2.0)")).find("found number 2.0, wanted integer"),
      std::string::npos);
}

TEST(FieldList, AnIntegerOutOfItsFieldsRangeIsRefused) {
  EXPECT_NE(refusal(with(R"("count":2)", R"("count":32768)")).find("wanted integer in range"),
            std::string::npos);
  EXPECT_TRUE(parse_record<Branch>(with(R"("count":2)", R"("count":-32768)"), "f").ok());
}

TEST(FieldList, AMissingKeyIsNamedWithItsObject) {
  EXPECT_EQ(refusal(with(R"({"name":"b","count":2})", R"({"name":"b"})")),
            "object 'branch.json#/leaves/1': found no key 'count', wanted it; add it");
}

TEST(FieldList, AnUnknownKeyNamesTheNearest) {
  EXPECT_EQ(refusal(with(R"("count":2})", R"("count":2,"cuont":3})")),
            "object 'branch.json#/leaves/1': found unknown key 'cuont', wanted only name, count; "
            "did you mean 'count'?");
  EXPECT_NE(refusal(with(R"("alive")", R"("zzzzzzzzzzzzzzz":1,"alive")")).find("; remove it"),
            std::string::npos);
}

TEST(FieldList, AWrongWordNamesTheNearest) {
  EXPECT_EQ(refusal(with("dark_green", "dark_gren")),
            "value 'branch.json#/colour': found 'dark_gren', wanted one of red, dark_green; did "
            "you mean 'dark_green'?");
}

TEST(FieldList, UnreadableTextNamesTheFrame) {
  EXPECT_EQ(refusal("{").substr(0, 31), "branch.json: JSON text 'byte 1'");
}

TEST(FieldList, ALongFoundValueIsCutAtAWholeCharacter) {
  const auto message =
      refusal(with("true", '"' + replace_all(std::string(200, 'x'), "x", "é") + '"'));
  EXPECT_LT(message.size(), 250U);
  EXPECT_TRUE(is_valid_utf8(message)) << message;
}

TEST(FieldList, RecordsOfAllFormatsRoundTripFromTheirDefaults) {
  const auto round_trip = []<class T>(const T& x) {
    const auto text = dump_record(x);
    const auto back = parse_record<T>(text, "x");
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(dump_record(*back), text);
  };
  round_trip(Environment{});
  round_trip(TaskSpec{});
  round_trip(Gold{});
  round_trip(Verifier{});
  round_trip(Certificate{});
  round_trip(Trajectory{});
}

}  // namespace
}  // namespace seedbed::schemas
