#include "tests/engine/fake_device.h"

#include <execinfo.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "tests/engine/fake_device_params.h"

namespace seedbed::engine::kit {

using kernels::Ops;

namespace {

constexpr std::int64_t kAlign = 256;  // and the least number of bytes between two allocations
constexpr std::byte kFresh{0xff}, kBetween{0xab};

std::int64_t rounded_up(std::int64_t bytes) {
  return (bytes + kAlign - 1) / kAlign * kAlign;
}

// ---- which device a thread speaks to ----
std::mutex living_lock;
std::map<std::uint64_t, FakeDevice*> living;
std::uint64_t last_id = 0;
thread_local std::uint64_t bound = 0;

// ---- a word about the fault that a host access is ----
struct Range {
  std::atomic<std::uintptr_t> begin{0}, end{0};
};
std::array<Range, 64> shown_ranges;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void on_fault(int, siginfo_t* info, void*) {
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (const Range& range : shown_ranges)
    if (at >= range.begin && at < range.end) {
      static constexpr char kText[] = "the host touched memory of a fake device; it was at\n";
      std::ignore = write(STDERR_FILENO, kText, sizeof kText - 1);
      std::array<void*, 32> frames{};
      backtrace_symbols_fd(frames.data(), backtrace(frames.data(), 32), STDERR_FILENO);
    }
  std::signal(SIGSEGV, SIG_DFL);  // and again, for good
}
void explain_faults() {
  static const bool once = [] {
    std::array<void*, 1> frame{};
    backtrace(frame.data(), 1);  // loads what it needs outside of the handler
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, nullptr);
    return true;
  }();
  std::ignore = once;
}
#else
void explain_faults() {}
#endif

std::byte* mapped(std::int64_t bytes, int protection) {
  void* p = mmap(nullptr, static_cast<std::size_t>(bytes), protection,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  SEEDBED_CHECK(p != MAP_FAILED, bytes);
  return static_cast<std::byte*>(p);
}

}  // namespace

// The table's functions are plain: the thread's device is the one that it bound.
struct FakeTable {
  template <auto op, class Params>
  static void call(const Params& params) {
    FakeDevice::of_this_thread().run<op>(params);
  }
  static Ops of(const char* name) {
    constexpr std::size_t entries = (sizeof(Ops) - offsetof(Ops, embed)) / sizeof(void (*)());
    static_assert(entries == 26, "an op was added: a row here, its pointers in *_params.cpp");
    return {
        .name = name,
        .embed = call<&Ops::embed>,
        .copy_rows = call<&Ops::copy_rows>,
        .gemm = call<&Ops::gemm>,
        .grouped_gemm = call<&Ops::grouped_gemm>,
        .lm_head = call<&Ops::lm_head>,
        .cast_bf16 = call<&Ops::cast_bf16>,
        .act_quant = call<&Ops::act_quant>,
        .hadamard_quant = call<&Ops::hadamard_quant>,
        .rms_norm = call<&Ops::rms_norm>,
        .layer_norm = call<&Ops::layer_norm>,
        .rope = call<&Ops::rope>,
        .kv_write = call<&Ops::kv_write>,
        .index_write = call<&Ops::index_write>,
        .fold_weights = call<&Ops::fold_weights>,
        .index_logits = call<&Ops::index_logits>,
        .index_logits_paged = call<&Ops::index_logits_paged>,
        .topk_select = call<&Ops::topk_select>,
        .map_slots = call<&Ops::map_slots>,
        .sparse_mla = call<&Ops::sparse_mla>,
        .dense_mla = call<&Ops::dense_mla>,
        .dense_mha = call<&Ops::dense_mha>,
        .moe_route = call<&Ops::moe_route>,
        .moe_permute = call<&Ops::moe_permute>,
        .moe_unpermute = call<&Ops::moe_unpermute>,
        .silu_mul = call<&Ops::silu_mul>,
        .sample = call<&Ops::sample>,
    };
  }
};

// One call from outside.
class FakeDevice::Use {
 public:
  Use(FakeDevice& device, const char* call, bool while_recording = false) : device_(device) {
    if (device.busy_.exchange(true))
      device.broken(std::string(call) + ": another thread is in a call of this device");
    const bool right = bound == device.id_;
    const bool allowed = device.recording_ == nullptr || while_recording;
    if (!right || !allowed) {
      device.busy_ = false;
      device.broken(std::string(call) +
                    (right ? ": not while recording" : ": this thread has not called bind() last"));
    }
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  ~Use() { device_.busy_ = false; }

 private:
  FakeDevice& device_;
};

class FakeDevice::Kept : public kernels::Device::Recording {
 public:
  explicit Kept(std::uint64_t owner) : device(owner) {}
  std::uint64_t device;
  std::vector<std::function<void(FakeDevice&)>> steps;
};

FakeDevice::FakeDevice(const FakeOptions& options)
    : options_(options),
      inner_(options.ops != nullptr ? *options.ops : kernels::cpu_ops()),
      name_(std::string("fake over ") + inner_.name),
      table_(FakeTable::of(name_.c_str())) {
  shown_ = mapped(options.reserve_bytes, PROT_NONE);
  behind_ = mapped(options.reserve_bytes, PROT_READ | PROT_WRITE);
  limit_ = options.limit_bytes != 0 ? options.limit_bytes
                                    : options.reserve_bytes - options.reserve_bytes / 8;
  explain_faults();
  const std::lock_guard lock(living_lock);
  id_ = ++last_id;
  living[id_] = this;
  Range& range = shown_ranges[id_ % shown_ranges.size()];
  range.begin = reinterpret_cast<std::uintptr_t>(shown_);
  range.end = range.begin + static_cast<std::uintptr_t>(options.reserve_bytes);
}

FakeDevice::~FakeDevice() {
  {
    const std::lock_guard lock(living_lock);
    living.erase(id_);
    shown_ranges[id_ % shown_ranges.size()].end = 0;
  }
  if (!pieces_.empty() && !options_.quiet)
    ADD_FAILURE() << name_ << ": " << pieces_.size() << " allocations were never released, one of "
                  << pieces_.begin()->second.bytes << " bytes";
  munmap(shown_, static_cast<std::size_t>(options_.reserve_bytes));
  munmap(behind_, static_cast<std::size_t>(options_.reserve_bytes));
}

void FakeDevice::broken(const std::string& what) const {
  const std::string text = name_ + ": " + what;
  if (!options_.quiet) ADD_FAILURE() << text;
  throw BrokenRule(text);
}

void FakeDevice::bind() {
  bound = id_;
  if (options_.on_bind) options_.on_bind();
}

FakeDevice& FakeDevice::of_this_thread() {
  const std::lock_guard lock(living_lock);
  const auto found = living.find(bound);
  if (found == living.end()) throw BrokenRule("fake device: an op is called without bind()");
  return *found->second;
}

// ---- failure on purpose ----

void FakeDevice::fail_after(std::int64_t n, Failure how) {
  how_ = how;
  ops_left_ = n;
}

void FakeDevice::lost() const {
  throw kernels::DeviceError(719, "unspecified launch failure", __FILE__, __LINE__);
}

bool FakeDevice::goes_on() {
  if (!lost_) return true;
  if (how_ == Failure::at_once || told_) lost();
  return false;
}

// ---- memory ----

std::int64_t FakeDevice::offset_of(const void* p) const {
  const auto* at = static_cast<const std::byte*>(p);
  return at >= shown_ && at < shown_ + options_.reserve_bytes ? at - shown_ : -1;
}

std::byte* FakeDevice::behind(const void* p, std::int64_t bytes, const std::string& who) {
  const std::string wanted = ", wanted " + std::to_string(bytes) + " bytes";
  if (p == nullptr) broken(who + ": null" + wanted);
  const std::int64_t at = offset_of(p);
  if (at < 0) broken(who + ": memory of the host or of another device" + wanted);
  auto next = pieces_.upper_bound(at);
  if (next == pieces_.begin()) broken(who + ": memory that is not allocated" + wanted);
  const auto& [begin, piece] = *--next;
  if (at >= begin + std::max<std::int64_t>(piece.bytes, 1))
    broken(who + ": memory that is not allocated, or no longer" + wanted);
  if (at + bytes > begin + piece.bytes)
    broken(who + wanted + ", allocation " + std::to_string(piece.number) + " ends after " +
           std::to_string(begin + piece.bytes - at));
  return behind_ + at;
}

// The first gap from `next_` on, so that what was released is not soon used again; -1: none.
std::int64_t FakeDevice::room_for(std::int64_t bytes) const {
  const std::int64_t need = rounded_up(bytes) + kAlign;
  const auto end_of = [](const auto& entry) {
    return entry.first + rounded_up(entry.second.bytes) + kAlign;
  };
  for (std::int64_t at : {std::max(next_, kAlign), kAlign}) {
    auto piece = pieces_.lower_bound(at);
    if (piece != pieces_.begin()) at = std::max(at, end_of(*std::prev(piece)));
    for (;; ++piece) {
      const bool last = piece == pieces_.end();
      if (at + need <= (last ? options_.reserve_bytes : piece->first)) return at;
      if (last) break;
      at = end_of(*piece);
    }
  }
  return -1;
}

std::byte* FakeDevice::allocate(std::int64_t bytes) {
  const Use use(*this, "allocate");
  if (bytes < 0) broken("allocate: " + std::to_string(bytes) + " bytes");
  goes_on();
  if (counts_.bytes + bytes > limit_) return nullptr;
  const std::int64_t at = room_for(bytes);
  if (at < 0) return nullptr;
  const Piece piece{bytes, ++counts_.allocations};
  counts_.bytes += bytes;
  std::memset(behind_ + at - kAlign, static_cast<int>(kBetween), static_cast<std::size_t>(kAlign));
  std::memset(behind_ + at, static_cast<int>(kFresh), static_cast<std::size_t>(bytes));
  std::memset(behind_ + at + bytes, static_cast<int>(kBetween),
              static_cast<std::size_t>(rounded_up(bytes) + kAlign - bytes));
  pieces_[at] = piece;
  next_ = at + rounded_up(bytes) + kAlign;
  return shown_ + at;
}

std::string FakeDevice::damage(std::int64_t at, const Piece& piece) const {
  const auto changed = [&](std::int64_t begin, std::int64_t end) -> std::int64_t {
    for (std::int64_t i = begin; i < end; ++i)
      if (behind_[i] != kBetween) return i;
    return -1;
  };
  std::int64_t where = changed(at - kAlign, at);
  if (where < 0) where = changed(at + piece.bytes, at + rounded_up(piece.bytes) + kAlign);
  if (where < 0) return "";
  return "allocation " + std::to_string(piece.number) + " of " + std::to_string(piece.bytes) +
         " bytes: somebody wrote beside it, at byte " + std::to_string(where - at);
}

void FakeDevice::release(std::byte* memory) {  // also where things are taken down: throws nothing
  if (memory == nullptr) return;
  std::string wrong;
  const bool busy = busy_.exchange(true);
  const auto found = pieces_.find(offset_of(memory));
  if (busy) wrong = "release: another thread is in a call of this device";
  if (recording_ != nullptr) wrong = "release: not while recording";
  if (found == pieces_.end()) {
    wrong = "release: no allocation begins there";
  } else {
    if (wrong.empty()) wrong = damage(found->first, found->second);
    counts_.bytes -= found->second.bytes;
    pieces_.erase(found);
  }
  if (!busy) busy_ = false;
  if (wrong.empty()) return;
  if (options_.quiet) throw BrokenRule(name_ + ": " + wrong);
  ADD_FAILURE() << name_ << ": " << wrong;
}

std::int64_t FakeDevice::free_bytes() const {
  return std::max<std::int64_t>(0, limit_ - counts_.bytes);
}

// ---- copies ----

void FakeDevice::upload(void* to, const void* from, std::int64_t bytes) {
  const Use use(*this, "upload");
  ++counts_.uploads;
  if (!goes_on() || bytes == 0) return;
  if (offset_of(from) >= 0) broken("upload: from memory of the device");
  std::memcpy(behind(to, bytes, "upload, parameter 'to'"), from, static_cast<std::size_t>(bytes));
}

void FakeDevice::download(void* to, const void* from, std::int64_t bytes) {
  const Use use(*this, "download");
  ++counts_.downloads;
  if (!goes_on()) {
    told_ = true;
    lost();
  }
  if (bytes == 0) return;
  if (offset_of(to) >= 0) broken("download: to memory of the device");
  std::memcpy(to, behind(from, bytes, "download, parameter 'from'"),
              static_cast<std::size_t>(bytes));
}

void FakeDevice::move(std::byte* to, const std::byte* from, std::int64_t bytes) {
  ++counts_.copies;
  if (!goes_on() || bytes == 0) return;
  std::byte* there = behind(to, bytes, "copy, parameter 'to'");
  const std::byte* here = behind(from, bytes, "copy, parameter 'from'");
  if (there < here + bytes && here < there + bytes) broken("copy: the two overlap");
  std::memcpy(there, here, static_cast<std::size_t>(bytes));
}

void FakeDevice::copy(void* to, const void* from, std::int64_t bytes) {
  const Use use(*this, "copy", true);
  auto* there = static_cast<std::byte*>(to);
  const auto* here = static_cast<const std::byte*>(from);
  if (recording_ != nullptr)
    recording_->steps.push_back([=](FakeDevice& device) { device.move(there, here, bytes); });
  else
    move(there, here, bytes);
}

void FakeDevice::wait() {
  const Use use(*this, "wait");
  ++counts_.waits;
  if (!goes_on()) {
    told_ = true;
    lost();
  }
  for (const auto& [at, piece] : pieces_)
    if (const std::string wrong = damage(at, piece); !wrong.empty()) broken("wait: " + wrong);
}

// ---- ops ----

bool FakeDevice::starts() {
  if (ops_left_ > 0 && --ops_left_ == 0) lost_ = true;
  return goes_on();
}

void FakeDevice::run_chain(std::function<void(FakeDevice&)> chain) {
  const Use use(*this, "chain", true);
  auto step = [chain = std::move(chain)](FakeDevice& device) {
    if (!device.starts()) return;
    chain(device);
    ++device.counts_.ops;
    ++device.counts_.chains;
  };
  if (recording_ != nullptr)
    recording_->steps.emplace_back(std::move(step));
  else
    step(*this);
}

template <auto op, class Params>
void FakeDevice::run_now(const Params& params) {
  if (!starts()) return;
  Params placed = params;
  place(*this, placed);
  (inner_.*op)(placed);
  ++counts_.ops;
}

template <auto op, class Params>
void FakeDevice::run(const Params& params) {
  const Use use(*this, "op", true);
  if (recording_ != nullptr)
    recording_->steps.push_back([params](FakeDevice& device) { device.run_now<op>(params); });
  else
    run_now<op>(params);
}

void FakeDevice::record_begin() {
  if (!options_.records) return;
  const Use use(*this, "record_begin");
  goes_on();
  recording_ = std::make_unique<Kept>(id_);
}

std::unique_ptr<kernels::Device::Recording> FakeDevice::record_end() {
  if (!options_.records) return nullptr;
  const Use use(*this, "record_end", true);
  if (recording_ == nullptr) broken("record_end: without record_begin");
  ++counts_.recordings;
  return std::exchange(recording_, nullptr);
}

void FakeDevice::play(Recording& recording) {
  const Use use(*this, "play");
  auto* kept = dynamic_cast<Kept*>(&recording);
  if (kept == nullptr || kept->device != id_) broken("play: a recording of another device");
  ++counts_.plays;
  const std::int64_t before = counts_.ops;
  for (const auto& step : kept->steps) step(*this);
  counts_.played += counts_.ops - before;
}

FakeDevice::Counts FakeDevice::counts() const {
  return {.allocations = counts_.allocations,
          .bytes = counts_.bytes,
          .uploads = counts_.uploads,
          .downloads = counts_.downloads,
          .copies = counts_.copies,
          .waits = counts_.waits,
          .ops = counts_.ops,
          .played = counts_.played,
          .chains = counts_.chains,
          .recordings = counts_.recordings,
          .plays = counts_.plays};
}

}  // namespace seedbed::engine::kit
