#include "engine/chat/parse.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/text.h"
#include "engine/chat/markers.h"
#include "tests/engine_chat/laws.h"

namespace seedbed::engine::chat {
namespace {

// [[ and ]] stand for <｜DSML｜ and the bar-free rest, so that the cases stay readable:
//   {f}..{/f} the block, {i NAME}..{/i} a call, {p NAME}..{/p} a string parameter, {n NAME} another
//   kind, {eos}, {/think}
std::string spelled(std::string text) {
  const auto named = [&text](const std::string& open, const std::string& before,
                             const std::string& after) {
    for (std::size_t at = 0; (at = text.find(open, at)) != std::string::npos;) {
      const auto end = text.find('}', at);
      const auto name = text.substr(at + open.size(), end - at - open.size());
      const auto tag = before + name + after;
      text.replace(at, end + 1 - at, tag);
      at += tag.size();
    }
  };
  named("{i ", "<｜DSML｜invoke name=\"", "\">");
  named("{p ", "<｜DSML｜parameter name=\"", "\" string=\"true\">");
  named("{n ", "<｜DSML｜parameter name=\"", "\" string=\"false\">");
  text = replace_all(text, "{f}", std::string(kOpenCalls));
  text = replace_all(text, "{/f}", std::string(kCloseCalls));
  text = replace_all(text, "{/i}", std::string(kCloseInvoke));
  text = replace_all(text, "{/p}", std::string(kCloseParameter));
  text = replace_all(text, "{eos}", std::string(kEos));
  return replace_all(text, "{/think}", std::string(kEndThink));
}

struct Case {
  const char* name;
  bool thinking;
  const char* text;
  // What is read: "reasoning|content|name(arguments) ...|why ...". A call that is not whole has a
  // '!'.
  const char* read;
};

std::string summary(const Completion& c) {
  std::string out = c.reasoning + "|" + c.content + "|";
  for (const auto& call : c.calls)
    out += (out.back() == '|' ? "" : " ") + call.name + "(" + call.arguments + ")" +
           (call.whole ? "" : "!");
  out += "|";
  for (const auto& piece : c.malformed) out += (out.back() == '|' ? "" : "; ") + piece.why;
  return out;
}

constexpr Case kCases[] = {
    {"plain answer", false, "Hello.{eos}", "|Hello.||"},
    {"missing end of sentence", false, "Hello.", "|Hello.||"},
    {"empty completion", false, "", "|||"},
    {"end of sentence alone", true, "{eos}", "|||the completion ends inside its reasoning"},
    {"reasoning and answer", true, "because{/think}Hello.{eos}", "because|Hello.||"},
    {"answer follows line ends", true, "r{/think}\n\nHello.\n\n{eos}", "r|\n\nHello.\n\n||"},
    {"one call", true, "r{/think}\n\n{f}\n{i f}\n{p a}x{/p}\n{n b}2{/p}\n{/i}\n{/f}{eos}",
     "r||f({\"a\": \"x\", \"b\": 2})|"},
    {"call without reasoning", false, "\n\n{f}\n{i f}\n{p a}x{/p}\n{/i}\n{/f}{eos}",
     "||f({\"a\": \"x\"})|"},
    {"parallel calls", false,
     "\n\n{f}\n{i f}\n{p a}x{/p}\n{/i}\n{i g}\n{n l}[1, {\"k\": null}]{/p}\n{/i}\n{/f}{eos}",
     "||f({\"a\": \"x\"}) g({\"l\": [1, {\"k\": null}]})|"},
    {"call without arguments", false, "\n\n{f}\n{i f}\n\n{/i}\n{/f}{eos}", "||f({})|"},
    {"call without arguments, one line end", false, "\n\n{f}\n{i f}\n{/i}\n{/f}{eos}", "||f({})|"},
    {"call without arguments, no line end", false, "{f}{i f}{/i}{/f}", "||f({})|"},
    {"prose before the block", false, "Let me look.\n\n{f}\n{i f}\n\n{/i}\n{/f}{eos}",
     "|Let me look.|f({})|"},
    {"prose that touches the block", false, "Look:{f}{i f}{/i}{/f}", "|Look:|f({})|"},
    {"one line end before the block", false, "Look:\n{f}{i f}{/i}{/f}", "|Look:\n|f({})|"},
    {"four line ends before the block", false, "Look:\n\n\n\n{f}{i f}{/i}{/f}",
     "|Look:\n\n|f({})|"},
    {"white space between tags", false,
     "{f} \r\n\t{i f}  {p a}x{/p} \n\n {n b}1{/p}\t{/i}\n\n\n{/f} \n{eos}",
     "||f({\"a\": \"x\", \"b\": 1})|"},
    {"value is verbatim", false, "{f}{i f}{p a}\n  x \r\n{/p}{/i}{/f}",
     "||f({\"a\": \"\\n  x \\r\\n\"})|"},
    {"angle brackets and a shell redirection", false, "{f}{i f}{p a}a<b>c 2>&1{/p}{/i}{/f}",
     "||f({\"a\": \"a<b>c 2>&1\"})|"},
    {"value ends in an angle bracket", false, "{f}{i f}{p a}x<{/p}{/i}{/f}",
     "||f({\"a\": \"x<\"})|"},
    {"value holds a closing tag minus its last byte", false,
     "{f}{i f}{p a}x</｜DSML｜parameter y{/p}{/i}{/f}",
     "||f({\"a\": \"x</｜DSML｜parameter y\"})|"},
    {"value quotes other tags", false,
     "{f}{i f}{p a}see {f}, {i g} and {/i}; {eo} </ <｜ {/think}{/p}{/i}{/f}",
     "||f({\"a\": \"see <｜DSML｜function_calls>, <｜DSML｜invoke name=\\\"g\\\"> and "
     "</｜DSML｜invoke>; {eo} </ <｜ </think>\"})|"},
    {"quotes and controls in a value", false, "{f}{i f}{p a}\"\\\x01\b\f{/p}{/i}{/f}",
     "||f({\"a\": \"\\\"\\\\\\u0001\\b\\f\"})|"},
    {"empty string", false, "{f}{i f}{p a}{/p}{/i}{/f}", "||f({\"a\": \"\"})|"},
    {"bare call without the block", false, "{i f}\n{p a}x{/p}\n{/i}{eos}", "||f({\"a\": \"x\"})|"},
    {"bare call that only closes the block", false, "Well.\n\n{i f}\n\n{/i}\n{/f}{eos}",
     "|Well.|f({})|"},
    {"two bare calls, then prose", false, "{i f}{/i}\n{i g}{/i}\nDone.{eos}",
     "|\nDone.|f({}) g({})|"},
    {"second block after text", false, "{f}{i f}{/i}{/f}\nMore.\n\n{f}{i g}{/i}{/f}{eos}",
     "|\nMore.|f({}) g({})|"},
    {"second block at once", false, "{f}{i f}{/i}{/f}\n\n{f}{i g}{/i}{/f}{eos}", "||f({}) g({})|"},
    {"text after the block", false, "{f}{i f}{/i}{/f}\n\nDone.{eos}", "|\n\nDone.|f({})|"},
    {"block never closed", false, "{f}\n{i f}\n\n{/i}\n{eos}", "||f({})|"},
    {"call never closed before the next", false, "{f}{i f}{p a}x{/p}{i g}{/i}{/f}",
     "||f({\"a\": \"x\"}) g({})|"},
    {"call never closed before the end of the block", false, "{f}{i f}{p a}x{/p}\n{/f}",
     "||f({\"a\": \"x\"})|"},
    {"empty block", false, "Hm.\n\n{f}\n{/f}{eos}", "|Hm.||"},
    {"unknown attributes", false,
     "{f}<｜DSML｜invoke id=\"7\" name=\"f\" x=y><｜DSML｜parameter type='int' string=\"false\" "
     "name=\"a\">1{/p}{/i}{/f}",
     "||f({\"a\": 1})|"},
    {"attributes over several spaces", false,
     "{f}<｜DSML｜invoke  name=\"f\" ><｜DSML｜parameter\tname=\"a\"  "
     "string=\"True\">1{/p}{/i}{/f}",
     "||f({\"a\": \"1\"})|"},
    {"no space before a call's name", false, "{f}<｜DSML｜invokename=\"f\">{/i}{/f}", "||f({})|"},
    {"a name with a quote", false, "{f}{i f}{p a\"b}1{/p}{/i}{/f}", "||f({\"a\\\"b\": \"1\"})|"},
    {"reasoning that quotes the format", true,
     "I write {f}{i f}{p a}x{/p}{/i}{/f} soon{/think}Hello.{eos}",
     "I write <｜DSML｜function_calls><｜DSML｜invoke name=\"f\"><｜DSML｜parameter name=\"a\" "
     "string=\"true\">x</｜DSML｜parameter></｜DSML｜invoke></｜DSML｜function_calls> "
     "soon|Hello.||"},
    {"text that only looks like a tag", false, "a < b, a<｜b, </thin, <｜DSM{eos}",
     "|a < b, a<｜b, </thin, <｜DSM||"},
    // ---- not whole ----
    {"no JSON where JSON is promised", false, "{f}{i f}{n a}ls -la{/p}{/i}{/f}{eos}",
     "||f({\"a\": ls -la})!|parameter 'a' says string=\"false\", but its value is no JSON: *"},
    {"empty where JSON is promised", false, "{f}{i f}{n a}{/p}{/i}{/f}{eos}",
     "||f({\"a\": })!|parameter 'a' says string=\"false\", but its value is no JSON: *"},
    {"parameter given twice", false, "{f}{i f}{p a}x{/p}{p a}y{/p}{/i}{/f}",
     "||f({\"a\": \"x\", \"a\": \"y\"})!|parameter 'a' occurs twice"},
    {"kind of a parameter is absent", false, "{f}{i f}<｜DSML｜parameter name=\"a\">5{/p}{/i}{/f}",
     "||f({\"a\": \"5\"})!|parameter 'a' does not say string=\"true\" or string=\"false\""},
    {"parameter without name", false,
     "{f}{i f}<｜DSML｜parameter string=\"true\">5{/p}{p b}6{/p}{/i}{/f}",
     "||f({\"b\": \"6\"})!|a parameter tag without a readable name"},
    {"JSON instead of parameters", false, "{f}{i f}\n{\"a\": 1}\n{/i}{/f}",
     "||f({})!|text between the parameters of a call"},
    {"malformed sibling does not spoil the others", false,
     "{f}{i a}{p k}1{/p}{/i}<｜DSML｜invoke>{p k}2{/p}{/i}{i c}{p k}3{/p}{/i}{/f}{eos}",
     "||a({\"k\": \"1\"}) c({\"k\": \"3\"})|a call whose tag has no readable name"},
    {"parameter never closed before the next call", false,
     "{f}\n{i a}\n{p k}1\n{/i}\n{i b}\n{p k}2{/p}\n{/i}\n{/f}{eos}",
     "||a({\"k\": \"1\\n\"})! b({\"k\": \"2\"})|parameter 'k' is never closed"},
    {"parameter never closed before the next one", false,
     "{f}\n{i a}\n{p k}1\n{p l}2{/p}\n{/i}\n{/f}{eos}",
     "||a({\"k\": \"1\\n\", \"l\": \"2\"})!|parameter 'k' is never closed"},
    {"parameter and call never closed", false, "{f}{i a}{p k}1\n{/f}{eos}",
     "||a({\"k\": \"1\\n\"})!|parameter 'k' is never closed"},
    {"tag without its bracket", false, "{f}<｜DSML｜invoke name=\"f\"{p a}x{/p}{/i}{i g}{/i}{/f}",
     "||g({})|a tag without its '>'"},
    {"text between calls", false, "{f}{i f}{/i}and{i g}{/i} oh </｜DSML｜x> {/f}done{eos}",
     "|done|f({}) g({})|text between the calls of a block; text between the calls of a block"},
    {"stray closing tags", false, "a{/p}b{/i}c{/f}d{eos}",
     "|abcd||a closing tag without its opening one; a closing tag without its opening one; a "
     "closing tag without its opening one"},
    {"stray parameter", false, "a{p k}v{/p}b{eos}", "|ab||a parameter outside of any call"},
    {"unknown tag", false, "a<｜DSML｜tool x>b{eos}", "|ab||a tag that the format does not have"},
    {"text after the end", false, "a{eos}b", "|a||text after the end of the sentence"},
    {"end inside reasoning", true, "hm{eos}", "hm|||the completion ends inside its reasoning"},
    {"end inside a value", false, "{f}{i f}{p a}x{eos}",
     "||f({\"a\": \"x)!|the completion ends inside a value"},
    {"end inside a call", false, "{f}{i f}{p a}x{/p}{eos}",
     "||f({\"a\": \"x\")!|the completion ends inside a call"},
    {"cut inside a closing tag", false, "{f}{i f}{p a}ls 2>&1</｜DSML｜parameter",
     "||f({\"a\": \"ls 2>&1)!|the completion ends inside a value"},
    {"cut after an angle bracket", false, "{f}{i f}{p a}a <",
     "||f({\"a\": \"a <)!|the completion ends inside a value"},
    {"cut inside a tag", false, "{f}{i f}{p a}x{/p}<｜DSML｜param",
     "||f({\"a\": \"x\")!|the completion ends inside a tag"},
    {"cut inside the first tag", false, "Look:\n\n<｜DSML｜func",
     "|Look:\n\n||the completion ends inside a tag"},
    {"cut inside attributes", false, "{f}<｜DSML｜invoke name=\"f",
     "|||the completion ends inside a tag"},
    {"cut inside reasoning", true, "because</thi", "because</thi|||"},
    {"value of no valid UTF-8", false, "{f}{i f}{p a}\xff{/p}{/i}{/f}",
     "||f({\"a\": \"\xff\"})!|the value of parameter 'a' is not valid UTF-8"},
};

bool reads_as(const std::string& found, const std::string& wanted) {
  if (!wanted.ends_with('*')) return found == wanted;
  return found.starts_with(wanted.substr(0, wanted.size() - 1));
}

TEST(Parse, CompletionsReadAsTheTableSays) {
  for (const auto& c : kCases) {
    const auto read = summary(parse_completion(spelled(c.text), {.thinking = c.thinking}));
    EXPECT_TRUE(reads_as(read, c.read)) << c.name << "\n found " << read << "\nwanted " << c.read;
  }
}

TEST(Parse, ResultNeverDependsOnChunking) {
  for (const auto& c : kCases) {
    const auto text = spelled(c.text);
    for (const auto end : {End::unknown, End::eos, End::cut}) {
      const ParseOptions options{.thinking = c.thinking};
      EXPECT_EQ(check_all(text, options, end), "") << c.name;
      const auto whole = parse_completion(text, options, end);
      for (std::size_t split = 1; split < text.size(); ++split)
        EXPECT_EQ(check_chunks(text, options, end, whole, split, text.size()), "")
            << c.name << " split at " << split;
    }
  }
}

TEST(Parse, EveryTruncationAccountsForEveryByte) {
  for (const auto& c : kCases) {
    const auto text = spelled(c.text);
    for (std::size_t size = 0; size < text.size(); ++size) {
      const auto part = text.substr(0, size);
      EXPECT_EQ(check_all(part, {.thinking = c.thinking}, End::cut), "")
          << c.name << " cut at " << size;
    }
  }
}

TEST(Parse, StrictReadingAgreesWhereItTakesTheText) {
  int taken = 0;
  for (const auto& c : kCases) {
    const auto text = spelled(c.text);
    EXPECT_EQ(check_strict(text, c.thinking), "") << c.name;
    taken += parse_strict(text, c.thinking).ok() ? 1 : 0;
  }
  EXPECT_GE(taken, 6);
}

// ---- regressions, by symptom ----

std::vector<std::string> content_deltas(std::string_view text, std::size_t chunk, bool thinking) {
  Parser parser({.thinking = thinking});
  std::vector<std::string> out;
  const auto take = [&out](const Delta& d) { out.emplace_back(d.text); };
  for (std::size_t at = 0; at < text.size(); at += chunk) {
    parser.feed(text.substr(at, chunk));
    parser.drain(take);
  }
  parser.finish();
  parser.drain(take);
  return out;
}

TEST(Parse, ClosingTagNeverLeaksIntoACommandWhileStreaming) {
  const auto text =
      spelled("r{/think}\n\n{f}\n{i bash}\n{p command}make 2>&1{/p}\n{/i}\n{/f}{eos}");
  for (std::size_t chunk = 1; chunk < text.size(); ++chunk)
    for (const auto& delta : content_deltas(text, chunk, true)) {
      EXPECT_EQ(delta.find("｜"), std::string::npos) << delta;
      EXPECT_EQ(delta.find('<'), std::string::npos) << delta;
    }
}

TEST(Parse, ArgumentsAreKeptWhenSeveralTagsComeInOneDelta) {
  const auto text = spelled("\n\n{f}\n{i f}\n{p a}1{/p}\n{p b}2{/p}\n{p c}3{/p}\n{/i}\n{/f}{eos}");
  EXPECT_EQ(summary(parse_completion(text, {.thinking = false})),
            "||f({\"a\": \"1\", \"b\": \"2\", \"c\": \"3\"})|");
}

TEST(Parse, LongArgumentsArriveWhileTheyAreWritten) {
  Parser parser({.thinking = false});
  std::string arguments;
  const auto take = [&arguments](const Delta& d) {
    if (d.kind == DeltaKind::arguments) arguments += d.text;
  };
  parser.feed(spelled("{f}{i f}{p a}first"));
  parser.drain(take);
  EXPECT_EQ(arguments, "{\"a\": \"first");
  parser.feed(" second");
  parser.drain(take);
  EXPECT_EQ(arguments, "{\"a\": \"first second");
}

TEST(Parse, OutputAfterAToolResultIsNoReasoningWhereThePromptClosedIt) {
  EXPECT_EQ(summary(parse_completion(spelled("Sunny.{eos}"), {.thinking = false})), "|Sunny.||");
}

TEST(Parse, NoToolCallsAreAnnouncedForAnEmptyBlock) {
  const auto read = parse_completion(spelled("Hm.\n\n{f}\n{/f}{eos}"), {.thinking = false});
  EXPECT_TRUE(read.calls.empty());
  EXPECT_EQ(finish_reason(read), "stop");
}

TEST(Parse, FinishReasonTellsCutFromDone) {
  const auto reason = [](const char* text, End end) {
    return std::string(finish_reason(parse_completion(spelled(text), {.thinking = false}, end)));
  };
  EXPECT_EQ(reason("a{eos}", End::unknown), "stop");
  EXPECT_EQ(reason("a", End::unknown), "stop");
  EXPECT_EQ(reason("a", End::cut), "length");
  EXPECT_EQ(reason("{f}{i f}{/i}{/f}", End::unknown), "tool_calls");
  EXPECT_EQ(reason("{f}{i f}{/i}", End::eos), "tool_calls");
  EXPECT_EQ(reason("{f}{i f}{p a}x", End::unknown), "length");
}

TEST(Parse, DeltasEndBetweenCharacters) {
  const std::string text = spelled("é漢😀{/think}é漢😀\n\n{f}{i f}{p a}é漢😀{/p}{/i}{/f}");
  for (std::size_t chunk = 1; chunk < 5; ++chunk)
    for (const auto& delta : content_deltas(text, chunk, true))
      EXPECT_TRUE(is_valid_utf8(delta)) << chunk;
}

// ---- over tokens ----

constexpr ParseOptions kTokens{
    .thinking = true, .eos_is_token = true, .end_think_is_token = true, .dsml_is_token = true};

// Markers as special pieces, the rest in pieces of `size` bytes.
std::vector<Piece> pieces(std::string_view text, std::size_t size) {
  std::vector<Piece> out;
  while (!text.empty()) {
    std::size_t first = text.size();
    std::string_view marker;
    for (const auto candidate : kSpecials)
      if (const auto at = text.find(candidate); at < first) {
        first = at;
        marker = candidate;
      }
    for (std::size_t at = 0; at < first; at += size)
      out.push_back({text.substr(at, std::min(size, first - at)), false});
    if (!marker.empty()) out.push_back({text.substr(first, marker.size()), true});
    text.remove_prefix(first + marker.size());
  }
  return out;
}

Completion parse_pieces(const std::vector<Piece>& list, ParseOptions options, Stream& stream) {
  Parser parser(options);
  for (const auto& piece : list) {
    parser.feed(piece);
    parser.drain([&stream](const Delta& d) { stream.take(d); });
  }
  Completion out = parser.finish();
  parser.drain([&stream](const Delta& d) { stream.take(d); });
  return out;
}

TEST(ParseTokens, ReadAsTextDoes) {
  for (const auto& c : kCases) {
    const auto text = spelled(c.text);
    const auto whole = parse_completion(text, {.thinking = c.thinking});
    auto options = kTokens;
    options.thinking = c.thinking;
    for (std::size_t size = 1; size < 6; ++size) {
      Stream stream;
      EXPECT_EQ(parse_pieces(pieces(text, size), options, stream), whole) << c.name << " " << size;
      EXPECT_EQ(check_stream(stream, whole), "") << c.name;
    }
  }
}

TEST(ParseTokens, MarkersSpelledByOrdinaryTokensAreText) {
  const std::string text = spelled("a{/think}{eos}{f}{i f}{/i}{/f}");
  Stream stream;
  const auto read = parse_pieces({{text, false}, {kEndThink, true}, {text, false}, {kEos, true}},
                                 kTokens, stream);
  EXPECT_EQ(read.reasoning, text);
  EXPECT_EQ(read.content, text);
  EXPECT_TRUE(read.calls.empty());
  EXPECT_TRUE(read.malformed.empty());
  EXPECT_EQ(read.end, End::eos);
}

TEST(ParseTokens, SpansAreToldInTokens) {
  Parser parser(kTokens);
  for (const Piece& piece : {Piece{"be", false}, Piece{"cause", false}, Piece{kEndThink, true},
                             Piece{"Yes", false}, Piece{kEos, true}})
    parser.feed(piece);
  const auto& read = parser.finish();
  ASSERT_EQ(read.spans.size(), 4U);
  EXPECT_EQ(read.spans[0].part, Part::reasoning);
  EXPECT_EQ(parser.pieces_before(read.spans[0].end), 2U);
  EXPECT_EQ(parser.pieces_before(read.spans[1].end), 3U);
  EXPECT_EQ(parser.pieces_before(read.spans[3].end), 5U);
  EXPECT_TRUE(parser.ended());
}

TEST(Parse, CallIdsDependOnKeyAndIndexAlone) {
  EXPECT_EQ(call_id("k", 0), call_id("k", 0));
  EXPECT_NE(call_id("k", 0), call_id("k", 1));
  EXPECT_NE(call_id("k", 0), call_id("l", 0));
  EXPECT_EQ(call_id("k", 0).size(), 29U);
}

}  // namespace
}  // namespace seedbed::engine::chat
