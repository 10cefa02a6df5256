#include "sandbox/sql/recorder.h"

#define SQLITE_ENABLE_PREUPDATE_HOOK 1  // declared only then; the library is built with it
#include <sqlite3.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace seedbed::sandbox::sql {
namespace {
constexpr std::size_t kMaxRows = 20'000;      // rows written by one call
constexpr std::size_t kMaxBytes = 16U << 20;  // and their size
}  // namespace

void Recorder::attach(sqlite3* db, const std::vector<Table>* tables) {
  tables_ = tables;
  on_ = false;
  log_.clear();
  sqlite3_preupdate_hook(
      db,
      [](void* self, sqlite3* from, int op, char const* schema, char const* table, sqlite3_int64 a,
         sqlite3_int64 b) { hook(self, from, op, schema, table, a, b); },
      this);
}

void Recorder::hook(void* self,
                    sqlite3* db,
                    int op,
                    const char* /*schema*/,
                    const char* table,
                    std::int64_t,
                    std::int64_t) {
  auto* recorder = static_cast<Recorder*>(self);
  if (recorder->on_ && recorder->fault_ == Fault::none) recorder->record(db, op, table);
}

schemas::Scalar Recorder::read(sqlite3_value* value) {
  bytes_ += sizeof(schemas::Scalar);
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
      return static_cast<std::int64_t>(sqlite3_value_int64(value));
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
      const auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
      bytes_ += size;
      return std::string(text == nullptr ? "" : text, text == nullptr ? 0 : size);
    }
    case SQLITE_NULL:
      return {};
    default:
      fault_ = Fault::value;
      return {};
  }
}

Recorder::Row Recorder::key_of(const Row& row, const Table& table) const {
  Row key;
  key.reserve(table.key.size());
  for (const int column : table.key) key.push_back(row[static_cast<std::size_t>(column)]);
  return key;
}

void Recorder::add(std::size_t table, Row before, Row after) {
  Row key = key_of(before.empty() ? after : before, (*tables_)[table]);
  log_.push_back({table, std::move(key), std::move(before), std::move(after)});
}

void Recorder::record(sqlite3* db, int op, std::string_view name) {
  const auto at = std::lower_bound(tables_->begin(), tables_->end(), name,
                                   [](const Table& t, std::string_view n) { return t.name < n; });
  if (at == tables_->end() || at->name != name || sqlite3_preupdate_count(db) != at->columns) {
    fault_ = Fault::value;  // the authorizer lets no other table be written
    return;
  }
  const auto row = [&](auto&& get) {
    Row out;
    out.reserve(static_cast<std::size_t>(at->columns));
    for (int i = 0; i < at->columns; ++i) {
      sqlite3_value* value = nullptr;
      if (get(db, i, &value) != SQLITE_OK || value == nullptr) fault_ = Fault::value;
      out.push_back(value == nullptr ? schemas::Scalar() : read(value));
    }
    return out;
  };
  Row before = op == SQLITE_INSERT ? Row() : row(sqlite3_preupdate_old);
  Row after = op == SQLITE_DELETE ? Row() : row(sqlite3_preupdate_new);
  if (log_.size() >= kMaxRows || bytes_ > kMaxBytes) fault_ = Fault::size;
  if (fault_ != Fault::none) return;
  const auto table = static_cast<std::size_t>(at - tables_->begin());
  if (op == SQLITE_UPDATE && key_of(before, *at) != key_of(after, *at)) {
    add(table, std::move(before), {});
    add(table, {}, std::move(after));
  } else {
    add(table, std::move(before), std::move(after));
  }
}

void Recorder::net(std::int32_t call, std::vector<schemas::RowChange>& out) {
  std::stable_sort(log_.begin(), log_.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.table, a.key) < std::tie(b.table, b.key);
  });
  for (std::size_t i = 0; i < log_.size();) {
    std::size_t last = i;
    while (last + 1 < log_.size() && log_[last + 1].table == log_[i].table &&
           log_[last + 1].key == log_[i].key)
      ++last;
    if (log_[i].before != log_[last].after)
      out.push_back({call, (*tables_)[log_[i].table].name, std::move(log_[i].before),
                     std::move(log_[last].after)});
    i = last + 1;
  }
  log_.clear();
  on_ = false;
}

}  // namespace seedbed::sandbox::sql
