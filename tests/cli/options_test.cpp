#include "cli/options.h"

#include <gtest/gtest.h>

#include "cli/commands.h"

namespace seedbed::cli {
namespace {

struct Bound {
  std::string store, policy = "nop", name;
  std::vector<std::string> packs, more;
  std::int64_t seed = 1;
  double score = 0.5;
  bool json = false;
};

Options declared(Bound& bound) {
  Options options("try", "a command of the test", "seedbed try a.db --seed 2");
  options.operand("STORE", bound.store, "the store");
  options.operands("MORE", bound.more, 0, "what follows");
  options.choice("--policy", bound.policy, {"oracle", "nop", "random"}, "who acts");
  options.integer("--seed", bound.seed, 0, 100, "seed");
  options.number("--score", bound.score, 0, 1, "least score");
  options.text("--name", bound.name, "NAME", "a name");
  options.texts("--pack", bound.packs, "DIR", "packs");
  options.flag("--json", bound.json, "as JSON");
  return options;
}

// The message of the refusal, or "" where the words were taken.
std::string refusal(const Words& words) {
  Bound bound;
  auto options = declared(bound);
  const auto error = options.parse(words);
  if (!error) return "";
  EXPECT_EQ(exit_code(*error), 2);
  return error->message;
}

TEST(Options, BindsFlagsAndOperands) {
  Bound bound;
  auto options = declared(bound);
  const auto error = options.parse({"a.db", "--seed", "7", "--pack", "x", "--policy=oracle", "b.db",
                                    "--pack", "y", "--json", "--score", "0.25", "c.db"});
  ASSERT_FALSE(error) << error->message;
  EXPECT_EQ(bound.store, "a.db");
  EXPECT_EQ(bound.more, (Words{"b.db", "c.db"}));
  EXPECT_EQ(bound.packs, (Words{"x", "y"}));
  EXPECT_EQ(bound.policy, "oracle");
  EXPECT_EQ(bound.seed, 7);
  EXPECT_EQ(bound.score, 0.25);
  EXPECT_TRUE(bound.json);
  EXPECT_TRUE(options.given("--seed"));
  EXPECT_FALSE(options.given("--name"));
}

TEST(Options, KeepsDefaultsOfWhatIsNotGiven) {
  Bound bound;
  auto options = declared(bound);
  ASSERT_FALSE(options.parse({"a.db"}));
  EXPECT_EQ(bound.seed, 1);
  EXPECT_EQ(bound.policy, "nop");
  EXPECT_TRUE(bound.packs.empty());
}

TEST(Options, UnknownFlagNamesTheNearest) {
  for (const Words& words :
       {Words{"a.db", "--sed", "3"}, Words{"a.db", "--sed=3"}, Words{"--sed", "3", "a.db"}}) {
    const auto message = refusal(words);
    EXPECT_NE(message.find("'--sed': unknown flag"), std::string::npos) << message;
    EXPECT_NE(message.find("did you mean '--seed'?"), std::string::npos) << message;
  }
}

TEST(Options, WrongValuesSayFoundAndWanted) {
  EXPECT_EQ(refusal({"a.db", "--seed", "many"}),
            "seedbed try '--seed': found 'many', wanted an integer from 0 to 100; see `seedbed try "
            "--help`");
  EXPECT_NE(refusal({"a.db", "--seed", "101"}).find("wanted an integer from 0 to 100"),
            std::string::npos);
  EXPECT_NE(refusal({"a.db", "--seed", "-1"}).find("found '-1'"), std::string::npos);
  EXPECT_NE(refusal({"a.db", "--seed", "7x"}).find("found '7x'"), std::string::npos);
  EXPECT_NE(refusal({"a.db", "--score", "nan"}).find("wanted a number from 0 to 1"),
            std::string::npos);
  EXPECT_NE(refusal({"a.db", "--policy", "oracel"}).find("nearest: 'oracle'"), std::string::npos);
  EXPECT_NE(refusal({"a.db", "--name", ""}), "");
}

TEST(Options, AFlagWithoutItsValueTakesNoOtherWord) {
  const auto message = refusal({"a.db", "--name=", "b.db"});
  EXPECT_NE(message.find("--name="), std::string::npos) << message;
  EXPECT_NE(message.find("nothing after '=', wanted NAME"), std::string::npos) << message;
  for (const Words& words : {Words{"a.db", "--name", "--json"}, {"a.db", "--name", "--seed=3"}}) {
    const auto said = refusal(words);
    EXPECT_NE(said.find("the flag '" + words[2] + "', wanted NAME"), std::string::npos) << said;
  }
  EXPECT_EQ(refusal({"a.db", "--name=--json"}), "");
  EXPECT_EQ(refusal({"a.db", "--name", "--other="}), "");
}

TEST(Options, MissingPartsAreNamed) {
  EXPECT_NE(refusal({}).find("'STORE': found 0, wanted 1"), std::string::npos);
  EXPECT_NE(refusal({"a.db", "--seed"}), "");
  EXPECT_NE(refusal({"a.db", "--seed", "1", "--seed", "2"}), "")
      << "a flag given twice is a mistake, not the last one's victory";
  Bound bound;
  auto options = declared(bound);
  options.require("--name");
  const auto error = options.parse({"a.db"});
  ASSERT_TRUE(error);
  EXPECT_NE(error->message.find("'--name': absent"), std::string::npos);
}

TEST(Options, OneOperandTooManyIsRefused) {
  std::string store;
  Options options("one", "takes one operand", "seedbed one a.db");
  options.operand("STORE", store, "the store");
  const auto error = options.parse({"a.db", "b.db"});
  ASSERT_TRUE(error);
  EXPECT_NE(error->message.find("'b.db': one operand too many"), std::string::npos);
}

TEST(Options, HelpShowsFlagsDefaultsAndAnExample) {
  Bound bound;
  auto options = declared(bound);
  ASSERT_FALSE(options.parse({"--help"}));
  EXPECT_TRUE(options.wants_help());
  const auto help = options.help();
  for (const char* part : {"usage: seedbed try STORE MORE... [flags]", "--policy oracle|nop|random",
                           "who acts [nop]", "example: seedbed try a.db --seed 2"})
    EXPECT_NE(help.find(part), std::string::npos) << part << "\n" << help;
}

}  // namespace
}  // namespace seedbed::cli
