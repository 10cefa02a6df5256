// The form of the tree, held by a test: who may include whom, where third-party headers live, and
// what no file may hold.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Found = std::vector<std::string>;  // "path:line: what is wrong"

// Folder -> folders whose headers it may see, besides its own.
const std::map<std::string, std::set<std::string>> kMaySee = {
    {"base", {}},
    {"schemas", {"base"}},
    {"tasks", {"base", "schemas"}},
    {"sandbox", {"base", "schemas"}},
    {"kernels", {"base"}},
    {"engine", {"base", "schemas", "kernels"}},
    {"envgen", {"base", "schemas", "tasks", "sandbox"}},
    {"agent", {"base", "schemas", "tasks", "sandbox", "engine"}},
    {"cli", {"base", "schemas", "tasks", "sandbox", "kernels", "engine", "envgen", "agent"}},
};

// Third-party headers by the beginning of their name -> path prefixes that may include them, and
// whether a header of ours may.
struct Home {
  std::string header;
  std::vector<std::string> folders;
  bool in_headers;
};
const std::vector<Home> kHomes = {
    {"sqlite3", {"tasks/", "sandbox/sql/"}, true},
    {"curl/", {"agent/"}, true},
    {"boost/", {"sandbox/", "agent/", "engine/server/"}, false},
    {"zstd", {"tasks/"}, false},
    {"xxhash", {"base/"}, false},
    {"pcre2", {"schemas/", "engine/text/"}, false},
    {"nlohmann/",
     {"base/", "schemas/", "tasks/", "sandbox/", "envgen/", "agent/", "engine/", "cli/"},
     false},
    {"fmt/",
     {"base/", "schemas/", "tasks/", "sandbox/", "envgen/", "agent/", "engine/", "cli/"},
     false},
    {"spdlog/", {"cli/"}, false},
    {"CLI/", {"cli/"}, false},
    {"hwy/", {"kernels/"}, false},
    {"cuda", {"kernels/", "engine/"}, true},
    {"cublas", {"kernels/"}, true},
    {"gtest/", {}, false},
    {"gmock/", {}, false},
    {"benchmark/", {}, false},
};

// A piece of code that must not stand in files whose path begins so. A token that begins with a
// letter matches whole words.
struct Banned {
  std::string token;
  std::vector<std::string> folders;
  std::string why;
};
const std::vector<std::string> kPure = {"base/", "schemas/", "tasks/", "envgen/"};
const std::vector<std::string> kLibraries = {"base/",   "schemas/", "tasks/",   "sandbox/",
                                             "envgen/", "agent/",   "kernels/", "engine/"};
const std::vector<Banned> kBanned = {
    {"random_device", kPure, "draws come from keyed streams (base/rng.h)"},
    {"std::shuffle", kPure, "its order differs between standard libraries: Rng::shuffle"},
    {"mt19937", kPure, "draws come from keyed streams (base/rng.h)"},
    {"uniform_int_distribution", kPure, "its values differ between standard libraries: Rng::below"},
    {"rand(", kPure, "draws come from keyed streams (base/rng.h)"},
    {"srand(", kPure, "draws come from keyed streams (base/rng.h)"},
    {"system_clock", {"schemas/", "envgen/"}, "generation never reads a clock"},
    {"steady_clock", {"schemas/"}, "formats have no clock"},
    {"std::cout", kLibraries, "cli/ alone prints"},
    {"std::cerr", kLibraries, "cli/ alone prints"},
    {"printf(", kLibraries, "cli/ alone prints"},
    {"puts(", kLibraries, "cli/ alone prints"},
    {"source_location", kLibraries, "clang-tidy 14 cannot read it: SEEDBED_CHECK"},
    {"std::views", kLibraries, "clang-tidy 14 cannot read it"},
};
const std::set<std::string> kMayPrint = {"base/check.cpp"};  // the last words before an abort

bool begins(const std::string& text, const std::string& prefix) {
  return text.rfind(prefix, 0) == 0;
}
bool in_any(const std::string& path, const std::vector<std::string>& folders) {
  return std::any_of(folders.begin(), folders.end(),
                     [&](const std::string& folder) { return begins(path, folder); });
}
bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}
bool is_header(const std::string& path) {
  return path.ends_with(".h") || path.ends_with(".cuh") || path.ends_with(".hpp");
}
bool is_code(const std::string& path) {
  return is_header(path) || path.ends_with(".cpp") || path.ends_with(".cc") ||
         path.ends_with(".cu");
}
bool is_program(const std::string& path) {
  return path.ends_with(".cc");
}  // has a main of its own, or belongs to one

