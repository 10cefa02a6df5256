// `seedbed sandbox run`: what the command line asks for.
#pragma once
#include <string>
#include <vector>

#include "sandbox/box/box.h"

namespace seedbed::sandbox::box {

enum class Level : std::uint8_t {
  strict,
  standard
};  // standard: does without control groups, Landlock and /proc

struct RunOptions {
  Request request;
  Level level = Level::strict;
  std::int64_t wall_ms = 60'000, cpu_ms = 0;  // cpu_ms: of the whole tree; 0: none
  std::int64_t output_kib = 256;              // of each stream, with --json
  std::vector<std::string> env, argv, collect;
  std::string directory = "/work", out;  // out: where collected files go
  std::int64_t collect_kib = 16'384;     // largest file that is collected
  bool json = false, help = false;
};

// Empty: all is well; else what is wrong, in four parts.
std::string read_options(int argc, char** argv, RunOptions& out);
std::string run_help();

// seedbed-box run: the words after `run`. Returns the exit code.
int run(int argc, char** argv);

}  // namespace seedbed::sandbox::box
