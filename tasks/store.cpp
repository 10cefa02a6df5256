// Opening, batches, the request. Invariants that the tests hold:
// (1) A file at the store's path is either absent or a whole store: it is made under another name
// and renamed. (2) A record (a slot, an episode) is written inside one transaction; a batch that
// fails is rolled back whole. (3) After a failed write nothing more is written through this Store:
// its caller may have lost records of the batch. (4) One writer: whoever holds PATH-lock.
#include "tasks/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/clock.h"
#include "base/hash.h"
#include "tasks/store_state.h"
#include "tasks/upgrade.h"

namespace seedbed {
extern const char kSchemaSql[];  // tasks/schema.sql
}

namespace seedbed::tasks {
namespace {

constexpr int kBatchRecords = 64;
constexpr std::int64_t kBatchUs = 200'000;

Error store_error(const std::string& path,
                  std::string_view found_and_wanted,
                  std::string_view todo) {
  return make_error(Where::store, "store", path, found_and_wanted, todo);
}

Error io_error(const std::string& path, std::string_view doing, int code) {
  const std::string found =
      code == ENOSPC || code == EDQUOT ? "disk full" : std::generic_category().message(code);
  return store_error(
      path, found + " (while " + std::string(doing) + ")",
      "free space or check the folder's permissions, and run the same command again");
}

void remove_companions(const std::string& path) {
  for (const char* suffix : {"-wal", "-shm", "-journal"}) unlink((path + suffix).c_str());
}

Result<std::int64_t> pragma(Db& db, std::string_view sql) {
  Use use(db, sql);
  SEEDBED_TRY(const bool row, use.step());
  return row ? use.integer(0) : 0;
}

Step sync_path(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return io_error(path, "making it", errno);
  const bool ok = fsync(fd) == 0 || errno == EINVAL;  // some file systems cannot sync a folder
  const int why = errno;
  close(fd);
  if (!ok) return io_error(path, "making it", why);
  return std::nullopt;
}

Step fill_new_file(const std::string& path) {
  SEEDBED_TRY(const auto db, Db::open(path, Access::create));
  // Nobody sees the file before it is synced and renamed, so SQLite need not sync each of its
  // steps.
  const std::string sql =
      // A task takes about 2.3 KB: on pages of 4 KiB nearly half of the file would be empty.
      "PRAGMA page_size = 16384; PRAGMA synchronous = OFF; BEGIN; PRAGMA application_id = " +
      std::to_string(kApplicationId) + "; PRAGMA user_version = " + std::to_string(kSchemaVersion) +
      ";\n" + kSchemaSql + "COMMIT; PRAGMA journal_mode = WAL;";
  return db->exec(sql, "making it");
}

// Invariant (1). The caller holds the lock, so the name beside it is ours.
Step create_file(const std::string& path) {
  const std::string fresh = path + "-new";
  unlink(fresh.c_str());
  remove_companions(fresh);
  remove_companions(path);
  Step failed = fill_new_file(fresh);
  if (!failed) failed = sync_path(fresh, O_RDONLY);
  if (!failed && rename(fresh.c_str(), path.c_str()) != 0)
    failed = io_error(path, "making it", errno);
  if (failed) {
    unlink(fresh.c_str());
    remove_companions(fresh);
    // The message speaks of the file that the user named.
    const std::size_t at = failed->message.find(fresh);
    if (at != std::string::npos) failed->message.replace(at, fresh.size(), path);
    return failed;
  }
  const std::size_t slash = path.rfind('/');
  return sync_path(slash == std::string::npos ? "." : path.substr(0, slash + 1),
                   O_RDONLY | O_DIRECTORY);
}

Step check_application(Db& db) {
  SEEDBED_TRY(const std::int64_t id, pragma(db, "PRAGMA application_id"));
  if (id == kApplicationId) return std::nullopt;
  return store_error(db.path(),
                     "it is a SQLite database of another application (id " + std::to_string(id) +
                         "), a seedbed store is wanted",
                     "give the path of a store, or another path for a new one");
}

Step check_version(Db& db, BlobCodec& codec, const StoreOptions& options) {
  SEEDBED_TRY(const std::int64_t version, pragma(db, "PRAGMA user_version"));
  const std::string found = "schema version " + std::to_string(version) + ", this build reads " +
                            std::to_string(kSchemaVersion);
  if (version > kSchemaVersion)
    return store_error(db.path(), found, "open it with a newer seedbed");
  if (version < 1) return db.damaged(found);
  if (version < kSchemaVersion) {
    if (!options.upgrade || options.read_only)
      return store_error(db.path(), found, "open it with --upgrade");
    return upgrade(db, codec, version);
  }
  return check_structure(db);
}

// --fresh removes stores only: a file of somebody else's, named by mistake, stays.
Step remove_store(const std::string& path) {
  {
    SEEDBED_TRY(const auto db, Db::open(path, Access::read));
    if (auto e = check_application(*db)) return e;
  }
  if (unlink(path.c_str()) != 0) return io_error(path, "removing it", errno);
  remove_companions(path);
  return std::nullopt;
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::string& path, const StoreOptions& options) {
  auto state = std::make_unique<State>();
  state->writable = !options.read_only;
  struct stat info {};
  const auto missing = [&] {
    return stat(path.c_str(), &info) != 0 ? errno == ENOENT
                                          : S_ISREG(info.st_mode) && info.st_size == 0;
  };
  const bool may_create = (options.create || options.fresh) && state->writable;
  if (missing() && !may_create)
    return store_error(path,
                       info.st_nlink != 0 ? "the file is empty, a seedbed store is wanted"
                                          : "there is no such file, a seedbed store is wanted",
                       "check the path, or make a store with 'seedbed gen'");
  if (state->writable) {
    SEEDBED_TRY(state->lock, WriterLock::take(path));
    if (options.fresh && !missing())
      if (auto e = remove_store(path)) return *std::move(e);
    if (missing())
      if (auto e = create_file(path)) return *std::move(e);
  }
  SEEDBED_TRY(state->db, Db::open(path, state->writable ? Access::write : Access::read));
  if (auto e = check_application(*state->db)) return *std::move(e);
  if (auto e = check_version(*state->db, state->codec, options)) return *std::move(e);
  if (state->writable) {
    // NORMAL: a killed process loses nothing committed; a lost power supply may lose the last
    // batches, never the file.
    if (auto e = state->db->exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA "
                                 "foreign_keys = ON; PRAGMA secure_delete = OFF;"
                                 "PRAGMA wal_autocheckpoint = 1000; PRAGMA journal_size_limit = "
                                 "67108864; PRAGMA cache_size = -16000",
                                 "opening it"))
      return *std::move(e);
  }
  return std::unique_ptr<Store>(new Store(std::move(state)));
}

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}
Store::~Store() {
  static_cast<void>(state_->commit());
}

