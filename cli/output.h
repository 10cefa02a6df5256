// The only place that prints. Data goes to stdout, status and progress to stderr; with --json one
// object at the end is all the data there is. Thread-safe: lanes report progress while the command
// waits.
#pragma once
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schemas/value.h"

namespace seedbed::cli {

struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  // each as long as the header
};

// Columns padded to their widest cell; columns whose every cell starts with a digit (or is "-") are
// right-aligned.
std::string format_table(const Table& table);
std::string format_count(std::int64_t n);             // 12,345
std::string format_share(double part, double whole);  // "12.3 %", "-" where whole is 0
std::string format_seconds(double seconds);           // "850 ms", "12.3 s", "4 min 05 s"

class Output {
 public:
  Output();
  void set_json(bool json) { json_ = json; }
  [[nodiscard]] bool json() const { return json_; }

  void line(std::string_view text);          // data for people: left out under --json
  void table(const Table& table);            // the same
  void raw(std::string_view bytes);          // data in any mode, exactly these bytes
  void object(const schemas::Value& value);  // under --json: the one object
  void status(std::string_view text);        // stderr
  void error(const Error& error);
  // True when all the data reached its reader; false when stdout was full or failed. A reader that
  // left early (EPIPE) is fine.
  bool finish();

 private:
  friend class Progress;
  void progress_line(const std::string& text, bool last);
  void clear_progress();

  std::mutex mutex_;
  bool json_ = false;
  bool tty_ = false;
  bool line_open_ = false;  // a progress line stands on the terminal
  bool failed_ = false;
};

// "generating: 120 of 1,300 slots, 41/s, 29 s left" for anything over two seconds: one line
// rewritten on a terminal, a line every five seconds otherwise.
class Progress {
 public:
  Progress(Output& out, std::string what, std::string unit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void at(std::int64_t done, std::int64_t total, std::string_view extra = {});

 private:
  Output& out_;
  std::string what_, unit_;
  std::mutex mutex_;
  std::int64_t begin_us_, shown_us_;
  std::int64_t first_done_ = -1;
};

// The text of one progress line; the rate counts what was done since `first`.
std::string progress_text(std::string_view what,
                          std::string_view unit,
                          std::int64_t first,
                          std::int64_t done,
                          std::int64_t total,
                          double seconds);

}  // namespace seedbed::cli
