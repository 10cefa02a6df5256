// Reading completions of an agent: reasoning, prose, calls with long and short values. Whole, and
// in chunks of 4 bytes with the deltas taken after each, as a server streams them. Processor time
// of one core.
//   bench dsml_parse chunk=whole bytes=.. mb_s=..
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

#include "engine/chat/message.h"
#include "engine/chat/parse.h"
#include "engine/chat/render.h"
#include "engine/chat/strict.h"

namespace {

using namespace seedbed::engine::chat;

std::string code(int lines) {
  std::string out;
  for (int i = 0; i < lines; ++i)
    out += "  if (a < b && \"x\" != s) run(a[" + std::to_string(i) + "], 2>&1);  # 漢字 <p>\n";
  return out;
}

std::string completion() {
  std::string out = "I look for the order first";
  for (int i = 0; i < 40; ++i)
    out += ", then I compare what a < b says about line " + std::to_string(i);
  out += ".</think>I open the order.\n\n<｜DSML｜function_calls>\n";
  for (int call = 0; call < 4; ++call) {
    out += "<｜DSML｜invoke name=\"write_file\">\n";
    out += "<｜DSML｜parameter name=\"path\" string=\"true\">src/a" + std::to_string(call) +
           ".c</｜DSML｜parameter>\n";
    out += "<｜DSML｜parameter name=\"mode\" string=\"false\">420</｜DSML｜parameter>\n";
    out +=
        "<｜DSML｜parameter name=\"text\" string=\"true\">" + code(16) + "</｜DSML｜parameter>\n";
    out +=
        "<｜DSML｜parameter name=\"marks\" string=\"false\">[1, 2, {\"a\": "
        "\"b\"}]</｜DSML｜parameter>\n";
    out += "</｜DSML｜invoke>\n";
  }
  return out + "</｜DSML｜function_calls><｜end▁of▁sentence｜>";
}

// Best of several rounds, each long enough to time.
template <class F>
double mb_per_s(std::size_t bytes, F&& run) {
  double best = 0;
  for (int round = 0; round < 7; ++round) {
    constexpr int kTimes = 1000;
    const auto begin = std::clock();  // of this process: one thread, so of one core
    for (int i = 0; i < kTimes; ++i) run();
    const auto us = static_cast<double>(std::clock() - begin) * 1e6 / CLOCKS_PER_SEC;
    best = std::max(best, static_cast<double>(bytes) * kTimes / us);
  }
  return best;
}

std::size_t parse(std::string_view text, std::size_t chunk) {
  Parser parser;
  std::size_t seen = 0;
  const auto take = [&seen](const Delta& delta) { seen += delta.text.size(); };
  for (std::size_t at = 0; at < text.size(); at += chunk) {
    parser.feed(text.substr(at, chunk));
    parser.drain(take);
  }
  const auto& read = parser.finish(End::eos);
  parser.drain(take);
  if (read.calls.size() != 4 || !read.malformed.empty()) std::exit(1);
  return seen;
}

}  // namespace

int main() {
  const auto text = completion();
  std::size_t sum = 0;
  const auto report = [&](const char* op, const char* chunk, auto&& run) {
    std::printf("bench %s chunk=%s bytes=%zu mb_s=%.0f\n", op, chunk, text.size(),
                mb_per_s(text.size(), run));
  };
  report("dsml_parse", "whole", [&] { sum += parse(text, text.size()); });
  report("dsml_parse", "4", [&] { sum += parse(text, 4); });
  report("dsml_parse_strict", "whole", [&] { sum += parse_strict(text, true)->calls.size(); });
  return sum == 0 ? 1 : 0;
}