// ---- batches ----

Step Store::State::begin() {
  if (failure) return failure;
  if (!writable)
    return store_error(db->path(), "it is open for reading only, a write was asked",
                       "open it for writing");
  if (db->in_transaction()) return std::nullopt;
  if (auto e = db->exec("BEGIN IMMEDIATE", "starting to write")) return e;
  batched = 0;
  batch_since_us = monotonic_us();
  return std::nullopt;
}

Step Store::State::wrote() {
  ++batched;
  if (holding) return std::nullopt;
  if (batched >= kBatchRecords || monotonic_us() - batch_since_us >= kBatchUs) return commit();
  return std::nullopt;
}

Step Store::State::commit() {
  if (failure) return failure;
  if (!writable || !db->in_transaction()) return std::nullopt;
  if (auto e = db->exec("COMMIT", "writing")) return fail(*std::move(e));
  return std::nullopt;
}

Error Store::State::fail(Error e) {
  roll_back();
  failure = e;
  return e;
}

void Store::State::roll_back() {
  // SQLite has rolled back by itself after some errors, not after others.
  if (db->in_transaction()) static_cast<void>(db->exec("ROLLBACK", "writing"));
}

Step Store::flush() {
  return state_->commit();
}

Step Store::checkpoint() {
  if (auto e = state_->commit()) return e;
  return state_->writable ? state_->db->checkpoint() : std::nullopt;
}

