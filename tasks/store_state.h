// What the store's files share. Private to tasks.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/blob.h"
#include "tasks/store.h"
#include "tasks/store_db.h"
#include "tasks/store_lock.h"

namespace seedbed::tasks {

// One slot as rows: what generation hands over and what merge copies are written by the same
// function.
struct EnvironmentRow {
  std::string hash, schema_class, core_schema_class;
  std::string spec;  // Environment as JSON
  std::string image;
};
struct TaskRow {
  std::string hash, kind, certificate_hash, masked_skeleton;
  std::int64_t number = 0;
  std::string document;  // sections: TaskSpec, Verifier, Gold, Certificate
};
struct SlotRows {
  std::int64_t slot = 0;
  std::optional<EnvironmentRow> environment;
  std::vector<TaskRow> tasks;
  std::vector<GateCount> rejections;
  std::vector<MechanismCount> rejections_by_mechanism;
};
struct EpisodeRow {
  std::int64_t run = 0, task = 0, sample = 0;  // run and task by row id
  std::string hash;
  bool solved = false;
  double score = 0;
  std::int64_t tool_calls = 0, wall_us = 0;
  std::string document;  // sections: Trajectory without timings, evidence, changes
  std::optional<std::string> verdict;
};

// What merge takes over; inside absorb().
Step absorb_issues(Store::State& ours, Store::State& theirs);
std::string digest_of(const SlotRows& rows);
// The difference between two requests in words, "" where they are equal.
std::string request_difference(const schemas::GenRequest& stored, const schemas::GenRequest& asked);

struct Store::State {
  WriterLock lock;  // before db, so that it is given back after the database is closed
  std::unique_ptr<Db> db;
  BlobCodec codec;
  bool writable = false;
  Step failure;          // the error that ended writing: said again by every later write
  bool holding = false;  // a merge: the batch ends only where the merge does
  int batched = 0;
  std::int64_t batch_since_us = 0;

  // ---- batches ----
  Step begin();  // opens a batch where none is open
  Step wrote();  // counts a record; commits the batch where it is full or old
  Step commit();
  Error fail(Error e);  // rolls the batch back and ends writing
  void roll_back();
  // Runs a write of one record inside the batch.
  template <class F>
  Step record(F&& write) {
    if (auto e = begin()) return e;
    if (Step e = write()) return fail(*std::move(e));
    return wrote();
  }

  // ---- rows ----
  Result<std::int64_t> put_blob(std::string_view bytes);  // row id; equal bytes are kept once
  Result<std::string> blob(std::int64_t id);
  Step write_slot(const SlotRows& rows, const std::string& digest);
  Step write_episode(const EpisodeRow& row);
  Result<std::int64_t> row_of(std::string_view table, const std::string& hash);  // 0 where absent
  Result<std::vector<std::string>> strings(std::string_view sql,
                                           const std::string* parameter = nullptr);
  Result<std::int64_t> number(std::string_view sql);
  // The stored slot, checked: hashes, records, digest.
  Result<SlotRows> read_slot(std::int64_t slot);
  Result<EpisodeRow> read_episode(std::int64_t id);
  Result<StoredEpisode> decode_episode(const EpisodeRow& row, const std::string& run);
};

}  // namespace seedbed::tasks
