// A bash that stays in a box: directory, variables, functions and background jobs are kept from one
// command to the next.
//
// The shell reads commands from its standard input and tells how each ended on a descriptor that
// commands do not have. Output and errors of a command are one text, in the order in which they
// were written. At the deadline the command is interrupted, then what it runs is killed; the shell
// and the background jobs of earlier commands stay. A shell that ends, or that heeds no interrupt,
// is replaced by a new one, and the reply says so.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/hosts/resident.h"
#include "sandbox/hosts/work_files.h"

namespace seedbed::sandbox {

struct ShellReply {
  enum class End : std::uint8_t {
    done,         // exit_code
    deadline,     // what it ran was ended; the shell is the same
    shell_ended,  // `exit`, or something killed it (exit_code, or -1): the next command has a new
                  // shell
    box_ended     // all is lost
  };
  End end = End::done;
  int exit_code = 0;
  std::string output;
  std::uint64_t output_bytes = 0;  // before anything was left out
  std::string directory;           // afterwards; as it was where the shell ended
  std::int64_t wall_us = 0;
};
constexpr std::array<std::string_view, 4> enum_names(ShellReply::End) {
  return {"done", "deadline", "shell_ended", "box_ended"};
}

class ShellHost {
 public:
  struct Options {
    std::vector<std::string> env = Command{}.env;
    std::string directory = "/work";
    std::size_t output_bytes = 256 << 10;
    std::uint64_t file_bytes = 4 << 20;  // of a file that is read or written
  };
  // Error{sandbox}: the box has no bash.
  static Result<std::unique_ptr<ShellHost>> open(std::unique_ptr<LiveBox> box, Options options);

  // Error: the machine's fault alone.
  Result<ShellReply> run(std::string_view command, Milliseconds wall);

  // Files below /work, named absolutely or from there; never through links. Whatever the box's
  // programs put there, no other file of the host is touched.
  FileReply read_file(const std::string& path);
  FileReply write_file(const std::string& path, std::string_view text);  // folders are made
  // `from` must occur exactly once.
  FileReply replace(const std::string& path, std::string_view from, std::string_view to);
  FileReply list(const std::string& path);  // a line each: "name", folders with "/", links with "@"

  [[nodiscard]] LiveBox& box() { return *box_; }
  // Ends it all.
  std::unique_ptr<LiveBox> take_box();

 private:
  ShellHost(std::unique_ptr<LiveBox> box, Options options)
      : box_(std::move(box)), options_(std::move(options)) {}
  Step start();
  Heard hear(std::int64_t id, Resident::Clock::time_point deadline, box::BoundedText& text);
  ShellReply end_of(const Heard& heard, ShellReply reply);

  std::unique_ptr<LiveBox> box_;
  Options options_;
  std::unique_ptr<Resident> shell_;
  std::string directory_;
  std::vector<int> background_;  // process groups
  std::int64_t next_ = 1;
};

}  // namespace seedbed::sandbox