// ---- rows ----

Result<std::int64_t> Store::State::put_blob(std::string_view bytes) {
  const std::string hash = content_hash(bytes);
  {
    Use find(*db, "SELECT id FROM blob WHERE hash = ?");
    SEEDBED_TRY(const bool found, find.bind(hash).step());
    if (found) return find.integer(0);
  }
  SEEDBED_TRY(const std::string_view frame, codec.compress(bytes));
  Use insert(*db, "INSERT INTO blob (hash, size, data) VALUES (?, ?, ?)");
  if (auto e =
          insert.bind(hash).bind(static_cast<std::int64_t>(bytes.size())).bind_bytes(frame).run())
    return *std::move(e);
  return db->last_row();
}

Result<std::string> Store::State::blob(std::int64_t id) {
  Use find(*db, "SELECT hash, size, data FROM blob WHERE id = ?");
  SEEDBED_TRY(const bool found, find.bind(id).step());
  if (!found) return db->damaged("blob " + std::to_string(id) + " is missing");
  const std::int64_t size = find.integer(1);
  if (size < 0) return db->damaged("blob " + std::to_string(id) + " declares a negative size");
  auto bytes = codec.decompress(find.view(2), static_cast<std::size_t>(size), find.view(0));
  if (!bytes.ok()) return db->damaged(bytes.error().message);
  return bytes;
}

Result<std::int64_t> Store::State::row_of(std::string_view table, const std::string& hash) {
  Use find(*db, "SELECT id FROM " + std::string(table) + " WHERE hash = ?");
  SEEDBED_TRY(const bool found, find.bind(hash).step());
  return found ? find.integer(0) : 0;
}

Result<std::vector<std::string>> Store::State::strings(std::string_view sql,
                                                       const std::string* parameter) {
  std::vector<std::string> out;
  Use rows(*db, sql);
  if (parameter != nullptr) rows.bind(*parameter);
  for (;;) {
    SEEDBED_TRY(const bool row, rows.step());
    if (!row) return out;
    out.push_back(rows.text(0));
  }
}

Result<std::int64_t> Store::State::number(std::string_view sql) {
  Use row(*db, sql);
  SEEDBED_TRY(const bool found, row.step());
  return found ? row.integer(0) : 0;
}

// ---- request ----

std::string request_difference(const schemas::GenRequest& stored,
                               const schemas::GenRequest& asked) {
  const schemas::Value a = schemas::to_value(stored), b = schemas::to_value(asked);
  std::string out;
  const auto differ = [&](const std::string& key, const std::string& was, const std::string& is) {
    out += (out.empty() ? "" : ", ") + key + " " + was + " against " + is;
  };
  for (const auto& [key, value] : a.members()) {
    const schemas::Value* other = b.find(key);
    if (other == nullptr)
      differ(key, dump(value), "none");
    else if (*other != value)
      differ(key, dump(value), dump(*other));
  }
  for (const auto& [key, value] : b.members())
    if (a.find(key) == nullptr) differ(key, "none", dump(value));
  return out;
}

Result<std::optional<schemas::GenRequest>> Store::request() {
  Use find(*state_->db, "SELECT record FROM request");
  SEEDBED_TRY(const bool found, find.step());
  if (!found) return std::optional<schemas::GenRequest>();
  auto request = schemas::parse_record<schemas::GenRequest>(find.view(0), "request");
  if (!request.ok()) return state_->db->damaged(request.error().message);
  return std::optional<schemas::GenRequest>(*std::move(request));
}

Step Store::set_request(const schemas::GenRequest& request) {
  SEEDBED_TRY(const auto stored, this->request());
  if (stored) {
    const std::string difference = request_difference(*stored, request);
    if (difference.empty()) return std::nullopt;
    return store_error(
        state_->db->path(), "it was made by another request, stored against asked: " + difference,
        "repeat the first request to continue, give another path, or start over with --fresh");
  }
  const std::string record = schemas::dump_record(request);
  return state_->record([&] {
    return Use(*state_->db, "INSERT INTO request (one, record) VALUES (1, ?)").bind(record).run();
  });
}

}  // namespace seedbed::tasks
