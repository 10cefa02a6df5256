// Sparse and dense latent attention: one body, which only takes its list of slots from elsewhere.
//
// A row's list is cut into splits of kMlaSplit entries. Within a split the valid entries are taken
// kTileRows at a time: widened to f32, scored against all heads, and added to the heads' sums, with
// a running maximum. Splits are then joined in order. A few rows spread their splits over the
// threads, many rows are one piece of work each; the arithmetic of a row is the same.
#include "kernels/mla.h"

#include "kernels/cpu/attn_lanes.h"
#include "kernels/cpu/attn_rows.h"
#include "kernels/cpu/ops_here.h"
#include "kernels/pool.h"

namespace seedbed::kernels::SEEDBED_ISA {

namespace {

constexpr int kTileRows = 32;
constexpr int kColumnBlock = 4;  // vectors of out beside each other

struct Job {
  int tokens = 0, heads = 0, c = 0, r = 0;
  int key_at = 0, width = 0;  // padded: where keys begin, and the whole of a row
  const float* q = nullptr;
  float scale = 1;
  Pages pages;
  bool dense = false;
  const std::int32_t* slots = nullptr;  // sparse
  std::int64_t k = 0;
  const std::int32_t* length = nullptr;
  PageTable table;  // dense
  float* out = nullptr;
  float* lse = nullptr;
  Pool* pool = nullptr;
};

int list_length(const Job& job, std::int64_t token) {
  std::int64_t n = job.length == nullptr ? job.k : job.length[token];
  if (!job.dense && n > job.k) n = job.k;
  return n < 0 ? 0 : static_cast<int>(n);
}

// The records of entries [begin, end) that are valid, in their order.
int find_records(
    const Job& job, std::int64_t token, int begin, int end, const std::byte** records) {
  const std::int32_t* table = nullptr;
  if (job.dense) {
    const std::int64_t sequence = job.table.sequence == nullptr ? 0 : job.table.sequence[token];
    table = job.table.table + sequence * job.table.table_stride;
  }
  const std::int64_t bytes = kv_record_bytes(job.pages.dtype, job.c, job.r);
  int n = 0;
  for (int i = begin; i < end; ++i) {
    std::int64_t page = 0;
    int within = 0;
    if (!job.dense) {
      const std::int32_t slot = job.slots[token * job.k + i];
      if (slot < 0) continue;
      page = slot / kPageTokens;
      within = slot % kPageTokens;
    } else {
      page = table[i / kPageTokens];
      within = i % kPageTokens;
    }
    if (page < 0 || page >= job.pages.count) continue;
    records[n++] = job.pages.base + page * job.pages.stride + within * bytes;
  }
  return n;
}

// score[h][j] of kHeads heads and four rows (or fewer: rows repeat).
template <int kHeads>
void score_block(const float* q,
                 std::int64_t q_step,
                 const float* const rows[4],
                 int width,
                 float scale,
                 float* score,
                 int wanted) {
  Vec sum[kHeads][4];
  for (int h = 0; h < kHeads; ++h)
    for (int j = 0; j < 4; ++j) sum[h][j] = Vec{};
  for (int i = 0; i < width; i += kLanes) {
    Vec row[4];
    for (int j = 0; j < 4; ++j) row[j] = v_load(rows[j] + i);
    for (int h = 0; h < kHeads; ++h) {
      const Vec x = v_load(q + h * q_step + i);
      for (int j = 0; j < 4; ++j) sum[h][j] = v_fma(x, row[j], sum[h][j]);
    }
  }
  for (int h = 0; h < kHeads; ++h) {
    float four[4];
    v_sum4(sum[h][0], sum[h][1], sum[h][2], sum[h][3], four);
    if (wanted < 4) {
      for (int j = 0; j < wanted; ++j) score[h * kTileRows + j] = four[j] * scale;
      continue;
    }
    typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));
    *reinterpret_cast<Four*>(score + h * kTileRows) = *reinterpret_cast<const Four*>(four) * scale;
  }
}

