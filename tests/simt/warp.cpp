// Meetings of lanes (shuffles, votes, mma, ldmatrix, __syncwarp) and of a block's threads
// (barriers). A meeting is known by its mask; all who come must name the same operation at the same
// place of the source.
#include <bit>
#include <cstdio>
#include <cstring>

#include "tests/simt/state.h"

namespace simt {

namespace {
constexpr const char* kNames[] = {
    "__syncwarp",        "__shfl_sync",       "__shfl_xor_sync",
    "__shfl_up_sync",    "__shfl_down_sync",  "a vote",
    "__match_any_sync",  "__reduce_add_sync", "__reduce_min_sync",
    "__reduce_max_sync", "__reduce_or_sync",  "__reduce_and_sync",
    "mma.sync (bf16)",   "mma.sync (f16)",    "mma.sync (e4m3)",
    "ldmatrix",          "ldmatrix.trans",    "bar.arrive",
};
const char* name_of(Op op) {
  return kNames[static_cast<int>(op)];
}
bool same(Loc a, Loc b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}
std::string hex(unsigned mask) {
  char text[16];
  std::snprintf(text, sizeof text, "%08x", mask);
  return text;
}

Meeting& meeting_of(Warp& warp, unsigned mask) {
  for (auto& meeting : warp.meetings)
    if (meeting->mask == mask) return *meeting;
  warp.meetings.push_back(std::make_unique<Meeting>());
  warp.meetings.back()->mask = mask;
  return *warp.meetings.back();
}

void compute(Meeting& meeting, int set, const Thread& last);

// Deposits, waits for the others; returns which of the two sets of deposits and results is ours.
int meet(Op op, unsigned mask, const void* data, std::size_t bytes, Loc at) {
  Thread& me = *rt->current;
  Warp& warp = rt->warp[me.warp];
  const unsigned bit = 1U << me.lane;
  if ((mask & bit) == 0)
    fail(std::string(name_of(op)) + ": lane " + std::to_string(me.lane) +
             " is not in its own mask " + hex(mask),
         at);
  const unsigned absent = mask & ~(warp.lanes & ~warp.left);
  if (absent != 0 && rt->strict)
    fail(std::string(name_of(op)) + ": mask " + hex(mask) + " names lanes that " +
             ((absent & warp.left) != 0 ? "have left the kernel" : "do not exist") + ": " +
             hex(absent),
         at);
  Meeting& meeting = meeting_of(warp, mask);
  if (meeting.arrived == 0) {
    meeting.op = op, meeting.at = at;
  } else if (meeting.op != op || !same(meeting.at, at)) {
    fail(std::string(name_of(op)) + " meets " + name_of(meeting.op) + " at " +
             where_text(meeting.at) + " on mask " + hex(mask),
         at);
  }
  const int set = static_cast<int>(meeting.generation & 1U);
  if (bytes > 0) std::memcpy(meeting.deposit[set][me.lane].bytes, data, bytes);
  meeting.arrived |= bit;
  if ((meeting.arrived | absent) != mask) {
    wait_here(name_of(op), mask, 0, at);
    return set;
  }
  compute(meeting, set, me);
  const unsigned others = meeting.arrived & ~bit;
  meeting.arrived = 0;
  ++meeting.generation;
  for (unsigned rest = others; rest != 0; rest &= rest - 1)
    make_ready(rt->thread[me.warp * kLanes + std::countr_zero(rest)]);
  maybe_yield();
  return set;
}
Meeting& met(unsigned mask) {
  return meeting_of(rt->warp[rt->current->warp], mask);
}

template <class T>
T deposited(const Meeting& meeting, int set, int lane, std::size_t offset = 0) {
  T value;
  std::memcpy(&value, meeting.deposit[set][lane].bytes + offset, sizeof value);
  return value;
}

// ---- what the last lane to come computes ----
struct Fragments {
  std::uint32_t a[4], b[2];
  float c[4];
};

float bf16(std::uint32_t pair, int half) {
  return std::bit_cast<float>(half == 0 ? pair << 16 : pair & 0xffff0000U);
}
float f16(std::uint32_t pair, int half) {
  const std::uint32_t code = (half == 0 ? pair : pair >> 16) & 0xffffU, magnitude = code & 0x7fffU;
  const float value = magnitude >= 0x7c00U
                          ? std::bit_cast<float>(0x7f800000U | ((magnitude & 0x3ffU) << 13))
                          : std::bit_cast<float>(magnitude << 13) * 0x1p112F;
  return (code & 0x8000U) != 0 ? -value : value;
}
float e4m3(std::uint32_t four, int which) {
  const std::uint32_t code = (four >> (8 * which)) & 0xffU, magnitude = code & 0x7fU;
  const float value = magnitude == 0x7fU ? std::bit_cast<float>(0x7fc00000U)
                                         : std::bit_cast<float>(magnitude << 20) * 0x1p120F;
  return (code & 0x80U) != 0 ? -value : value;
}

// PER numbers a register, K = 8 * PER; the layout stands at mma_bf16 and mma_e4m3 in device.h.
template <int PER, class Decode>
void multiply(Meeting& meeting, int set, Decode decode) {
  constexpr int K = 8 * PER;
  float a[16][K], b[K][8], c[16][8];
  for (int lane = 0; lane < kLanes; ++lane) {
    const auto f = deposited<Fragments>(meeting, set, lane);
    const int g = lane / 4, t = lane % 4;
    for (int r = 0; r < 4; ++r) {
      for (int i = 0; i < PER; ++i)
        a[g + 8 * (r & 1)][PER * t + 4 * PER * (r >> 1) + i] = decode(f.a[r], i);
      c[g + 8 * (r >> 1)][2 * t + (r & 1)] = f.c[r];
    }
    for (int r = 0; r < 2; ++r)
      for (int i = 0; i < PER; ++i) b[PER * t + 4 * PER * r + i][g] = decode(f.b[r], i);
  }
  for (int row = 0; row < 16; ++row)
    for (int k = 0; k < K; ++k)
      for (int column = 0; column < 8; ++column) c[row][column] += a[row][k] * b[k][column];
  for (int lane = 0; lane < kLanes; ++lane) {
    const int g = lane / 4, t = lane % 4;
    const float out[4] = {c[g][2 * t], c[g][2 * t + 1], c[g + 8][2 * t], c[g + 8][2 * t + 1]};
    std::memcpy(meeting.result[set][lane].bytes, out, sizeof out);
  }
}

struct RowAddress {
  const std::byte* row;
  std::uint32_t matrices;
};
void load_matrices(Meeting& meeting, int set, bool transposed, const Thread& last) {
  const auto matrices = deposited<RowAddress>(meeting, set, 0).matrices;
  std::uint16_t matrix[4][8][8] = {};
  for (int lane = 0; lane < static_cast<int>(matrices) * 8; ++lane) {
    const std::byte* row = deposited<RowAddress>(meeting, set, lane).row;
    if (!in_shared(row, 16) || !in_array(row, 16))
      fail("ldmatrix: lane " + std::to_string(lane) + " names " +
               (in_shared(row, 16) ? shared_name(row) : "what is no shared memory"),
           meeting.at);
    if (reinterpret_cast<std::uintptr_t>(row) % 16 != 0)
      fail("ldmatrix: the row of lane " + std::to_string(lane) + " is not aligned to 16 bytes",
           meeting.at);
    race::touch(race::Access::read, rt->thread[last.warp * kLanes + lane], row, 16, meeting.at);
    std::memcpy(matrix[lane / 8][lane % 8], row, 16);
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    std::uint32_t out[4] = {};
    const int one = lane / 4, two = 2 * (lane % 4);
    for (std::uint32_t m = 0; m < matrices; ++m) {
      const auto& from = matrix[m];
      out[m] = transposed ? from[two][one] | (std::uint32_t{from[two + 1][one]} << 16)
                          : from[one][two] | (std::uint32_t{from[one][two + 1]} << 16);
    }
    std::memcpy(meeting.result[set][lane].bytes, out, sizeof out);
  }
}

unsigned reduced(const Meeting& meeting, int set) {
  unsigned total = meeting.op == Op::reduce_min || meeting.op == Op::reduce_and ? ~0U : 0U;
  for (int lane = 0; lane < kLanes; ++lane) {
    if ((meeting.arrived >> lane & 1U) == 0) continue;
    const auto value = deposited<unsigned>(meeting, set, lane);
    switch (meeting.op) {
      case Op::ballot:
        total |= value << lane;
        break;
      case Op::reduce_add:
        total += value;
        break;
      case Op::reduce_min:
        total = value < total ? value : total;
        break;
      case Op::reduce_max:
        total = value > total ? value : total;
        break;
      case Op::reduce_and:
        total &= value;
        break;
      default:
        total |= value;
        break;
    }
  }
  return total;
}

void compute(Meeting& meeting, int set, const Thread& last) {
  switch (meeting.op) {
    case Op::sync:
      return race::join_warp(last.warp, meeting.arrived);
    case Op::arrive:
      race::arrive(deposited<int>(meeting, set, last.lane), last);
      return race::step(last.warp);
    case Op::ballot:
    case Op::reduce_add:
    case Op::reduce_min:
    case Op::reduce_max:
    case Op::reduce_or:
    case Op::reduce_and: {
      const unsigned total = reduced(meeting, set);
      std::memcpy(meeting.result[set][0].bytes, &total, sizeof total);
      return;
    }
    case Op::mma_bf16:
      return multiply<2>(meeting, set, bf16);
    case Op::mma_f16:
      return multiply<2>(meeting, set, f16);
    case Op::mma_e4m3:
      return multiply<4>(meeting, set, e4m3);
    case Op::ldmatrix:
      return load_matrices(meeting, set, false, last);
    case Op::ldmatrix_trans:
      return load_matrices(meeting, set, true, last);
    default:
      return;  // read by each lane for itself
  }
}

template <class T>
T result_of(unsigned mask, int set, int lane) {
  T value;
  std::memcpy(&value, met(mask).result[set][lane].bytes, sizeof value);
  return value;
}

void multiply_here(
    Op op, float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], Loc at) {
  Fragments f;
  std::memcpy(f.a, a, sizeof f.a);
  std::memcpy(f.b, b, sizeof f.b);
  std::memcpy(f.c, c, sizeof f.c);
  const int set = meet(op, 0xffffffffU, &f, sizeof f, at);
  std::memcpy(c, met(0xffffffffU).result[set][rt->current->lane].bytes, sizeof c);
}
void load_here(Op op, std::uint32_t* r, std::uint32_t matrices, const void* row, Loc at) {
  const RowAddress address{static_cast<const std::byte*>(row), matrices};
  const int set = meet(op, 0xffffffffU, &address, sizeof address, at);
  std::memcpy(r, met(0xffffffffU).result[set][rt->current->lane].bytes, 4 * matrices);
}
}  // namespace

