// What a call wrote, row by row, from SQLite's preupdate hook.
//
// (1) The hook is registered before any statement of a tool is prepared: a `DELETE FROM t` prepared
// earlier is compiled to a
//     truncation that no hook sees.  (2) A rolled-back call leaves nothing: the log is cleared when
//     a call begins.
// (3) Netting is by (table, primary key): a row changed and changed back is absent; a change of the
// key is a delete and an
//     insert.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/call.h"

struct sqlite3;
struct sqlite3_value;

namespace seedbed::sandbox::sql {

struct Table {
  std::string name;
  int columns = 0;
  std::vector<int> key;  // columns of the primary key
};

class Recorder {
 public:
  enum class Fault : std::uint8_t {
    none,
    value,
    size
  };  // value: a real or a blob was written; size: over the bounds

  // Registers the hook on `db`. `tables` are sorted by name; both outlive the recorder's use.
  void attach(sqlite3* db, const std::vector<Table>* tables);
  void begin() {
    pause();
    on_ = true;
  }
  // Stops recording and forgets what the call wrote so far, its fault too.
  void pause() {
    log_.clear();
    bytes_ = 0;
    fault_ = Fault::none;
    on_ = false;
  }
  [[nodiscard]] Fault fault() const { return fault_; }
  // Appends the net changes since begin(), sorted by table and key.
  void net(std::int32_t call, std::vector<schemas::RowChange>& out);

 private:
  using Row = std::vector<schemas::Scalar>;
  struct Entry {
    std::size_t table = 0;
    Row key, before, after;  // an empty row: absent
  };
  static void hook(void* self,
                   sqlite3* db,
                   int op,
                   const char* schema,
                   const char* table,
                   std::int64_t,
                   std::int64_t);
  void record(sqlite3* db, int op, std::string_view table);
  schemas::Scalar read(sqlite3_value* value);
  Row key_of(const Row& row, const Table& table) const;
  void add(std::size_t table, Row before, Row after);

  const std::vector<Table>* tables_ = nullptr;
  std::vector<Entry> log_;
  std::size_t bytes_ = 0;
  Fault fault_ = Fault::none;
  bool on_ = false;
};

}  // namespace seedbed::sandbox::sql