// `next` rows will be wanted soon and come from anywhere in memory: they are asked for a few at a
// time between the multiplications, so that the requests never queue.
void score_tile(const Job& job,
                const float* q,
                const float* tile,
                int rows,
                float* score,
                const std::byte* const* next,
                int next_rows) {
  const int bytes = (kv_record_bytes(job.pages.dtype, job.c, job.r) + 127) / 64 * 64;
  const int ask = (4 * (bytes / 64) * kHeadBlock + job.heads - 1) / job.heads;
  for (int j = 0; j < rows; j += 4) {
    int record = j;
    const int last = j + 4 < next_rows ? j + 4 : next_rows;
    const std::byte* at = nullptr;
    const std::byte* end = nullptr;
    const auto ask_some = [&] {
      for (int n = 0; n < ask; ++n, at += 64) {
        if (at == end) {
          if (record >= last) return;
          at = next[record++];
          end = at + bytes;
        }
        __builtin_prefetch(at, 0, 2);
      }
    };
    const int wanted = rows - j < 4 ? rows - j : 4;
    const float* four[4];
    for (int i = 0; i < 4; ++i)
      four[i] = tile + static_cast<std::int64_t>(j + (i < wanted ? i : 0)) * job.width;
    int h = 0;
    for (; h + kHeadBlock <= job.heads; h += kHeadBlock) {
      ask_some();
      score_block<kHeadBlock>(q + static_cast<std::int64_t>(h) * job.width, job.width, four,
                              job.width, job.scale, score + h * kTileRows + j, wanted);
    }
    for (; h < job.heads; ++h)
      score_block<1>(q + static_cast<std::int64_t>(h) * job.width, job.width, four, job.width,
                     job.scale, score + h * kTileRows + j, wanted);
  }
}

// Scores become weights against the new maximum; fade[h] is what the old sums are worth then.
void weigh_tile(int heads, int rows, float* score, float* top, float* total, float* fade) {
  for (int h = 0; h < heads; ++h) {
    float* row = score + h * kTileRows;
    for (int j = rows; j < kTileRows; ++j) row[j] = -__builtin_inff();
    Vec high = v_load(row);
    for (int j = kLanes; j < kTileRows; j += kLanes) high = v_larger(high, v_load(row + j));
    const float tile_top = v_max_all(high);
    const float now = tile_top > top[h] ? tile_top : top[h];
    // All of them -inf: nothing to weigh yet.
    const Vec base = v_set(now == -__builtin_inff() ? 0.0F : now);
    fade[h] = exp_one(top[h] - base[0]);
    Vec sum{};
    for (int j = 0; j < kTileRows; j += kLanes) {
      const Vec weight = v_exp(v_load(row + j) - base);
      v_store(row + j, weight);
      sum += weight;
    }
    total[h] = total[h] * fade[h] + v_sum_all(sum);
    top[h] = now;
  }
}

// acc[h][..] = fade[h] * acc[h][..] + sum_j weight[h][j] * tile[j][..]
template <int kHeads, int kColumns>
void add_block(const float* weight,
               const float* fade,
               const float* tile,
               int width,
               int rows,
               float* acc,
               std::int64_t acc_step) {
  Vec sum[kHeads][kColumns];
  for (int h = 0; h < kHeads; ++h)
    for (int v = 0; v < kColumns; ++v)
      sum[h][v] = v_load(acc + h * acc_step + v * kLanes) * fade[h];
  for (int j = 0; j < rows; ++j) {
    Vec row[kColumns];
    for (int v = 0; v < kColumns; ++v)
      row[v] = v_load(tile + static_cast<std::int64_t>(j) * width + v * kLanes);
    for (int h = 0; h < kHeads; ++h) {
      const Vec w = v_set(weight[h * kTileRows + j]);
      for (int v = 0; v < kColumns; ++v) sum[h][v] = v_fma(w, row[v], sum[h][v]);
    }
  }
  for (int h = 0; h < kHeads; ++h)
    for (int v = 0; v < kColumns; ++v) v_store(acc + h * acc_step + v * kLanes, sum[h][v]);
}

template <int kColumns>
void add_columns(const Job& job,
                 const float* weight,
                 const float* fade,
                 const float* tile,
                 int rows,
                 float* acc) {
  int h = 0;
  for (; h + kHeadBlock <= job.heads; h += kHeadBlock)
    add_block<kHeadBlock, kColumns>(weight + h * kTileRows, fade + h, tile, job.width, rows,
                                    acc + static_cast<std::int64_t>(h) * job.key_at, job.key_at);
  for (; h < job.heads; ++h)
    add_block<1, kColumns>(weight + h * kTileRows, fade + h, tile, job.width, rows,
                           acc + static_cast<std::int64_t>(h) * job.key_at, job.key_at);
}

void add_tile(const Job& job,
              const float* weight,
              const float* fade,
              const float* tile,
              int rows,
              float* acc) {
  int column = 0;
  for (; column + kColumnBlock * kLanes <= job.key_at; column += kColumnBlock * kLanes)
    add_columns<kColumnBlock>(job, weight, fade, tile + column, rows, acc + column);
  for (; column < job.key_at; column += kLanes)
    add_columns<1>(job, weight, fade, tile + column, rows, acc + column);
}

// What one split leaves: for each head its maximum, its sum, and its weighted latents.
struct Part {
  float* top;    // [heads]
  float* total;  // [heads]; top of an empty split is -inf and its total 0
  float* acc;    // [heads, key_at]
};
std::size_t part_floats(const Job& job) {
  return static_cast<std::size_t>(job.heads) * static_cast<std::size_t>(job.key_at + 2);
}
Part part_at(const Job& job, float* memory) {
  return {memory, memory + job.heads, memory + 2 * static_cast<std::size_t>(job.heads)};
}

