// Replies in the chat format: what is sampled parses into whole calls that meet their schemas.
#include <gtest/gtest.h>

#include "engine/chat/markers.h"
#include "engine/chat/parse.h"
#include "engine/chat/strict.h"
#include "schemas/json_schema.h"
#include "tests/engine_grammar/kit.h"

namespace seedbed::engine::grammar {
namespace {

using kit::Words;
using schemas::Value;

const char* const kTool = R"({"type":"object","properties":{
  "path":{"type":"string"},"line":{"type":"integer","minimum":1},"mode":{"enum":["r","w",3,null]},
  "text":{"type":["string","null"],"maxLength":6},"code":{"type":"string","pattern":"^[a-c<]{2,4}$"},
  "tags":{"type":"array","items":{"type":"string"},"maxItems":2},"any":{}},
  "required":["path","line"],"additionalProperties":false})";

ChatFormat format(ToolChoice choice, bool reasoning) {
  ChatFormat out;
  out.reasoning = reasoning;
  out.choice = choice;
  out.functions = {
      {"open_file", kit::parse(kTool), true},
      {"now", {}, true},
      {"free", kit::parse(R"({"type":"object"})"), true},
      {"loose", kit::parse(kTool), false},
      {"map",
       kit::parse(
           R"({"type":"object","additionalProperties":{"type":"string","maxLength":2},"minProperties":1})"),
       true}};
  out.named = "open_file";
  return out;
}

chat::Completion read(const Words& words, const kit::Walk& walk, bool reasoning) {
  chat::Parser parser({.thinking = reasoning,
                       .eos_is_token = true,
                       .end_think_is_token = words.end_think >= 0,
                       .dsml_is_token = words.dsml >= 0});
  for (const auto id : walk.ids) {
    const auto i = static_cast<std::size_t>(id);
    parser.feed(chat::Piece{words.table.bytes[i], words.table.special[i] != 0});
  }
  return parser.finish(chat::End::eos);
}

void check_calls(const ChatFormat& f, const chat::Completion& c, const std::string& text) {
  ASSERT_TRUE(c.malformed.empty()) << c.malformed[0].why << "\n" << text;
  ASSERT_FALSE(c.open) << text;
  for (const auto& call : c.calls) {
    ASSERT_TRUE(call.whole) << text;
    const auto known = std::find_if(f.functions.begin(), f.functions.end(),
                                    [&](const auto& x) { return x.name == call.name; });
    ASSERT_NE(known, f.functions.end()) << call.name;
    if (!known->strict) continue;
    const auto none = Value::object().set("type", "object").set("maxProperties", 0);
    const auto schema =
        schemas::JsonSchema::compile(known->parameters.is_null() ? none : known->parameters);
    ASSERT_TRUE(schema.ok());
    const auto wrong = schema->validate(call.value);
    ASSERT_TRUE(wrong.empty()) << wrong[0].message << "\n" << text;
  }
}

TEST(GrammarChat, EverySampleParsesIntoWholeCallsOfTheirSchemas) {
  for (const bool markers : {true, false}) {
    const auto words = kit::make_words(500, markers);
    for (const auto choice :
         {ToolChoice::auto_, ToolChoice::none, ToolChoice::required, ToolChoice::named}) {
      std::size_t calls = 0, contents = 0;
      for (const bool reasoning : {true, false}) {
        for (const bool parallel : {true, false}) {
          auto f = format(choice, reasoning);
          f.parallel = parallel;
          const auto grammar = Grammar::chat(words.vocabulary, f);
          ASSERT_TRUE(grammar.ok()) << grammar.error().message;
          for (std::uint64_t i = 0; i < 25; ++i) {
            auto rng = rng_for(3, "chat", i, markers ? "tokens" : "text");
            const auto walk =
                kit::walk(*grammar, words, rng, (*grammar)->shortest() + rng.between(0, 300));
            ASSERT_EQ(walk.broken, "");
            ASSERT_TRUE(walk.ended);
            const auto read_back = read(words, walk, reasoning);
            check_calls(f, read_back, walk.text);
            calls += read_back.calls.size();
            contents += read_back.content.empty() ? 0U : 1U;
            if (choice == ToolChoice::none) {
              ASSERT_TRUE(read_back.calls.empty()) << walk.text;
            }
            if (choice == ToolChoice::named) {
              ASSERT_EQ(read_back.calls.size(), 1U) << walk.text;
              ASSERT_EQ(read_back.calls[0].name, "open_file");
            }
            if (choice == ToolChoice::required) {
              ASSERT_GE(read_back.calls.size(), 1U) << walk.text;
            }
            if (!parallel) {
              ASSERT_LE(read_back.calls.size(), 1U) << walk.text;
            }
          }
        }
      }
      EXPECT_GT(contents, 0U);
      if (choice != ToolChoice::none && choice != ToolChoice::auto_) {
        EXPECT_GT(calls, 20U);
      }
    }
  }
}

