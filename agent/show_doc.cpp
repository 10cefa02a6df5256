#include "agent/show_doc.h"

#include <algorithm>
#include <string_view>

#include "base/text.h"

namespace seedbed::agent {
namespace {

constexpr std::string_view kStyle = R"(
:root{color-scheme:light dark;--back:#fdfdfb;--ink:#1d2125;--soft:#646b73;--line:#dcdfe3;--card:#f4f5f6;--yes:#1a7f37;--no:#c62f2f;--tag:#2457a6}
@media (prefers-color-scheme:dark){:root{--back:#16181b;--ink:#e4e6e9;--soft:#9aa2ab;--line:#343a41;--card:#1f2327;--yes:#4cc26a;--no:#ff7b72;--tag:#86b3ff}}
*{box-sizing:border-box}body{margin:2rem auto;max-width:64rem;padding:0 1rem;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0 0 1rem}h2{font-size:1.15rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}h3{font-size:1rem;margin:1.2rem 0 .3rem}
p{white-space:pre-wrap;margin:.4rem 0;overflow-wrap:anywhere}pre{background:var(--card);border:1px solid var(--line);border-radius:4px;padding:.6rem;margin:.4rem 0;overflow-x:auto;font:13px/1.45 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;margin:.4rem 0}th,td{text-align:left;vertical-align:top;border-bottom:1px solid var(--line);padding:.3rem .6rem .3rem 0;overflow-wrap:anywhere}th{color:var(--soft);font-weight:600}
details{border:1px solid var(--line);border-radius:4px;margin:.5rem 0;padding:.3rem .7rem}summary{cursor:pointer;overflow-wrap:anywhere}
.tag{color:var(--tag);font-weight:600;margin-right:.5rem}.yes{color:var(--yes)}.no{color:var(--no)}.mark{margin:.1rem 0}
)";

// Indented by the depth of what is open.
void put_lines(std::string& out, int depth, std::string_view text) {
  for (const auto& line : split(text, '\n'))
    out += std::string(static_cast<std::size_t>(depth) * 2, ' ') + line + "\n";
}

void text_table(std::string& out, int depth, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::min<std::size_t>(36, std::max(widths[i], row[i].size()));
    }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size())
        line += std::string(widths[i] > row[i].size() ? widths[i] - row[i].size() + 2 : 2, ' ');
    }
    put_lines(out, depth, line);
  }
}

std::string cells(const std::vector<std::string>& row, const char* element) {
  std::string out = "<tr>";
  for (const auto& cell : row)
    out += std::string("<") + element + ">" + html_escape(cell) + "</" + element + ">";
  return out + "</tr>\n";
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        // Control characters do nothing good in a page or a terminal.
        out +=
            (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? ' ' : c;
    }
  }
  return out;
}

Part& Page::add(Part::Kind kind) {
  parts_.emplace_back();
  parts_.back().kind = kind;
  return parts_.back();
}
void Page::heading(int level, std::string text) {
  Part& part = add(Part::Kind::heading);
  part.level = level;
  part.text = std::move(text);
}
void Page::text(std::string text) {
  add(Part::Kind::text).text = std::move(text);
}
void Page::code(std::string text) {
  add(Part::Kind::code).text = std::move(text);
}
void Page::facts(std::vector<std::vector<std::string>> rows) {
  add(Part::Kind::facts).rows = std::move(rows);
}
void Page::table(std::vector<std::string> head, std::vector<std::vector<std::string>> rows) {
  Part& part = add(Part::Kind::table);
  part.head = std::move(head);
  part.rows = std::move(rows);
}
void Page::mark(bool holds, std::string text) {
  Part& part = add(Part::Kind::mark);
  part.holds = holds;
  part.text = std::move(text);
}
void Page::open(std::string tag, std::string summary, bool at_first) {
  Part& part = add(Part::Kind::open);
  part.tag = std::move(tag);
  part.text = std::move(summary);
  part.level = at_first ? 1 : 0;
}
void Page::close() {
  add(Part::Kind::close);
}

std::string Page::as_text() const {
  std::string out =
      title_ + "\n" + std::string(std::min<std::size_t>(title_.size(), 100), '=') + "\n";
  int depth = 0;
  for (const auto& part : parts_) {
    switch (part.kind) {
      case Part::Kind::heading:
        out += "\n";
        put_lines(out, depth, (part.level <= 2 ? "## " : "### ") + part.text);
        break;
      case Part::Kind::text:
        put_lines(out, depth, part.text);
        break;
      case Part::Kind::code:
        put_lines(out, depth + 1, part.text);
        break;
      case Part::Kind::facts:
        text_table(out, depth, part.rows);
        break;
      case Part::Kind::table:
        text_table(out, depth, part.rows);
        break;
      case Part::Kind::mark:
        put_lines(out, depth, (part.holds ? "[x] " : "[ ] ") + part.text);
        break;
      case Part::Kind::open:
        put_lines(out, depth, (part.tag.empty() ? "" : part.tag + ": ") + part.text);
        ++depth;
        break;
      case Part::Kind::close:
        --depth;
        break;
    }
  }
  // A tool's bytes must not steer the reader's terminal.
  for (char& c : out)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) c = '?';
  return out;
}

std::string Page::as_html() const {
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
      "'unsafe-inline'\">\n<title>" +
      html_escape(title_) + "</title>\n<style>" + std::string(kStyle) +
      "</style></head><body>\n<h1>" + html_escape(title_) + "</h1>\n";
  for (const auto& part : parts_) {
    const std::string text = html_escape(part.text);
    const std::string level = std::to_string(std::clamp(part.level, 2, 4));
    switch (part.kind) {
      case Part::Kind::heading:
        out += "<h" + level + ">" + text + "</h" + level + ">\n";
        break;
      case Part::Kind::text:
        out += "<p>" + text + "</p>\n";
        break;
      case Part::Kind::code:
        out += "<pre>" + text + "</pre>\n";
        break;
      case Part::Kind::facts:
      case Part::Kind::table:
        out += "<table>\n";
        if (!part.head.empty()) out += cells(part.head, "th");
        for (const auto& row : part.rows) out += cells(row, "td");
        out += "</table>\n";
        break;
      case Part::Kind::mark:
        out += std::string("<p class=\"mark\"><span class=\"") +
               (part.holds ? "yes\">&#10003;" : "no\">&#10007;") + "</span> " + text + "</p>\n";
        break;
      case Part::Kind::open:
        out +=
            std::string("<details") + (part.level == 1 ? " open" : "") + "><summary>" +
            (part.tag.empty() ? "" : "<span class=\"tag\">" + html_escape(part.tag) + "</span>") +
            text + "</summary>\n";
        break;
      case Part::Kind::close:
        out += "</details>\n";
        break;
    }
  }
  return out + "</body></html>\n";
}

}  // namespace seedbed::agent