// The row's queries, padded like the rows of a tile; where nothing needs padding, where they are.
const float* padded_q(const Job& job, std::int64_t token, float* room) {
  const float* q = job.q + token * job.heads * (job.c + job.r);
  if (job.width == job.c + job.r) return q;
  std::memset(
      room, 0,
      sizeof(float) * static_cast<std::size_t>(job.heads) * static_cast<std::size_t>(job.width));
  for (int h = 0; h < job.heads; ++h) {
    const float* from = q + static_cast<std::int64_t>(h) * (job.c + job.r);
    float* to = room + static_cast<std::int64_t>(h) * job.width;
    std::memcpy(to, from, sizeof(float) * static_cast<std::size_t>(job.c));
    std::memcpy(to + job.key_at, from + job.c, sizeof(float) * static_cast<std::size_t>(job.r));
  }
  return room;
}

void clear_head(const Job& job, const Part& part, int h) {
  part.top[h] = -__builtin_inff();
  part.total[h] = 0;
  std::memset(part.acc + static_cast<std::int64_t>(h) * job.key_at, 0,
              sizeof(float) * static_cast<std::size_t>(job.key_at));
}

// A split of a row's list; token < 0: none.
struct Piece {
  std::int64_t token = -1;
  int begin = 0, end = 0;
};

// `after` is what this thread will probably do next.
void run_split(const Job& job, const Piece& piece, const Piece& after, const Part& part) {
  const auto heads = static_cast<std::size_t>(job.heads);
  const auto width = static_cast<std::size_t>(job.width);
  auto* room = static_cast<float*>(
      scratch(3, sizeof(float) * (kTileRows * width + heads * (kTileRows + 1 + width))));
  float* tile = room;
  float* score = tile + kTileRows * width;
  float* q_room = score + heads * kTileRows;
  float* fade = q_room + heads * width;
  const std::byte* records[kMlaSplit + kTileRows];
  const int count = find_records(job, piece.token, piece.begin, piece.end, records);
  int known = count;
  if (after.token >= 0)
    known += find_records(job, after.token, after.begin,
                          after.end < after.begin + kTileRows ? after.end : after.begin + kTileRows,
                          records + count);
  for (int h = 0; h < job.heads; ++h) clear_head(job, part, h);
  if (count == 0) return;
  const float* q = padded_q(job, piece.token, q_room);
  if (job.width != job.c + job.r) std::memset(tile, 0, sizeof(float) * kTileRows * width);
  for (int at = 0; at < count; at += kTileRows) {
    const int rows = count - at < kTileRows ? count - at : kTileRows;
    for (int j = 0; j < rows; ++j)
      widen_record(job.pages.dtype, job.c, job.r, job.key_at, records[at + j],
                   tile + static_cast<std::size_t>(j) * width);
    const int left = known - at - rows;
    score_tile(job, q, tile, rows, score, records + at + rows, left < kTileRows ? left : kTileRows);
    weigh_tile(job.heads, rows, score, part.top, part.total, fade);
    add_tile(job, score, fade, tile, rows, part.acc);
  }
}

// joined += part, of one head
void join_head(const Job& job, const Part& joined, const Part& part, int h) {
  if (part.top[h] == -__builtin_inff() && part.total[h] == 0) return;
  const float now = joined.top[h] > part.top[h] ? joined.top[h] : part.top[h];
  const Vec old_worth = v_exp(v_set(joined.top[h] - now));
  const Vec new_worth = v_exp(v_set(part.top[h] - now));
  float* to = joined.acc + static_cast<std::int64_t>(h) * job.key_at;
  const float* from = part.acc + static_cast<std::int64_t>(h) * job.key_at;
  for (int i = 0; i < job.key_at; i += kLanes)
    v_store(to + i, v_fma(v_load(from + i), new_worth, v_load(to + i) * old_worth));
  joined.total[h] = joined.total[h] * old_worth[0] + part.total[h] * new_worth[0];
  joined.top[h] = now;
}

void finish_head(const Job& job, std::int64_t token, const Part& joined, int h) {
  const std::int64_t row = token * job.heads + h;
  const float total = joined.total[h];
  const bool empty = total == 0;
  const float* from = joined.acc + static_cast<std::int64_t>(h) * job.key_at;
  float* to = job.out + row * job.c;
  for (int i = 0; i < job.c; ++i) to[i] = empty ? 0.0F : from[i] / total;
  if (job.lse != nullptr)
    job.lse[row] = empty ? __builtin_inff() : joined.top[h] + __builtin_logf(total);
}

int splits_of(const Job& job, std::int64_t token) {
  return (list_length(job, token) + kMlaSplit - 1) / kMlaSplit;
}

