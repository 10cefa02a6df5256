#include "tasks/upgrade.h"

#include <string>
#include <utility>
#include <vector>

#include "schemas/task.h"
#include "tasks/selection.h"

namespace seedbed {
extern const char kSchemaSql[];  // tasks/schema.sql
}

namespace seedbed::tasks {
namespace {

struct UpgradeStep {
  std::int64_t from;
  Step (*apply)(Db& db, BlobCodec& codec);
};

// 1 -> 2: later verdicts, infrastructure errors apart, and the masked skeleton that selection
// compares.
Step from_1(Db& db, BlobCodec& codec) {
  if (auto e = db.exec("ALTER TABLE task ADD COLUMN masked_skeleton TEXT NOT NULL DEFAULT '';"
                       "ALTER TABLE episode ADD COLUMN verdict TEXT;"
                       "CREATE TABLE infra_error (run INTEGER NOT NULL REFERENCES run (id), task "
                       "INTEGER NOT NULL REFERENCES task (id),"
                       "  sample INTEGER NOT NULL, count INTEGER NOT NULL, why TEXT NOT NULL, "
                       "PRIMARY KEY (run, task, sample)) STRICT, WITHOUT ROWID;",
                       "bringing it to version 2"))
    return e;
  std::vector<std::pair<std::int64_t, std::string>> skeletons;
  {
    Use rows(
        db,
        "SELECT t.id, t.hash, b.hash, b.size, b.data FROM task t JOIN blob b ON b.id = t.document");
    for (;;) {
      SEEDBED_TRY(const bool row, rows.step());
      if (!row) break;
      SEEDBED_TRY(
          const std::string document,
          codec.decompress(rows.view(4), static_cast<std::size_t>(rows.integer(3)), rows.view(2)));
      SEEDBED_TRY(const auto sections, unpack_sections(document, 4));
      SEEDBED_TRY(const auto task, schemas::parse_record<schemas::TaskSpec>(
                                       sections[0], db.path() + " task " + rows.text(1)));
      skeletons.emplace_back(rows.integer(0), masked_skeleton(task.prompt));
    }
  }
  for (const auto& [id, skeleton] : skeletons)
    if (auto e = Use(db, "UPDATE task SET masked_skeleton = ? WHERE id = ?")
                     .bind(skeleton)
                     .bind(id)
                     .run())
      return e;
  return std::nullopt;
}

// 2 -> 3: rejections by mechanism, and the ledger of issues.
Step from_2(Db& db, BlobCodec& /*codec*/) {
  return db.exec(
      "CREATE TABLE rejection_mechanism (slot INTEGER NOT NULL REFERENCES slot (number), gate TEXT "
      "NOT NULL, mechanism TEXT NOT NULL, count INTEGER NOT NULL,"
      "  PRIMARY KEY (slot, gate, mechanism)) STRICT, WITHOUT ROWID;"
      "CREATE TABLE issue (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, task INTEGER NOT "
      "NULL "
      "REFERENCES task (id), title TEXT NOT NULL, author TEXT NOT NULL,"
      "  status TEXT NOT NULL, resolution TEXT NOT NULL, revision INTEGER NOT NULL) STRICT;",
      "bringing it to version 3");
}

constexpr UpgradeStep kSteps[] = {{1, from_1}, {2, from_2}};

// Tables, indexes and columns, one a line; comments and column order do not matter.
Result<std::string> structure(Db& db) {
  std::string out;
  Use rows(db,
           "SELECT m.type, m.name, m.tbl_name, coalesce(x.name, ''), coalesce(x.type, ''), "
           "coalesce(x.\"notnull\", 0), coalesce(x.pk, 0) "
           "FROM sqlite_schema m LEFT JOIN pragma_table_xinfo(m.name) x WHERE m.name NOT LIKE "
           "'sqlite_stat%' "
           "ORDER BY m.type, m.name, x.name");
  for (;;) {
    SEEDBED_TRY(const bool row, rows.step());
    if (!row) return out;
    for (int column = 0; column < 7; ++column) out.append(rows.view(column)).push_back('|');
    out.push_back('\n');
  }
}

std::string first_difference(const std::string& found, const std::string& wanted) {
  std::size_t at = 0, begin = 0;
  for (; at < found.size() && at < wanted.size() && found[at] == wanted[at]; ++at)
    if (found[at] == '\n') begin = at + 1;
  const auto line = [&](const std::string& text) {
    return begin < text.size() ? text.substr(begin, text.find('\n', begin) - begin) : "nothing";
  };
  return "'" + line(found) + "' where '" + line(wanted) + "' is wanted";
}

}  // namespace

Step check_structure(Db& db) {
  SEEDBED_TRY(const auto model, Db::in_memory());
  if (auto e = model->exec(kSchemaSql, "reading the schema")) return e;
  SEEDBED_TRY(const std::string wanted, structure(*model));
  SEEDBED_TRY(const std::string found, structure(db));
  if (found != wanted)
    return db.damaged("its tables are not those of schema version " +
                      std::to_string(kSchemaVersion) + ": " + first_difference(found, wanted));
  return std::nullopt;
}

Step upgrade(Db& db, BlobCodec& codec, std::int64_t version) {
  if (auto e = db.exec("BEGIN IMMEDIATE", "upgrading it")) return e;
  Step failed;
  for (const auto& step : kSteps)
    if (!failed && step.from >= version) failed = step.apply(db, codec);
  if (!failed) failed = check_structure(db);
  if (!failed)
    failed = db.exec("PRAGMA user_version = " + std::to_string(kSchemaVersion), "upgrading it");
  if (!failed) failed = db.exec("COMMIT", "upgrading it");
  if (failed && db.in_transaction()) static_cast<void>(db.exec("ROLLBACK", "upgrading it"));
  return failed;
}

}  // namespace seedbed::tasks