TEST(GrammarChat, ContentIsOneDocumentInJsonMode) {
  for (const bool markers : {true, false}) {
    const auto words = kit::make_words(500, markers);
    for (const bool tools : {true, false}) {
      auto f = format(ToolChoice::auto_, true);
      if (!tools) f.functions.clear();
      f.json = true;
      const auto schema = kit::parse(
          R"({"type":"object","properties":{"｜":{"type":"string"},"b":{"enum":["<｜DSML｜x","y"]}},"required":["b"]})");
      for (const bool own : {true, false}) {
        f.schema = own ? schema : Value();
        const auto grammar = Grammar::chat(words.vocabulary, f);
        ASSERT_TRUE(grammar.ok()) << grammar.error().message;
        for (std::uint64_t i = 0; i < 40; ++i) {
          auto rng = rng_for(4, "json", i, markers ? "tokens" : "text");
          const auto walk = kit::walk(*grammar, words, rng, (*grammar)->shortest() + 200);
          ASSERT_EQ(walk.broken, "");
          const auto c = read(words, walk, true);
          check_calls(f, c, walk.text);
          if (!c.calls.empty()) {
            ASSERT_EQ(c.content, "");
            continue;
          }
          const auto value = schemas::parse_json(c.content);
          ASSERT_TRUE(value.ok()) << value.error().message << c.content;
          const auto compiled =
              schemas::JsonSchema::compile(own ? schema : Value::object().set("type", "object"));
          ASSERT_TRUE(compiled->validate(*value).empty()) << c.content;
        }
      }
    }
  }
}

// What the renderer writes is a text of the grammar, byte for byte.
TEST(GrammarChat, TakesWhatTheReferenceWrites) {
  const auto words = kit::make_words(0, false);
  const std::string block =
      "\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"open_file\">\n"
      "<｜DSML｜parameter name=\"path\" string=\"true\">a < b\n</b></｜DSML｜parameter>\n"
      "<｜DSML｜parameter name=\"line\" string=\"false\">3</｜DSML｜parameter>\n"
      "</｜DSML｜invoke>\n<｜DSML｜invoke name=\"now\">\n\n</｜DSML｜invoke>\n"
      "</｜DSML｜function_calls>";
  auto f = format(ToolChoice::auto_, true);
  auto grammar = Grammar::chat(words.vocabulary, f);
  ASSERT_TRUE(grammar.ok());
  EXPECT_TRUE(kit::takes(*grammar, words, "why</think>Look:" + block));
  EXPECT_TRUE(kit::takes(*grammar, words, "</think>" + block));
  EXPECT_TRUE(kit::takes(*grammar, words, "a</think>just < text </"));
  EXPECT_FALSE(kit::takes(*grammar, words, "no end of thinking"));
  EXPECT_FALSE(kit::takes(*grammar, words, "</think>" + block + "more"));
  EXPECT_FALSE(kit::takes(*grammar, words, "</think>x<｜DSML｜"));
  f.choice = ToolChoice::none;
  grammar = Grammar::chat(words.vocabulary, f);
  ASSERT_TRUE(grammar.ok());
  EXPECT_FALSE(kit::takes(*grammar, words, "</think>" + block));
  EXPECT_TRUE(kit::takes(*grammar, words, "</think>hello"));
  f.choice = ToolChoice::required;
  f.parallel = false;
  grammar = Grammar::chat(words.vocabulary, f);
  ASSERT_TRUE(grammar.ok());
  EXPECT_FALSE(kit::takes(*grammar, words, "</think>hello"));
  EXPECT_FALSE(kit::takes(*grammar, words, "</think>" + block)) << "two calls";
}

TEST(GrammarChat, RefusesWhatCannotBe) {
  const auto words = kit::make_words(0, true);
  const auto refused = [&](const ChatFormat& f) {
    const auto grammar = Grammar::chat(words.vocabulary, f);
    EXPECT_FALSE(grammar.ok());
    if (grammar.ok()) return std::string();
    EXPECT_EQ(grammar.error().where, Where::usage);
    return grammar.error().message;
  };
  auto f = format(ToolChoice::named, false);
  f.named = "absent";
  EXPECT_NE(refused(f).find("absent"), std::string::npos);
  f = format(ToolChoice::required, false);
  f.functions.clear();
  refused(f);
  f = format(ToolChoice::auto_, false);
  f.functions[1].name = "a\"b";
  refused(f);
  f.functions[1].name = "open_file";
  refused(f);
  f = format(ToolChoice::auto_, false);
  f.functions[0].parameters = kit::parse(R"({"type":"string"})");
  EXPECT_NE(refused(f).find("open_file"), std::string::npos);
  f.functions[0].parameters =
      kit::parse(R"({"type":"object","properties":{"a":{"not":{"type":"null"}}}})");
  EXPECT_NE(refused(f).find("#/properties/a/not"), std::string::npos);
}

}  // namespace
}  // namespace seedbed::engine::grammar