Piece piece_of(const Job& job, std::int64_t token, int split) {
  if (token >= job.tokens) return {};
  const int n = list_length(job, token), begin = split * kMlaSplit;
  if (begin >= n) return {};
  return {token, begin, begin + kMlaSplit < n ? begin + kMlaSplit : n};
}

// One row, on this thread alone. Threads take rows in turns.
void run_row(const Job& job, std::int64_t token, int threads) {
  auto* room = static_cast<float*>(scratch(2, 2 * sizeof(float) * part_floats(job)));
  const Part joined = part_at(job, room);
  const Part part = part_at(job, room + part_floats(job));
  for (int h = 0; h < job.heads; ++h) clear_head(job, joined, h);
  const int splits = splits_of(job, token);
  for (int s = 0; s < splits; ++s) {
    run_split(job, piece_of(job, token, s),
              s + 1 < splits ? piece_of(job, token, s + 1) : piece_of(job, token + threads, 0),
              part);
    for (int h = 0; h < job.heads; ++h) join_head(job, joined, part, h);
  }
  for (int h = 0; h < job.heads; ++h) finish_head(job, token, joined, h);
}

void run(Job job) {
  if (job.tokens == 0) return;
  KERNEL_CHECK(job.heads > 0 && job.c > 0 && job.r >= 0, job.heads, job.c);
  job.key_at = round_up(job.c, kLanes);
  job.width = job.key_at + round_up(job.r, kLanes);
  const int threads = job.pool == nullptr ? 1 : job.pool->threads();
  if (threads == 1 || job.tokens >= 4 * threads) {
    parallel_for(job.pool, job.tokens, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t) run_row(job, t, threads);
    });
    return;
  }
  int most = 0;
  for (int t = 0; t < job.tokens; ++t) most = splits_of(job, t) > most ? splits_of(job, t) : most;
  const std::int64_t pieces = static_cast<std::int64_t>(job.tokens) * most;
  if (job.tokens == 1 && most <= 1) return run_row(job, 0, threads);
  // Each thread writes parts into memory of its own, which stays in its caches from call to call;
  // the list of them is common.
  const std::size_t part_bytes = sizeof(float) * part_floats(job);
  auto** parts =
      static_cast<float**>(scratch(0, sizeof(float*) * static_cast<std::size_t>(pieces)));
  parallel_for(job.pool, pieces, 1, [&](std::int64_t begin, std::int64_t end) {
    auto* mine = static_cast<float*>(scratch(2, part_bytes * static_cast<std::size_t>(pieces)));
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t token = i / most;
      const int split = static_cast<int>(i % most);
      parts[i] = mine + part_floats(job) * static_cast<std::size_t>(i);
      const std::int64_t later = i + threads;
      if (split < splits_of(job, token))
        run_split(job, piece_of(job, token, split),
                  piece_of(job, later / most, static_cast<int>(later % most)),
                  part_at(job, parts[i]));
    }
  });
  const std::int64_t rows = static_cast<std::int64_t>(job.tokens) * job.heads;
  const std::int64_t share = (rows + threads - 1) / threads;
  parallel_for(job.pool, rows, share, [&](std::int64_t begin, std::int64_t end) {
    const Part joined = part_at(job, static_cast<float*>(scratch(4, part_bytes)));
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t token = i / job.heads;
      const int h = static_cast<int>(i % job.heads);
      clear_head(job, joined, h);
      for (int s = 0; s < splits_of(job, token); ++s)
        join_head(job, joined, part_at(job, parts[token * most + s]), h);
      finish_head(job, token, joined, h);
    }
  });
}

}  // namespace

void sparse_mla(const SparseMlaParams& p) {
  Job job;
  job.tokens = p.tokens;
  job.heads = p.heads;
  job.c = p.c;
  job.r = p.r;
  job.q = p.q;
  job.scale = p.scale;
  job.pages = p.pages;
  job.slots = p.slots;
  job.k = p.k;
  job.length = p.length;
  job.out = p.out;
  job.lse = p.lse;
  job.pool = p.pool;
  KERNEL_CHECK(p.slots != nullptr || p.tokens == 0 || p.k == 0, p.tokens, p.k);
  run(job);
}

void dense_mla(const DenseMlaParams& p) {
  Job job;
  job.tokens = p.tokens;
  job.heads = p.heads;
  job.c = p.c;
  job.r = p.r;
  job.q = p.q;
  job.scale = p.scale;
  job.pages = p.pages;
  job.dense = true;
  job.table = p.table;
  job.length = p.key_end;
  job.out = p.out;
  job.lse = p.lse;
  job.pool = p.pool;
  KERNEL_CHECK(p.key_end != nullptr || p.tokens == 0, p.tokens, 0);
  run(job);
}

}  // namespace seedbed::kernels::SEEDBED_ISA
