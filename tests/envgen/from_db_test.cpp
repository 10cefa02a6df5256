// Environments over small databases made here: keys of every kind, references declared and not,
// columns of every kind, and files that must be refused.
#include "envgen/from_db/from_db.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "envgen/from_db/cut.h"
#include "envgen/from_db/words.h"
#include "envgen/generate.h"
#include "fixture.h"
#include "tasks/image.h"

namespace seedbed::envgen {
namespace {

namespace fs = std::filesystem;
using Cells = std::vector<schemas::Scalar>;

std::string bytes_of(const std::vector<std::string>& ddl,
                     const std::vector<tasks::Inserts>& inserts) {
  auto image = tasks::build_image(ddl, inserts);
  EXPECT_TRUE(image.ok()) << (image.ok() ? "" : image.error().message);
  return image.ok() ? *image : "";
}

// A workshop: numbers, texts and pairs as keys, a reference that is declared, one that its name
// says, one to its own table, a view and a trigger.
std::string workshop() {
  const std::vector<std::string> ddl = {
      "CREATE TABLE Customers(CustomerId INTEGER PRIMARY KEY, FirstName TEXT NOT NULL, LastName "
      "TEXT "
      "NOT NULL, Email TEXT, Photo BLOB)",
      "CREATE TABLE part_kinds(code TEXT PRIMARY KEY NOT NULL, description TEXT NOT NULL)",
      "CREATE TABLE parts(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kind_code TEXT NOT "
      "NULL "
      "REFERENCES part_kinds(code), unit_price REAL NOT NULL, stock INTEGER NOT NULL)",
      "CREATE TABLE jobs(id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES "
      "Customers(CustomerId), status TEXT NOT NULL, opened TEXT NOT NULL, hours INTEGER NOT NULL, "
      "follows INTEGER REFERENCES jobs(id))",
      "CREATE TABLE job_parts(job_id INTEGER NOT NULL, part_id INTEGER NOT NULL, quantity INTEGER "
      "NOT "
      "NULL, PRIMARY KEY(job_id, part_id)) WITHOUT ROWID",
      "CREATE TABLE three(a INTEGER, b INTEGER, c INTEGER, d TEXT, PRIMARY KEY(a, b, c))",
      "CREATE TABLE log(line TEXT)",
      "CREATE VIEW open_jobs AS SELECT * FROM jobs WHERE status = 'open'",
      "CREATE TRIGGER note AFTER DELETE ON jobs BEGIN INSERT INTO log VALUES('gone'); END"};
  std::vector<Cells> customers, kinds, parts, jobs, job_parts;
  const char* const first[] = {"Ada", "Bo", "Cy", "Dee", "Eli", "Fay", "Gus", "Hana"};
  const char* const last[] = {"Stone", "Reed", "Marsh", "Field"};
  for (std::int64_t i = 1; i <= 8; ++i)
    customers.push_back({i, std::string(first[i - 1]), std::string(last[i % 4]),
                         std::string(first[i - 1]) + "@mail.test", std::monostate{}});
  for (const char* code : {"BRK", "CHN", "WHL", "LGT"})
    kinds.push_back({std::string(code), "all of the kind " + std::string(code)});
  for (std::int64_t i = 1; i <= 14; ++i)
    parts.push_back({i + 100, "part " + std::string(1, static_cast<char>('A' + i)),
                     std::get<std::string>(kinds[static_cast<std::size_t>(i) % 4][0]),
                     std::int64_t{3 * i}, std::int64_t{i % 5}});
  const char* const states[] = {"open", "done", "waiting"};
  for (std::int64_t i = 1; i <= 24; ++i)
    jobs.push_back({i, 1 + i % 8, std::string(states[(i * 7) % 3]),
                    "2024-03-" + std::string(i < 10 ? "0" : "") + std::to_string(i) + " 08:30:00",
                    1 + (i * 5) % 9,
                    i > 6 ? schemas::Scalar(i - 5) : schemas::Scalar(std::monostate{})});
  for (std::int64_t i = 1; i <= 24; ++i)
    for (std::int64_t k = 0; k < 1 + i % 2; ++k)
      job_parts.push_back({i, 101 + (i * 3 + k) % 14, 1 + (i + k) % 6});
  return bytes_of(ddl, {{"INSERT INTO Customers VALUES(?1, ?2, ?3, ?4, ?5)", customers},
                        {"INSERT INTO part_kinds VALUES(?1, ?2)", kinds},
                        {"INSERT INTO parts VALUES(?1, ?2, ?3, ?4 + 0.25, ?5)", parts},
                        {"INSERT INTO jobs VALUES(?1, ?2, ?3, ?4, ?5, ?6)", jobs},
                        {"INSERT INTO job_parts VALUES(?1, ?2, ?3)", job_parts}});
}

std::shared_ptr<const Packs> loaded(const std::string& bytes) {
  auto packs = load_database_bytes(bytes, "workshop.db");
  EXPECT_TRUE(packs.ok()) << (packs.ok() ? "" : packs.error().message);
  return packs.ok() ? *packs : nullptr;
}

const DbTable* table(const DbModel& model, const std::string& name) {
  for (const auto& t : model.tables)
    if (t.name == name) return &t;
  return nullptr;
}
const DbColumn* column(const DbTable& t, const std::string& attribute) {
  for (const auto& c : t.columns)
    if (c.attribute == attribute) return &c;
  return nullptr;
}

schemas::GenRequest request_for(const Packs& packs, std::int64_t tasks, const std::string& seed) {
  auto request = request_of(1, tasks, seed);
  request.packs = packs.hash;
  return request;
}

TEST(FromDbWords, NamesBecomeWords) {
  EXPECT_EQ(phrase_of_name("InvoiceLine"), "invoice line");
  EXPECT_EQ(phrase_of_name("tbl_Order Details"), "order details");
  EXPECT_EQ(phrase_of_name("HTTPLog2"), "http log2");
  for (const auto& [many, one] : {std::pair<const char*, const char*>{"categories", "category"},
                                  {"addresses", "address"},
                                  {"boxes", "box"},
                                  {"film actors", "film actor"},
                                  {"people", "person"},
                                  {"status", "status"},
                                  {"staff", "staff"},
                                  {"bus", "bus"}}) {
    EXPECT_EQ(singular_of(many), one);
    EXPECT_EQ(singular_of(one), one);
  }
  EXPECT_EQ(plural_of_phrase("film category"), "film categories");
  EXPECT_EQ(sql_name_of("UnitPrice"), "UnitPrice");
  EXPECT_EQ(sql_name_of("order"), "order_");
  EXPECT_EQ(sql_name_of("Order Details; DROP"), "order_details_drop");
}

TEST(FromDb, TablesAndColumnsAreTyped) {
  const auto packs = loaded(workshop());
  ASSERT_NE(packs, nullptr);
  const DbModel& m = *packs->database;
  ASSERT_EQ(m.tables.size(), 5U);
  std::map<std::string, std::string> out(m.left_out.begin(), m.left_out.end());
  EXPECT_EQ(out["log"], "no primary key");
  EXPECT_EQ(out["three"], "a primary key of more than two columns");
  EXPECT_EQ(out["open_jobs"], "a view");
  const DbTable& customers = *table(m, "Customers");
  EXPECT_TRUE(customers.person);
  EXPECT_EQ(customers.singular, "customer");
  EXPECT_EQ(customers.texts[static_cast<std::size_t>(customers.rows[0].values[0])], "Ada Reed");
  ASSERT_EQ(customers.left_out.size(), 1U);
  EXPECT_EQ(customers.left_out[0], "Photo (no values)");
  const DbTable& parts = *table(m, "parts");
  ASSERT_NE(column(parts, "unit_price"), nullptr);
  EXPECT_EQ(column(parts, "unit_price")->type, Type::cents);
  EXPECT_EQ(column(parts, "unit_price")->lo, 325);
  EXPECT_EQ(column(parts, "kind_code")->type, Type::ref);
  EXPECT_FALSE(column(parts, "kind_code")->guessed);
  EXPECT_EQ(table(m, "part_kinds")->key, KeyKind::text);
  const DbTable& jobs = *table(m, "jobs");
  EXPECT_EQ(column(jobs, "status")->type, Type::word);
  EXPECT_EQ(column(jobs, "status")->words, (std::vector<std::string>{"done", "open", "waiting"}));
  EXPECT_EQ(column(jobs, "opened")->type, Type::date);
  EXPECT_TRUE(column(jobs, "follows")->nullable);
  const DbTable& pairs = *table(m, "job_parts");
  EXPECT_EQ(pairs.key, KeyKind::pair);
  EXPECT_TRUE(column(pairs, "job_id")->guessed);
  EXPECT_EQ(pairs.uniques.size(), 1U);
}

TEST(FromDb, ACutIsClosedUnderReferences) {
  const auto packs = loaded(workshop());
  ASSERT_NE(packs, nullptr);
  for (std::uint64_t i = 0; i < 20; ++i) {
    const DbCut cut = draw_cut(*packs->database, Rng(i), {2, 4, 8, 7, 5});
    ASSERT_FALSE(cut.tables.empty());
    for (int p = 0; p < static_cast<int>(cut.tables.size()); ++p) {
      const DbTable& t = cut.table(p);
      for (const int c : cut.tables[static_cast<std::size_t>(p)].columns) {
        const DbColumn& x = t.columns[static_cast<std::size_t>(c)];
        if (x.type != Type::ref) continue;
        const int to = cut.place_of(x.target);
        ASSERT_GE(to, 0);
        std::set<std::int64_t> keys;
        for (const auto r : cut.tables[static_cast<std::size_t>(to)].rows)
          keys.insert(cut.table(to).rows[r].key);
        for (const auto r : cut.tables[static_cast<std::size_t>(p)].rows) {
          const auto v = t.rows[r].values[static_cast<std::size_t>(c)];
          EXPECT_TRUE(v == kNone || keys.count(v) == 1) << t.name << "." << x.name;
        }
      }
    }
  }
}

TEST(FromDb, TheThreeLawsHold) {
  const auto packs = loaded(workshop());
  ASSERT_NE(packs, nullptr);
  auto host = unjailed()(0);
  ASSERT_TRUE(host.ok());
  int worlds = 0, succeeded = 0;
  for (std::int64_t slot = 0; slot < 12; ++slot) {
    auto lowered = make_environment(*packs, request_for(*packs, 4, "3"), slot, 0);
    if (!lowered.ok()) continue;
    ASSERT_TRUE(invariants_hold(*(*lowered)->world, (*lowered)->facts));
    auto report = check_laws(**lowered, **host, Rng(static_cast<std::uint64_t>(slot)), 60);
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_TRUE(report->broken.empty()) << "slot " << slot << ": " << report->broken[0];
    ++worlds;
    succeeded += report->succeeded;
  }
  EXPECT_GE(worlds, 6);
  EXPECT_GT(succeeded, 60);
}

// Tools name the user's own ids.
TEST(FromDb, IdsAreTheUsersOwn) {
  const auto packs = loaded(workshop());
  ASSERT_NE(packs, nullptr);
  std::set<std::string> seen;
  for (std::int64_t slot = 0; slot < 8; ++slot) {
    auto lowered = make_environment(*packs, request_for(*packs, 4, "3"), slot, 0);
    if (!lowered.ok()) continue;
    const Lowered& l = **lowered;
    for (int c = 0; c < static_cast<int>(l.world->concepts.size()); ++c)
      for (const auto& row : l.facts.tables[static_cast<std::size_t>(c)].rows) {
        const schemas::Value id = l.renderer().id(c, row.key);
        EXPECT_EQ(l.renderer().key_of(c, id), row.key);
        const std::string& symbol = l.world->concepts[static_cast<std::size_t>(c)].symbol;
        if (symbol == "part.part") {
          ASSERT_TRUE(id.is_int());
          EXPECT_TRUE(id.as_int() > 100 && id.as_int() <= 114) << id.as_int();
          seen.insert(symbol);
        } else if (symbol == "part_kind.part_kind") {
          ASSERT_TRUE(id.is_string());
          EXPECT_EQ(id.as_string().size(), 3U);
          seen.insert(symbol);
        }
      }
  }
  EXPECT_EQ(seen.size(), 2U);
}

TEST(FromDb, CertifiedTasksThatVerifyAgain) {
  const auto packs = loaded(workshop());
  ASSERT_NE(packs, nullptr);
  const auto folder = fs::temp_directory_path() / ("seedbed-from-db-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  std::atomic<bool> stop{false};
  {
    auto store = tasks::Store::open((folder / "a.db").string(), {.create = true});
    ASSERT_TRUE(store.ok()) << store.error().message;
    GenOptions options;
    options.request = request_for(*packs, 4, "7");
    ASSERT_FALSE((*store)->set_request(options.request));
    auto made = generate(**store, packs, options, unjailed(), nullptr, stop);
    ASSERT_TRUE(made.ok()) << made.error().message;
    ASSERT_FALSE((*store)->select());
    EXPECT_EQ((*store)->environment_ids().value().size(), 1U);
    EXPECT_GE((*store)->task_ids().value().size(), 2U);
    auto again = verify_pack(**store, packs, 0, unjailed(), nullptr, stop);
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_GE(again->checked, 2);
    EXPECT_TRUE(again->failed.empty()) << again->failed[0].why;
    // Another database is another request.
    auto other = *packs;
    other.hash = "db-other";
    EXPECT_FALSE(
        verify_pack(**store, std::make_shared<const Packs>(other), 0, unjailed(), nullptr, stop)
            .ok());
  }
  fs::remove_all(folder);
}

TEST(FromDb, TheSameBytesGiveTheSameEnvironment) {
  const std::string bytes = workshop();
  const auto one = loaded(bytes), two = loaded(bytes);
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->hash, two->hash);
  int made = 0;
  for (std::int64_t slot = 0; slot < 4; ++slot) {
    auto a = make_environment(*one, request_for(*one, 4, "3"), slot, 0);
    auto b = make_environment(*two, request_for(*two, 4, "3"), slot, 0);
    ASSERT_EQ(a.ok(), b.ok());
    if (!a.ok()) continue;
    ++made;
    EXPECT_EQ(schemas::environment_id((*a)->environment),
              schemas::environment_id((*b)->environment));
  }
  EXPECT_GT(made, 0);
}

std::string refusal(const std::string& bytes) {
  auto packs = load_database_bytes(bytes, "x.db");
  EXPECT_FALSE(packs.ok());
  return packs.ok() ? "" : packs.error().message;
}

TEST(FromDb, WhatCannotBeUsedIsRefusedWithReasons) {
  EXPECT_NE(refusal("not a database at all").find("no SQLite database"), std::string::npos);
  EXPECT_NE(refusal("").find("no SQLite database"), std::string::npos);
  EXPECT_NE(refusal(bytes_of({"CREATE TABLE t(a INTEGER, b TEXT)"}, {})).find("t: no primary key"),
            std::string::npos);
  EXPECT_NE(refusal(bytes_of({"CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)"}, {}))
                .find("t: fewer than three rows"),
            std::string::npos);
  EXPECT_NE(refusal(bytes_of({"CREATE TABLE t(a INTEGER PRIMARY KEY)", "DROP TABLE t"}, {}))
                .find("holds no table"),
            std::string::npos);
  auto missing = load_database("/nonexistent/x.db");
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message.find("no such file"), std::string::npos);
}

// Any damage is an error or another reading, never more than that.
TEST(FromDb, DamagedFilesEndInAnError) {
  const std::string whole = workshop();
  int refused = 0;
  for (std::uint64_t i = 0; i < 60; ++i) {
    Rng rng(i);
    std::string bytes = whole;
    for (int k = 0; k < 40; ++k)
      bytes[static_cast<std::size_t>(16 + rng.below(bytes.size() - 16))] =
          static_cast<char>(rng.below(256));
    if (i % 3 == 0) bytes.resize(static_cast<std::size_t>(100 + rng.below(bytes.size() - 100)));
    refused += load_database_bytes(bytes, "damaged.db").ok() ? 0 : 1;
  }
  EXPECT_GT(refused, 40);
}

TEST(FromDb, AWriteAheadLogBesideTheFileIsRefused) {
  const auto folder = fs::temp_directory_path() / ("seedbed-wal-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  const auto path = (folder / "x.db").string();
  std::ofstream(path, std::ios::binary) << workshop();
  EXPECT_TRUE(load_database(path).ok());
  std::ofstream(path + "-wal", std::ios::binary) << "frames";
  auto packs = load_database(path);
  ASSERT_FALSE(packs.ok());
  EXPECT_NE(packs.error().message.find("write-ahead log"), std::string::npos);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace seedbed::envgen
