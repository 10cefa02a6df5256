// A device for tests without a GPU: its memory is addresses that nobody can read or write, so that
// whatever treats it as the host's faults at once. Ops of another table compute on what lies behind
// those addresses; every pointer that they are given is looked at first.
//
//   (1) Each pointer parameter of an op lies, with all the bytes that the op's contract lets it
//       touch, in one live allocation; where the op would see host memory, released memory or the
//       end of an allocation, the rule is broken: told by op and parameter. So for what
//       grouped_gemm finds in its lists of pointers.
//   (2) New memory holds bytes 0xff. Around each allocation lie bytes that must never change; they
//       are looked at by wait() and release().
//   (3) A recording keeps parameters by value. What may not be called between record_begin and
//       record_end breaks a rule; so do calls without bind(), and two threads at once.
//   (4) A broken rule is thrown as BrokenRule and, unless options.quiet, fails the running test.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/device.h"

namespace seedbed::engine::kit {

class BrokenRule : public std::logic_error {
  using std::logic_error::logic_error;
};

struct FakeOptions {
  const kernels::Ops* ops = nullptr;  // what computes, on host memory; null: the processor's best
  std::int64_t limit_bytes = 0;       // allocate() gives null beyond; 0: what is reserved
  std::int64_t reserve_bytes = std::int64_t{1} << 30;  // of addresses
  bool records = true;
  // Chains are offered, too: computed by these, or by the ops in turn, after which what lay between
  // them is spoiled.
  bool chains = false;
  const kernels::Chains* chained = nullptr;
  std::function<void()> on_bind =
      {};  // on the thread that binds: what the ops want to be told there
  bool quiet = false;
};

class FakeDevice : public kernels::Device {
 public:
  explicit FakeDevice(const FakeOptions& options = {});
  ~FakeDevice() override;

  [[nodiscard]] const kernels::Ops& ops() const override { return table_; }
  [[nodiscard]] const kernels::Chains* chains() const override;
  [[nodiscard]] bool is_host() const override { return false; }
  [[nodiscard]] std::string describe() const override { return name_; }
  void bind() override;
  std::byte* allocate(std::int64_t bytes) override;
  void release(std::byte* memory) override;
  [[nodiscard]] std::int64_t free_bytes() const override;
  void upload(void* to, const void* from, std::int64_t bytes) override;
  void download(void* to, const void* from, std::int64_t bytes) override;
  void copy(void* to, const void* from, std::int64_t bytes) override;
  void wait() override;
  [[nodiscard]] bool can_record() const override { return options_.records; }
  void record_begin() override;
  std::unique_ptr<Recording> record_end() override;
  void play(Recording& recording) override;

  // ---- for tests; from any thread ----
  struct Counts {  // since the device was made, but for bytes
    std::int64_t allocations = 0, bytes = 0, uploads = 0, downloads = 0, copies = 0, waits = 0;
    std::int64_t ops = 0;     // that ran, those of recordings too
    std::int64_t played = 0;  // of them, those of recordings
    std::int64_t chains = 0;  // of them, chains
    std::int64_t recordings = 0, plays = 0;
  };
  [[nodiscard]] Counts counts() const;
  void set_limit(std::int64_t bytes) { limit_ = bytes; }

  // at_once: the op itself throws DeviceError. late: it and what follows is not run, and the next
  // download or wait throws, as most failures of a GPU are told.
  enum class Failure : std::uint8_t { at_once, late };
  // The n-th op from now (1: the next) fails, and every call after it.
  void fail_after(std::int64_t n, Failure how = Failure::at_once);

  // Where memory of the device really lies, if `bytes` from p on are all in one live allocation.
  // `who` begins the message otherwise.
  std::byte* behind(const void* p, std::int64_t bytes, const std::string& who);
  [[noreturn]] void broken(const std::string& what) const;

 private:
  struct Piece {
    std::int64_t bytes = 0, number = 0;
  };
  class Use;
  class Kept;
  friend struct FakeTable;
  friend struct FakeChains;  // fake_device_chains.cpp

  template <auto op, class Params>
  void run(const Params& params);
  template <auto op, class Params>
  void run_now(const Params& params);
  // Now, or when the recording is played.
  void run_chain(std::function<void(FakeDevice&)> chain);
  static FakeDevice& of_this_thread();  // the one that it bound
  bool starts();                        // one more op; false: it is not to be run
  bool goes_on();                       // false: lost, and not told yet
  [[noreturn]] void lost() const;
  void move(std::byte* to, const std::byte* from, std::int64_t bytes);
  std::int64_t room_for(std::int64_t bytes) const;
  [[nodiscard]] std::string damage(std::int64_t at, const Piece& piece) const;
  [[nodiscard]] std::int64_t offset_of(const void* p) const;  // -1: not of this device

  FakeOptions options_;
  const kernels::Ops& inner_;
  std::string name_;
  kernels::Ops table_;
  std::uint64_t id_ = 0;
  std::byte* shown_ = nullptr;            // [reserve_bytes], no access
  std::byte* behind_ = nullptr;           // [reserve_bytes]
  std::map<std::int64_t, Piece> pieces_;  // by offset
  std::int64_t next_ = 0;                 // where the search for room begins
  std::unique_ptr<Kept> recording_;
  std::atomic<bool> busy_{false};
  std::atomic<std::int64_t> limit_{0}, ops_left_{-1};
  std::atomic<Failure> how_{Failure::at_once};
  std::atomic<bool> lost_{false}, told_{false};
  struct Atomics {
    std::atomic<std::int64_t> allocations{0}, bytes{0}, uploads{0}, downloads{0}, copies{0},
        waits{0}, ops{0}, played{0}, chains{0}, recordings{0}, plays{0};
  };
  Atomics counts_;
};

}  // namespace seedbed::engine::kit