// The line without comment and without what stands in quotes, so that only code is searched.
std::string code_of(const std::string& line) {
  std::string out;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote != 0) {
      if (c == '\\')
        ++i;
      else if (c == quote)
        quote = 0;
      continue;
    }
    if (c == '/' && i + 1 < line.size() && line[i + 1] == '/') break;
    if (c == '"' || (c == '\'' && (i == 0 || !is_word(line[i - 1]))))
      quote = c;  // 1'000 is no quote
    out += c;
  }
  return out;
}

bool has_token(const std::string& text, const std::string& token) {
  for (std::size_t at = 0; (at = text.find(token, at)) != std::string::npos; ++at) {
    const bool open = at > 0 && is_word(token.front()) && is_word(text[at - 1]);
    const std::size_t end = at + token.size();
    const bool goes_on = end < text.size() && is_word(token.back()) && is_word(text[end]);
    if (!open && !goes_on) return true;
  }
  return false;
}

// The name in #include <x> or "x"; empty where the line is none.
std::string included(const std::string& line) {
  const auto hash = line.find_first_not_of(" \t");
  if (hash == std::string::npos || line[hash] != '#') return "";
  const auto word = line.find_first_not_of(" \t", hash + 1);
  if (word == std::string::npos || line.compare(word, 7, "include") != 0) return "";
  const auto open = line.find_first_of("<\"", word);
  if (open == std::string::npos) return "";
  const auto close = line.find(line[open] == '<' ? '>' : '"', open + 1);
  return close == std::string::npos ? "" : line.substr(open + 1, close - open - 1);
}

void check_include(const std::string& path,
                   const std::string& at,
                   const std::string& name,
                   Found& found) {
  const auto folder = path.substr(0, path.find('/'));
  const auto see = kMaySee.find(folder);
  if (see == kMaySee.end()) return;  // tests, benchmarks and fuzzers see all
  const auto other = name.substr(0, name.find('/'));
  if (kMaySee.contains(other) && other != folder && !see->second.contains(other))
    found.push_back(at + folder + " may not include " + name);
  if (name.find("../") != std::string::npos)
    found.push_back(at + "includes go from the root of the tree: " + name);
  for (const auto& home : kHomes) {
    if (!begins(name, home.header)) continue;
    if (!in_any(path, home.folders))
      found.push_back(at + name + " has another home");
    else if (!home.in_headers && is_header(path))
      found.push_back(at + name + " does not belong in a header");
  }
}

void check_marks(const std::string& at, const std::string& line, Found& found) {
  for (const char* mark : {"TO"
                           "DO",
                           "FIX"
                           "ME",
                           "XX"
                           "X",
                           "HA"
                           "CK"})
    if (has_token(line, mark)) found.push_back(at + "a mark of unfinished work: " + mark);
  for (const char* root : {"/ho"
                           "me/",
                           "/ro"
                           "ot/",
                           "/wo"
                           "rk/",
                           "/Us"
                           "ers/"})
    for (std::size_t i = 0; (i = line.find(root, i)) != std::string::npos; ++i)
      if (i == 0 || std::string(" \t\"'`=(<:,").find(line[i - 1]) != std::string::npos)
        found.push_back(at + "a path of one machine: " + root);
}

// All that is wrong with one file.
Found scan(const std::string& path, const std::string& text) {
  Found found;
  std::istringstream in(text);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const auto at = path + ":" + std::to_string(number) + ": ";
    check_marks(at, line, found);
    if (!is_code(path)) continue;
    if (const auto name = included(line); !name.empty()) {
      check_include(path, at, name, found);
      if (name == "random" && in_any(path, kPure))
        found.push_back(at + "draws come from keyed streams (base/rng.h)");
      continue;
    }
    const auto code = code_of(line);
    for (const auto& banned : kBanned) {
      if (!in_any(path, banned.folders) || !has_token(code, banned.token)) continue;
      if (banned.why == "cli/ alone prints" && (is_program(path) || kMayPrint.contains(path)))
        continue;
      found.push_back(at + banned.token + ": " + banned.why);
    }
  }
  return found;
}

bool is_text(const std::string& path) {
  for (const char* ending : {".h", ".hpp", ".cpp", ".cc", ".cu", ".cuh", ".md", ".py", ".sql",
                             ".json", ".cmake", ".txt", ".sh"})
    if (path.ends_with(ending)) return true;
  return path == "dev" || path == ".ci/run";
}

