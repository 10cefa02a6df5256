// A page as a list of parts, so that text and HTML say the same. Everything in it is plain text;
// the HTML writer escapes it all.
#pragma once
#include <string>
#include <utility>
#include <vector>

namespace seedbed::agent {

struct Part {
  enum class Kind : std::uint8_t { heading, text, code, facts, table, mark, open, close };
  Kind kind = Kind::text;
  int level = 2;                               // heading; open: 1 where it stands open at first
  bool holds = false;                          // mark
  std::string text;                            // heading, text, code, mark; open: the summary line
  std::string tag;                             // open: a word before the summary (role, outcome)
  std::vector<std::string> head;               // table
  std::vector<std::vector<std::string>> rows;  // facts (name, value), table
};

class Page {
 public:
  explicit Page(std::string title) : title_(std::move(title)) {}
  void heading(int level, std::string text);
  void text(std::string text);
  void code(std::string text);
  void facts(std::vector<std::vector<std::string>> rows);
  void table(std::vector<std::string> head, std::vector<std::vector<std::string>> rows);
  void mark(bool holds, std::string text);
  void open(std::string tag, std::string summary, bool at_first);
  void close();

  [[nodiscard]] std::string as_text() const;
  [[nodiscard]] std::string as_html() const;

 private:
  Part& add(Part::Kind kind);
  std::string title_;
  std::vector<Part> parts_;
};

std::string html_escape(std::string_view text);

}  // namespace seedbed::agent
