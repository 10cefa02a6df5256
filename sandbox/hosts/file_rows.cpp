#include "sandbox/hosts/file_rows.h"

#include <map>

#include "base/hash.h"
#include "base/text.h"

namespace seedbed::sandbox {

using schemas::RowChange;
using schemas::Scalar;
using Kind = WorkEntry::Kind;
using Row = std::vector<Scalar>;

bool is_text(const WorkEntry& entry) {
  return entry.bytes.size() <= kMostText && entry.bytes.find('\0') == std::string::npos &&
         is_valid_utf8(entry.bytes);
}

Row file_row(const WorkEntry& entry) {
  const bool whole = entry.kind != Kind::folder && is_text(entry);
  return {shown_path(entry.path),
          std::string(kFileKinds[static_cast<std::size_t>(entry.kind)]),
          static_cast<std::int64_t>(entry.mode),
          static_cast<std::int64_t>(entry.bytes.size()),
          content_hash(entry.bytes),
          whole ? Scalar(entry.bytes) : Scalar()};
}

std::size_t bytes_of(const RowChange& change) {
  std::size_t out = 64;
  for (const Row* row : {&change.before, &change.after})
    for (const Scalar& value : *row)
      if (const auto* text = std::get_if<std::string>(&value)) out += text->size();
  return out;
}

std::vector<RowChange> file_changes(const WorkState& before,
                                    const WorkState& after,
                                    std::int32_t call) {
  std::map<std::string, std::pair<const WorkEntry*, const WorkEntry*>> by_path;
  for (const auto& entry : before.entries) by_path[shown_path(entry.path)].first = &entry;
  for (const auto& entry : after.entries) by_path[shown_path(entry.path)].second = &entry;
  std::vector<RowChange> out;
  for (const auto& [path, pair] : by_path) {
    const auto [old, now] = pair;
    if (old != nullptr && now != nullptr && old->kind == now->kind && old->mode == now->mode &&
        old->bytes == now->bytes)
      continue;
    out.push_back({call, kFileTable, old == nullptr ? Row{} : file_row(*old),
                   now == nullptr ? Row{} : file_row(*now)});
  }
  return out;
}

}  // namespace seedbed::sandbox