TEST(Tidy, TheTreeKeepsItsForm) {
  namespace fs = std::filesystem;
  const fs::path root = SEEDBED_SOURCE_DIR;
  const std::set<std::string> left_out = {".git", "build", "demo", "__pycache__"};
  Found found;
  std::size_t files = 0;
  for (auto it = fs::recursive_directory_iterator(root); it != fs::recursive_directory_iterator();
       ++it) {
    const auto path = fs::relative(it->path(), root).generic_string();
    if (it->is_directory() && (left_out.contains(it->path().filename().string()) ||
                               path == "tests/data" || path == "bench/results")) {
      it.disable_recursion_pending();
      continue;
    }
    if (!it->is_regular_file() || !is_text(path)) continue;
    std::ifstream in(it->path());
    std::stringstream text;
    text << in.rdbuf();
    ++files;
    for (auto& what : scan(path, text.str())) found.push_back(std::move(what));
  }
  EXPECT_GT(files, 50U) << "the scan did not see the tree";
  for (const auto& what : found) ADD_FAILURE() << what;
}

struct Planted {
  const char* path;
  const char* text;
};

TEST(Tidy, FindsEveryPlantedViolation) {
  const Planted violations[] = {
      {"base/x.h", "#include \"schemas/value.h\"\n"},
      {"schemas/x.cpp", "#include \"tasks/store.h\"\n"},
      {"tasks/x.cpp", "#include \"sandbox/jail.h\"\n"},
      {"sandbox/sql/x.cpp", "#include \"tasks/store.h\"\n"},
      {"envgen/general/x.cpp", "#include \"agent/run.h\"\n"},
      {"agent/x.cpp", "#include \"envgen/generate.h\"\n"},
      {"engine/x.cpp", "#include \"tasks/store.h\"\n"},
      {"kernels/x.cpp", "#include \"engine/model.h\"\n"},
      {"tasks/x.cpp", "#include \"cli/output.h\"\n"},
      {"tasks/x.cpp", "  #  include \"../sandbox/jail.h\"\n"},
      {"agent/x.cpp", "#include <sqlite3.h>\n"},
      {"sandbox/x.cpp", "#include <sqlite3.h>\n"},
      {"tasks/x.cpp", "#include <curl/curl.h>\n"},
      {"envgen/x.cpp", "#include <boost/asio.hpp>\n"},
      {"agent/x.h", "#include <nlohmann/json.hpp>\n"},
      {"cli/x.h", "#include <fmt/core.h>\n"},
      {"tasks/x.cpp", "#include <CLI/CLI.hpp>\n"},
      {"base/x.cpp", "#include <gtest/gtest.h>\n"},
      {"envgen/x.cpp", "#include <random>\n"},
      {"envgen/x.cpp", "  std::shuffle(a.begin(), a.end(), g);\n"},
      {"envgen/x.cpp", "  std::random_device d;\n"},
      {"envgen/x.cpp", "  const int x = rand() % 6;\n"},
      {"envgen/x.cpp", "  auto t = std::chrono::system_clock::now();\n"},
      {"agent/x.cpp", "  std::cout << 1;\n"},
      {"tasks/x.cpp", "  printf(\"x\");\n"},
      {"README.md",
       "// TO"
       "DO: write\n"},
      {"dev",
       "cd /ho"
       "me/me\n"},
  };
  for (const auto& planted : violations)
    EXPECT_EQ(scan(planted.path, planted.text).size(), 1U) << planted.path << ": " << planted.text;
}

TEST(Tidy, LetsWhatIsAllowedPass) {
  const Planted allowed[] = {
      {"schemas/x.h", "#include \"base/result.h\"\n#include <vector>\n"},
      {"tasks/x.cpp", "#include <sqlite3.h>\n#include <zstd.h>\n"},
      {"sandbox/sql/x.cpp", "#include <sqlite3.h>\n"},
      {"agent/x.cpp",
       "#include <curl/curl.h>\n#include <boost/asio.hpp>\n#include <nlohmann/json.hpp>\n"},
      {"cli/x.cpp",
       "#include \"envgen/generate.h\"\n#include \"agent/run.h\"\n#include <CLI/CLI.hpp>\n"},
      {"tests/agent/x_test.cpp", "#include <gtest/gtest.h>\n#include \"agent/run.h\"\n"},
      {"envgen/x.cpp", "  rng.shuffle(rows);  // never std::shuffle\n  operand(1);\n"},
      {"envgen/x.cpp", "  const char* text = \"rand() in words\";\n"},
      {"tasks/x.cpp", "  std::snprintf(buffer, sizeof buffer, \"%d\", 1'000);\n"},
      {"sandbox/broker/main.cc", "  std::fprintf(stderr, \"x\");\n"},
      {"base/check.cpp", "  std::fprintf(stderr, \"x\");\n"},
      {"base/x.cpp", "  return make_error(Where::usage, what, at, found, todo);\n"},
      {"sandbox/x.cpp", "  mount(\"/tmp/jail\", \"/\");\n"},
  };
  for (const auto& planted : allowed) {
    const auto found = scan(planted.path, planted.text);
    EXPECT_TRUE(found.empty()) << planted.path << ": " << (found.empty() ? "" : found[0]);
  }
}

}  // namespace
