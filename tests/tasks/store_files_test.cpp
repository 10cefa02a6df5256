// Files that are missing, foreign, newer, older, damaged, in use, on a full disk.
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "base/text.h"
#include "tests/tasks/store_fixture.h"

namespace seedbed::tasks {
namespace {

void raw_sql(const std::string& path, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  char* why = nullptr;
  sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &why);
  ASSERT_EQ(why, nullptr) << why;
  sqlite3_close(db);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(StoreTest, AMissingFileIsAnErrorAndMakesNothing) {
  EXPECT_TRUE(has(refusal(at("a.db")), "there is no such file"));
  EXPECT_TRUE(has(refusal(at("a.db"), {.read_only = true}), "there is no such file"));
  EXPECT_TRUE(has(refusal(at("no/a.db"), {.create = true}), "No such file or directory"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(StoreTest, AClosedStoreIsOneFile) {
  fill(at("a.db"), {0, 1});
  must_open(at("a.db"), {.read_only = true});
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    names.push_back(entry.path().filename().string());
  EXPECT_EQ(names, std::vector<std::string>{"a.db"});
}

TEST_F(StoreTest, AfterACheckpointACopyOfTheOneFileIsTheStore) {
  auto store = must_open(at("a.db"));
  ASSERT_FINE(store->set_request(request_of()));
  ASSERT_FINE(store->put_slot(slot_of(0)));
  ASSERT_FINE(store->select());
  ASSERT_FINE(store->checkpoint());
  std::filesystem::copy_file(at("a.db"), at("b.db"));
  EXPECT_EQ(must(must_open(at("b.db"))->content_digest()), must(store->content_digest()));
}

TEST_F(StoreTest, AFileThatIsNoDatabaseIsRefusedAndKept) {
  const std::string text =
      "These are the notes of somebody else, long enough to fill the header of a database file, "
      "and then some more of it.";
  write_bytes(at("notes.txt"), text);
  for (const StoreOptions& options : {StoreOptions{.create = true}, StoreOptions{.fresh = true},
                                      StoreOptions{.read_only = true}, StoreOptions{}})
    EXPECT_TRUE(has(refusal(at("notes.txt"), options), "it is not a SQLite database"));
  EXPECT_EQ(read_bytes(at("notes.txt")), text);
  std::filesystem::create_directory(at("dir"));
  EXPECT_NE(refusal(at("dir"), {.create = true}), "opened");
}

TEST_F(StoreTest, ADatabaseOfAnotherApplicationIsRefusedAndKept) {
  raw_sql(at("other.db"), "CREATE TABLE t (x); INSERT INTO t VALUES (1);");
  const std::string before = read_bytes(at("other.db"));
  for (const StoreOptions& options : {StoreOptions{.create = true}, StoreOptions{.fresh = true},
                                      StoreOptions{.read_only = true}, StoreOptions{}})
    EXPECT_TRUE(has(refusal(at("other.db"), options), "of another application (id 0)"));
  EXPECT_EQ(read_bytes(at("other.db")), before);
}

TEST_F(StoreTest, AnEmptyFileIsNoStoreButMayBecomeOne) {
  write_bytes(at("a.db"), "");
  EXPECT_TRUE(has(refusal(at("a.db")), "the file is empty"));
  EXPECT_EQ(refusal(at("a.db"), {.create = true}), "opened");
}

TEST_F(StoreTest, ANewerStoreIsRefused) {
  fill(at("a.db"), {0});
  raw_sql(at("a.db"), "PRAGMA user_version = 4");
  for (const StoreOptions& options :
       {StoreOptions{}, StoreOptions{.upgrade = true}, StoreOptions{.read_only = true}})
    EXPECT_TRUE(has(refusal(at("a.db"), options),
                    "schema version 4, this build reads 3; open it with a newer seedbed"));
}

TEST_F(StoreTest, AnOlderStoreNeedsUpgradeAndKeepsItsContent) {
  fill(at("new.db"), {0, 1, 2, 3, 4, 5});
  std::string digest, skeletons;
  {
    auto store = must_open(at("new.db"));
    ASSERT_FINE(put(*store, must(store->begin_run(run_of())), must(store->task_ids())[0], 0));
    digest = must(store->content_digest()) + must(store->runs_digest());
  }
  raw_sql(at("old.db"),
          read_bytes(std::string(SEEDBED_SOURCE_DIR) + "/tests/data/store_v1.sql") + "ATTACH '" +
              at("new.db") +
              "' AS n; INSERT INTO request SELECT * FROM n.request; INSERT INTO blob SELECT * FROM "
              "n.blob; INSERT INTO slot SELECT * FROM n.slot;"
              "INSERT INTO rejection SELECT * FROM n.rejection; INSERT INTO environment SELECT * "
              "FROM n.environment;"
              "INSERT INTO task SELECT id, hash, environment, number, kind, certificate_hash, "
              "selected, document FROM n.task;"
              "INSERT INTO run SELECT * FROM n.run; INSERT INTO episode SELECT id, hash, run, "
              "task, sample, solved, score, tool_calls, wall_us, document FROM n.episode;");
  const std::string before = read_bytes(at("old.db"));
  EXPECT_TRUE(
      has(refusal(at("old.db")), "schema version 1, this build reads 3; open it with --upgrade"));
  EXPECT_TRUE(
      has(refusal(at("old.db"), {.upgrade = true, .read_only = true}), "open it with --upgrade"));
  EXPECT_EQ(read_bytes(at("old.db")), before);
  for (const StoreOptions& options :
       {StoreOptions{.upgrade = true}, StoreOptions{}, StoreOptions{.upgrade = true}}) {
    auto store = must_open(at("old.db"), options);
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(must(store->content_digest()) + must(store->runs_digest()), digest);
    ASSERT_FINE(store->select());  // needs the skeletons that version 1 did not keep
    EXPECT_EQ(must(store->content_digest()) + must(store->runs_digest()), digest);
    ASSERT_FINE(store->put_infra_error({Store::run_id(run_of()), must(store->task_ids())[1], 0},
                                       "the jail died"));
  }
  // An old store whose content is damaged is upgraded whole or not at all.
  raw_sql(at("old.db"),
          "DROP TABLE issue; DROP TABLE rejection_mechanism; DROP TABLE infra_error; ALTER TABLE "
          "task DROP COLUMN masked_skeleton; ALTER TABLE "
          "episode DROP COLUMN verdict;"
          "PRAGMA user_version = 1; UPDATE blob SET data = x'00' WHERE id = (SELECT document FROM "
          "task LIMIT 1)");
  EXPECT_TRUE(has(refusal(at("old.db"), {.upgrade = true}), "damaged"));
  EXPECT_TRUE(has(refusal(at("old.db")), "open it with --upgrade"));
}

TEST_F(StoreTest, TablesThatAreNotOursAreSeen) {
  for (const std::string sql :
       {"ALTER TABLE task ADD COLUMN extra TEXT", "DROP TABLE infra_error",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM run; END"}) {
    fill(at("a.db"), {0});
    raw_sql(at("a.db"), sql);
    EXPECT_TRUE(has(refusal(at("a.db")), "its tables are not those of schema version 3")) << sql;
    EXPECT_EQ(refusal(at("a.db"), {.fresh = true}), "opened");  // it is a store all the same
  }
}

TEST_F(StoreTest, ASecondWriterIsRefusedAndReadersAreNot) {
  fill(at("a.db"), {0});
  auto first = must_open(at("a.db"));
  ASSERT_FINE(first->put_slot(slot_of(1)));
  const std::string said = refusal(at("a.db"));
  EXPECT_TRUE(has(said, "in use by another seedbed (process " + std::to_string(getpid()) + ")"))
      << said;
  EXPECT_TRUE(has(refusal(at("a.db"), {.fresh = true}), "in use by another seedbed"));
  auto reader = must_open(at("a.db"), {.read_only = true});
  ASSERT_NE(reader, nullptr);
  EXPECT_EQ(must(reader->finished_slots()).size(), 1U);  // not yet committed
  ASSERT_FINE(first->flush());
  EXPECT_EQ(must(reader->finished_slots()).size(), 2U);
  EXPECT_TRUE(reader->put_slot(slot_of(2)).has_value());
  first.reset();
  EXPECT_EQ(refusal(at("a.db")), "opened");
}

TEST_F(StoreTest, TheLockOfAKilledWriterEndsWithItsLastChild) {
  fill(at("a.db"), {0});
  std::array<int, 2> ready{};
  ASSERT_EQ(pipe(ready.data()), 0);
  const pid_t writer = fork();
  ASSERT_GE(writer, 0);
  if (writer == 0) {
    auto store = Store::open(at("a.db"), {});
    const pid_t child = fork();
    if (child == 0) {  // has the lock's descriptor too
      if (write(ready[1], "x", 1) != 1) _exit(1);
      usleep(300'000);
      _exit(0);
    }
    for (;;) pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_TRUE(has(refusal(at("a.db")),
                  "in use by another seedbed (process " + std::to_string(writer) + ")"));
  kill(writer, SIGKILL);
  ASSERT_EQ(waitpid(writer, nullptr, 0), writer);
  EXPECT_EQ(refusal(at("a.db")), "opened");
  close(ready[0]);
  close(ready[1]);
}

TEST_F(StoreTest, FreshStartsOver) {
  fill(at("a.db"), {0});
  auto store = must_open(at("a.db"), {.fresh = true});
  EXPECT_FALSE(must(store->request()).has_value());
  EXPECT_EQ(must(store->counts()).integer("slots"), 0);
}

TEST_F(StoreTest, PathsThatSqliteWouldReadOtherwiseAreOnlyPaths) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_);
  for (const char* name : {"file:a.db?mode=memory", ":memory:", "b%20 c?.db"}) {
    EXPECT_EQ(refusal(name, {.create = true}), "opened") << name;
    EXPECT_TRUE(std::filesystem::exists(at(name))) << name;
    EXPECT_EQ(refusal(name, {.read_only = true}), "opened") << name;
  }
  std::filesystem::current_path(before);
}

// Flips bytes of a whole store and reads all of it: every answer is a value or a message, and a
// changed document is noticed.
TEST_F(StoreTest, FlippedBytesNeverCrashTheReader) {
  fill(at("a.db"), {0, 1, 2, 4, 6});
  {
    auto store = must_open(at("a.db"));
    const auto run = must(store->begin_run(run_of()));
    for (const auto& task : must(store->task_ids())) ASSERT_FINE(put(*store, run, task, 0));
    for (const auto& task : must(store->task_ids()))
      must(store->add_issue(task, "two fit", "user"));
  }
  const std::string whole = read_bytes(at("a.db"));
  std::vector<std::size_t> used;  // most of a small table's page is empty: nothing to damage there
  for (std::size_t i = 0; i < whole.size(); ++i)
    if (whole[i] != 0) used.push_back(i);
  Rng rng(3);
  int refused = 0, damaged = 0;
  for (int round = 0; round < 400; ++round) {
    std::string bytes = whole;
    for (std::uint64_t n = 1 + rng.below(round % 4 == 0 ? 40 : 3); n > 0; --n)
      bytes[round % 5 == 0 ? static_cast<std::size_t>(rng.below(4096)) : rng.pick(used)] =
          static_cast<char>(rng.below(256));
    if (round % 10 == 9) bytes.resize(static_cast<std::size_t>(rng.below(bytes.size())));
    write_bytes(at("b.db"), bytes);
    auto store = Store::open(at("b.db"), {.read_only = true});
    if (!store.ok()) {
      EXPECT_FALSE(store.error().message.empty());
      ++refused;
      continue;
    }
    Store& s = **store;
    bool fine = s.request().ok() && s.counts().ok() && s.content_digest().ok() &&
                s.runs_digest().ok() && s.rejections().ok() && s.policies().ok() &&
                s.finished_slots().ok() && s.rejections_by_mechanism().ok() && s.issues().ok() &&
                s.tasks_with_open_issues().ok();
    const auto envs = s.environment_ids();
    fine = fine && envs.ok();
    if (envs.ok())
      for (const auto& id : *envs) fine = s.environment(id).ok() && fine;
    const auto tasks = s.task_ids();
    if (tasks.ok())
      for (const auto& id : *tasks) fine = s.task(id).ok() && s.certificate(id).ok() && fine;
    fine = !s.for_each_episode([](const StoredEpisode&) -> Step {
               return std::nullopt;
             }).has_value() &&
           fine;
    static_cast<void>(s.resolve("a"));
    damaged += fine ? 0 : 1;
  }
  EXPECT_GT(refused, 20);
  EXPECT_GT(damaged, 100);
}

TEST_F(StoreTest, ADamagedDocumentIsNamedAndNothingElseIsLost) {
  fill(at("a.db"), {0, 2});
  raw_sql(at("a.db"),
          "UPDATE blob SET data = zeroblob(100) WHERE id = (SELECT document FROM task WHERE number "
          "= 1 LIMIT 1)");
  auto store = must_open(at("a.db"));
  int bad = 0;
  for (const auto& id : must(store->task_ids())) {
    const auto task = store->task(id);
    if (task.ok()) continue;
    ++bad;
    EXPECT_TRUE(has(task.error().message, "damaged")) << task.error().message;
  }
  EXPECT_EQ(bad, 1);
  // A frame that says it holds more than the row says, and a row that says more than is ever read.
  raw_sql(at("a.db"),
          "UPDATE blob SET size = 99999999999 WHERE id = (SELECT spec FROM environment LIMIT 1)");
  EXPECT_FALSE(store->environment(must(store->environment_ids())[0]).ok());
}

// Needs a mount: skipped by name where this process may not make one.
TEST_F(StoreTest, AFullDiskEndsTheWritingAndKeepsWhatWasCommitted) {
  std::filesystem::create_directory(at("small"));
  if (mount("tmpfs", at("small").c_str(), "tmpfs", 0, "size=2m") != 0)
    GTEST_SKIP() << "needs the right to mount a tmpfs";
  const std::string path = at("small/a.db");
  const std::string noise = [] {
    std::string out;
    Rng rng(1);
    for (int i = 0; i < 60'000; ++i) out.push_back(static_cast<char>(rng.below(256)));
    return out;
  }();
  const auto big_slot = [&](std::int64_t slot) {
    SlotRecord record;
    record.slot = slot;
    std::string image = noise + std::to_string(slot);
    std::swap(image[static_cast<std::size_t>(slot)], image[static_cast<std::size_t>(slot) + 700]);
    for (std::size_t i = 0; i < noise.size(); i += 3)
      image[i] = static_cast<char>(image[i] + slot * 7 + 1);
    auto env = environment_of(slot, image);
    record.environment = AdmissionForTests::environment(std::move(env), std::move(image));
    for (std::int64_t n = 0; n < 3; ++n)
      record.tasks.push_back(AdmissionForTests::task(draft_of(record.environment->id(), slot, n)));
    return record;
  };
  Step full;
  std::int64_t slot = 0;
  {
    auto store = must_open(path);
    EXPECT_TRUE(store != nullptr);
    for (; store != nullptr && !full && slot < 200; ++slot) {
      full = store->put_slot(big_slot(slot));
      if (!full) full = store->flush();
    }
    EXPECT_TRUE(full.has_value());
    if (full) {
      EXPECT_EQ(full->where, Where::store);
      EXPECT_TRUE(has(full->message, "store '" + path + "': disk full while writing"))
          << full->message;
      EXPECT_TRUE(has(full->message, "; free space and run the same command again: it continues"))
          << full->message;
    }
    EXPECT_TRUE(store == nullptr || store->put_slot(big_slot(199)).has_value());  // invariant (3)
  }
  // What was committed is readable while the disk is full.
  if (auto store = must_open(path, {.read_only = true}); store != nullptr) {
    EXPECT_EQ(must(store->finished_slots()).size(), static_cast<std::size_t>(slot - 1));
  }
  // A new store does not fit either, and leaves nothing.
  write_bytes(at("small/filler"), std::string(2U << 20, 'f'));
  EXPECT_TRUE(has(refusal(at("small/b.db"), {.create = true}), "disk full"));
  EXPECT_FALSE(std::filesystem::exists(at("small/b.db")));
  EXPECT_FALSE(std::filesystem::exists(at("small/b.db-new")));
  std::filesystem::remove(at("small/filler"));
  EXPECT_EQ(mount("tmpfs", at("small").c_str(), "tmpfs", MS_REMOUNT, "size=32m"), 0);
  if (auto store = must_open(path); store != nullptr) {
    const auto done = must(store->finished_slots());
    EXPECT_EQ(done.size(), static_cast<std::size_t>(slot - 1));
    EXPECT_EQ(must(store->counts()).integer("tasks_stored"), 3 * (slot - 1));
    EXPECT_FALSE(store->put_slot(big_slot(slot)).has_value());
  }
  umount2(at("small").c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace seedbed::tasks