void finish_without(Meeting& meeting, const Thread& gone) {
  const Warp& warp = rt->warp[gone.warp];
  const unsigned absent = meeting.mask & ~(warp.lanes & ~warp.left);
  if ((meeting.arrived | absent) != meeting.mask) return;
  compute(meeting, static_cast<int>(meeting.generation & 1U), gone);
  ++meeting.generation;
  for (unsigned rest = std::exchange(meeting.arrived, 0U); rest != 0; rest &= rest - 1)
    make_ready(rt->thread[gone.warp * kLanes + std::countr_zero(rest)]);
}

void meet_to_arrive(int barrier, Loc at) {
  const Warp& warp = rt->warp[rt->current->warp];
  meet(Op::arrive, warp.lanes & ~warp.left, &barrier, sizeof barrier, at);
}

void warp_barrier(unsigned mask, Loc at) {
  meet(Op::sync, mask, nullptr, 0, at);
}
void exchange(Op op, unsigned mask, void* value, std::size_t bytes, int source, Loc at) {
  if (source < 0 || source >= kLanes || (mask >> source & 1U) == 0)
    fail(std::string(name_of(op)) + ": lane " + std::to_string(rt->current->lane) + " reads lane " +
             std::to_string(source) + ", which is not in mask " + hex(mask),
         at);
  const int set = meet(op, mask, value, bytes, at);
  const Meeting& meeting = met(mask);
  if ((rt->warp[rt->current->warp].lanes >> source & 1U) == 0)
    fail(std::string(name_of(op)) + ": reads a lane that does not exist", at);
  std::memcpy(value, meeting.deposit[set][source].bytes, bytes);
}
unsigned ballot(unsigned mask, bool predicate, Loc at) {
  const unsigned one = predicate ? 1 : 0;
  const int set = meet(Op::ballot, mask, &one, sizeof one, at);
  return result_of<unsigned>(mask, set, 0);
}
unsigned reduce(Op op, unsigned mask, unsigned value, Loc at) {
  const int set = meet(op, mask, &value, sizeof value, at);
  return result_of<unsigned>(mask, set, 0);
}
unsigned match_any(unsigned mask, unsigned long long value, Loc at) {
  const int set = meet(Op::match, mask, &value, sizeof value, at);
  const Meeting& meeting = met(mask);
  unsigned equal = 0;
  for (int lane = 0; lane < kLanes; ++lane)
    if ((mask >> lane & 1U) != 0 && deposited<unsigned long long>(meeting, set, lane) == value)
      equal |= 1U << lane;
  return equal;
}
void mma_bf16(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], Loc at) {
  multiply_here(Op::mma_bf16, c, a, b, at);
}
void mma_f16(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], Loc at) {
  multiply_here(Op::mma_f16, c, a, b, at);
}
void mma_e4m3(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2], Loc at) {
  multiply_here(Op::mma_e4m3, c, a, b, at);
}
void ldmatrix_x4(std::uint32_t (&r)[4], const void* row, Loc at) {
  load_here(Op::ldmatrix, r, 4, row, at);
}
void ldmatrix_x4_trans(std::uint32_t (&r)[4], const void* row, Loc at) {
  load_here(Op::ldmatrix_trans, r, 4, row, at);
}
void ldmatrix_x2(std::uint32_t (&r)[2], const void* row, Loc at) {
  load_here(Op::ldmatrix, r, 2, row, at);
}
void ldmatrix_x2_trans(std::uint32_t (&r)[2], const void* row, Loc at) {
  load_here(Op::ldmatrix_trans, r, 2, row, at);
}

}  // namespace simt
