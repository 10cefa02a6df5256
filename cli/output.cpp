#include "cli/output.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/clock.h"

namespace seedbed::cli {
namespace {

constexpr std::int64_t kQuietUs = 2'000'000;  // nothing is shown before
constexpr std::int64_t kTtyEveryUs = 200'000;
constexpr std::int64_t kLogEveryUs = 5'000'000;

bool is_numeric(const std::string& cell) {
  return !cell.empty() && (cell == "-" || (cell[0] >= '0' && cell[0] <= '9'));
}

// Columns a terminal gives the text: UTF-8 continuation bytes take none.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
}

}  // namespace

std::string format_table(const Table& table) {
  const std::size_t columns = table.header.size();
  std::vector<std::size_t> widths(columns);
  std::vector<bool> right(columns, !table.rows.empty());
  for (std::size_t c = 0; c < columns; ++c) {
    widths[c] = width(table.header[c]);
    for (const auto& row : table.rows) {
      widths[c] = std::max(widths[c], width(row[c]));
      if (!is_numeric(row[c])) right[c] = false;
    }
  }
  std::string out;
  const auto print = [&](const std::vector<std::string>& row) {
    std::string line;
    for (std::size_t c = 0; c < columns; ++c) {
      if (c > 0) line += "  ";
      const std::string pad(widths[c] - width(row[c]), ' ');
      line += right[c] ? pad + row[c] : row[c] + pad;
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    out += line + "\n";
  };
  print(table.header);
  for (const auto& row : table.rows) print(row);
  return out;
}

std::string format_count(std::int64_t n) {
  std::string digits = std::to_string(n < 0 ? -n : n);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return n < 0 ? "-" + digits : digits;
}

std::string format_share(double part, double whole) {
  return whole > 0 ? fmt::format("{:.1f} %", 100.0 * part / whole) : "-";
}

std::string format_seconds(double seconds) {
  if (seconds < 1) return fmt::format("{:.0f} ms", seconds * 1000);
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  return fmt::format("{} min {:02} s", whole / 60, whole % 60);
}

Output::Output() : tty_(isatty(STDERR_FILENO) == 1) {}

void Output::line(std::string_view text) {
  if (json_) return;
  raw(std::string(text) + "\n");
}

void Output::table(const Table& table) {
  if (!json_) raw(format_table(table));
}

void Output::raw(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  clear_progress();
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size() && errno != EPIPE)
    failed_ = true;
}

void Output::object(const schemas::Value& value) {
  if (json_) raw(schemas::dump(value) + "\n");
}

void Output::status(std::string_view text) {
  const std::lock_guard lock(mutex_);
  clear_progress();
  std::fflush(stdout);  // so that the two streams keep their order where both reach one file
  std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
}

void Output::error(const Error& error) {
  status("seedbed: " + error.message);
}

bool Output::finish() {
  const std::lock_guard lock(mutex_);
  clear_progress();
  if (std::fflush(stdout) != 0 && errno != EPIPE) failed_ = true;
  return !failed_;
}

void Output::progress_line(const std::string& text, bool last) {
  const std::lock_guard lock(mutex_);
  if (tty_) {
    std::fprintf(stderr, "\r\033[K%s%s", text.c_str(), last ? "\n" : "");
    line_open_ = !last;
  } else {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
  std::fflush(stderr);
}

void Output::clear_progress() {
  if (line_open_) std::fputs("\r\033[K", stderr);
  line_open_ = false;
}

Progress::Progress(Output& out, std::string what, std::string unit)
    : out_(out),
      what_(std::move(what)),
      unit_(std::move(unit)),
      begin_us_(monotonic_us()),
      shown_us_(begin_us_) {}

Progress::~Progress() {
  const std::lock_guard lock(out_.mutex_);
  out_.clear_progress();
}

void Progress::at(std::int64_t done, std::int64_t total, std::string_view extra) {
  const std::lock_guard lock(mutex_);
  if (first_done_ < 0) first_done_ = done;  // what an earlier run left is no part of the rate
  const auto now = monotonic_us();
  if (now - begin_us_ < kQuietUs || now - shown_us_ < (out_.tty_ ? kTtyEveryUs : kLogEveryUs))
    return;
  shown_us_ = now;
  auto text = progress_text(what_, unit_, first_done_, done, total,
                            static_cast<double>(now - begin_us_) / 1e6);
  if (!extra.empty()) text.append(", ").append(extra);
  out_.progress_line(text, false);
}

std::string progress_text(std::string_view what,
                          std::string_view unit,
                          std::int64_t first,
                          std::int64_t done,
                          std::int64_t total,
                          double seconds) {
  const double rate = seconds > 0 ? static_cast<double>(done - first) / seconds : 0;
  auto text = fmt::format("{}: {} of {} {}", what, format_count(done), format_count(total), unit);
  if (rate <= 0) return text;
  text += rate < 10 ? fmt::format(", {:.1f}/s", rate)
                    : fmt::format(", {}/s", format_count(static_cast<std::int64_t>(rate)));
  if (total > done)
    text += ", " + format_seconds(static_cast<double>(total - done) / rate) + " left";
  return text;
}

}  // namespace seedbed::cli
