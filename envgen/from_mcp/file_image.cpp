#include "envgen/from_mcp/file_image.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "sandbox/hosts/file_rows.h"
#include "tasks/image.h"
#include "tasks/judge_db.h"

namespace seedbed::envgen {
namespace {

using sandbox::kFileKinds;
using sandbox::WorkEntry;
using sandbox::WorkState;
using schemas::Scalar;
using Kind = WorkEntry::Kind;

constexpr std::string_view kDigits = "0123456789abcdef";
constexpr std::size_t kPart = 256 << 10;  // bytes of a value: judges read no longer ones than 1 MiB

std::string hex_of(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += kDigits[byte >> 4U];
    out += kDigits[byte & 15U];
  }
  return out;
}

bool add_hex(const std::string& hex, std::string& out) {
  if (hex.size() % 2 != 0) return false;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const auto high = kDigits.find(hex[i]), low = kDigits.find(hex[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return false;
    out += static_cast<char>(high * 16 + low);
  }
  return true;
}

Error no_files(const std::string& found) {
  return make_error(Where::store, "image", "files of a server", "found " + found + ", wanted files",
                    "make the environment again");
}

// Relative, without "." and "..": what may be made in an empty folder.
bool plain_relative(const std::string& path) {
  for (std::size_t at = 0; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = std::string_view(path).substr(at, end - at);
    if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
    at = end + 1;
  }
  return path.find('\0') == std::string::npos;
}

// The order of WorkState: what a folder holds comes right after it.
bool before_in_tree(const WorkEntry& a, const WorkEntry& b) {
  return std::lexicographical_compare(
      a.path.begin(), a.path.end(), b.path.begin(), b.path.end(), [](char x, char y) {
        const auto rank = [](char c) { return c == '/' ? 0 : static_cast<unsigned char>(c) + 1; };
        return rank(x) < rank(y);
      });
}

// Each path once, and what it lies in is a folder before it.
bool is_tree(const WorkState& files) {
  std::set<std::string_view> folders;
  const std::string* last = nullptr;
  for (const auto& entry : files.entries) {
    const std::size_t slash = entry.path.rfind('/');
    if (last != nullptr && *last == entry.path) return false;
    if (slash != std::string::npos &&
        folders.count(std::string_view(entry.path).substr(0, slash)) == 0)
      return false;
    if (entry.kind == Kind::folder) folders.insert(entry.path);
    last = &entry.path;
  }
  return true;
}

template <class F>
Step each_row(tasks::JudgeDb& db, const std::string& sql, F&& take) {
  SEEDBED_TRY(const tasks::Query query, db.prepare(sql, "files of a server"));
  db.begin(query);
  for (;;) {
    SEEDBED_TRY(const bool more, db.step(query, "files of a server"));
    if (!more) break;
    if (auto error = take(query)) return error;
  }
  tasks::JudgeDb::reset(query);
  return std::nullopt;
}

Result<WorkEntry> read_entry(const tasks::Query& query) {
  const auto text = [&](int i) { return tasks::JudgeDb::column(query, i); };
  for (int i = 0; i < 4; ++i)
    if (!tasks::JudgeDb::is_scalar(query, i)) return no_files("a value of another kind");
  const Scalar path = text(0), kind = text(1), mode = text(2), bytes = text(3);
  const auto* name = std::get_if<std::string>(&path);
  const auto* word = std::get_if<std::string>(&kind);
  const auto* bits = std::get_if<std::int64_t>(&mode);
  const auto at =
      word == nullptr ? kFileKinds.end() : std::find(kFileKinds.begin(), kFileKinds.end(), *word);
  if (name == nullptr || !is_valid_utf8(*name) || !plain_relative(*name) || bits == nullptr ||
      *bits < 0 || *bits > 07777 || at == kFileKinds.end() || *at == "other")
    return no_files("a row that is no file");
  WorkEntry out;
  out.kind = static_cast<Kind>(at - kFileKinds.begin());
  out.path = *name;
  out.mode = static_cast<std::uint32_t>(*bits);
  if (const auto* t = std::get_if<std::string>(&bytes)) out.bytes = *t;
  if (out.kind == Kind::folder && !out.bytes.empty()) return no_files("a folder with contents");
  return out;
}

}  // namespace

Result<std::string> image_of(const WorkState& files) {
  tasks::Inserts rows{"INSERT INTO file VALUES (?1, ?2, ?3, ?4, ?5, ?6)", {}};
  tasks::Inserts binary{"INSERT INTO binary VALUES (?1, ?2, ?3)", {}};
  for (const auto& entry : files.entries) {
    if (!is_valid_utf8(entry.path))
      return make_error(Where::usage, "file", sandbox::shown_path(entry.path),
                        "found a name that is no UTF-8, wanted one that is", "rename it");
    rows.rows.push_back(sandbox::file_row(entry));
    if (entry.kind == Kind::folder || sandbox::is_text(entry)) continue;
    const std::string_view bytes = entry.bytes;
    for (std::size_t at = 0; at < bytes.size(); at += kPart)
      binary.rows.push_back(
          {entry.path, static_cast<std::int64_t>(at / kPart), hex_of(bytes.substr(at, kPart))});
  }
  return tasks::build_image(
      {"CREATE TABLE file (path TEXT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, mode INTEGER NOT "
       "NULL, size INTEGER NOT NULL, hash TEXT NOT NULL, text TEXT) WITHOUT ROWID",
       "CREATE TABLE binary (path TEXT NOT NULL, part INTEGER NOT NULL, hex TEXT NOT NULL, PRIMARY "
       "KEY(path, part)) WITHOUT ROWID"},
      {rows, binary});
}

Result<WorkState> files_of(const std::string& image) {
  SEEDBED_TRY(const auto db, tasks::JudgeDb::open(image));
  if (db->table(sandbox::kFileTable) == nullptr || db->table("binary") == nullptr)
    return no_files("a database without the tables file and binary");
  WorkState out;
  std::map<std::string, std::size_t> places;
  auto error = each_row(*db, "SELECT path, kind, mode, text FROM file ORDER BY path",
                        [&](const tasks::Query& query) -> Step {
                          SEEDBED_TRY(auto entry, read_entry(query));
                          places[entry.path] = out.entries.size();
                          out.entries.push_back(std::move(entry));
                          return std::nullopt;
                        });
  if (error) return *std::move(error);
  error = each_row(*db, "SELECT path, hex FROM binary ORDER BY path, part",
                   [&](const tasks::Query& query) -> Step {
                     const Scalar path = tasks::JudgeDb::column(query, 0),
                                  hex = tasks::JudgeDb::column(query, 1);
                     const auto* name = std::get_if<std::string>(&path);
                     const auto* digits = std::get_if<std::string>(&hex);
                     const auto at = name == nullptr ? places.end() : places.find(*name);
                     if (at == places.end() || digits == nullptr ||
                         out.entries[at->second].kind == Kind::folder ||
                         !add_hex(*digits, out.entries[at->second].bytes))
                       return no_files("bytes that belong to no file");
                     return std::nullopt;
                   });
  if (error) return *std::move(error);
  std::sort(out.entries.begin(), out.entries.end(), before_in_tree);
  if (!is_tree(out)) return no_files("paths that are no tree");
  return out;
}

}  // namespace seedbed::envgen
