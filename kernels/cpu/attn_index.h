// How the indexer's kernels walk their keys: tiles of 64, each widened once and met by several rows
// of queries. What a tile looks like when widened, and how it is multiplied, is the Core's.
//
// A Core has (tile: its widened keys, q: its widened queries of one row)
//   static std::size_t q_bytes(const IndexJob&), tile_bytes(const IndexJob&);
//   static void widen_q(const IndexJob&, const std::byte* from, std::byte* to);
//   static void widen_tile(const IndexJob&, const KeyTile&, std::byte* to);
//   static void score(const IndexJob&, const std::byte* q, const float* w, const std::byte* tile,
//                     const float* scale, Ahead& ahead, float* out);  // all 64 of a tile, scale as
//                     in KeyTile
#pragma once
#include "kernels/cpu/attn_lanes.h"
#include "kernels/index_logits.h"
#include "kernels/pool.h"

namespace seedbed::kernels::SEEDBED_ISA {

struct IndexJob {
  int tokens = 0, heads = 0, dim = 0, columns = 0;
  DType dtype = DType::f8;
  const std::byte* q = nullptr;
  const float* w = nullptr;
  const std::byte* k = nullptr;  // contiguous keys; null: in pages
  const std::byte* k_scale = nullptr;
  Pages pages;
  PageTable table;
  const std::int32_t* key_begin = nullptr;
  const std::int32_t* key_end = nullptr;
  float* out = nullptr;
  std::int64_t ldo = 0;
  Pool* pool = nullptr;
};

constexpr int kTileKeys = kPageTokens;

struct KeyTile {
  const std::byte* keys = nullptr;   // rows of dim numbers; null: no such page
  const std::byte* scale = nullptr;  // f8: rows of ceil(dim/128) f32
  int rows = 0;
};

static inline std::int64_t index_row_bytes(const IndexJob& job) {
  return static_cast<std::int64_t>(job.dim) * bytes_of(job.dtype);
}
static inline std::int64_t index_sequence(const IndexJob& job, std::int64_t token) {
  return job.k != nullptr || job.table.sequence == nullptr ? 0 : job.table.sequence[token];
}

static inline KeyTile key_tile(const IndexJob& job, std::int64_t sequence, std::int64_t tile) {
  if (job.k != nullptr) {
    const std::int64_t at = tile * kTileKeys;
    const std::int64_t left = job.columns - at;
    return {job.k + at * index_row_bytes(job),
            job.k_scale == nullptr ? nullptr : job.k_scale + at * 4 * quant_blocks(job.dim),
            left < kTileKeys ? static_cast<int>(left) : kTileKeys};
  }
  const std::int32_t page = job.table.table[sequence * job.table.table_stride + tile];
  if (page < 0 || page >= job.pages.count) return {};
  const std::byte* keys = job.pages.base + page * job.pages.stride;
  return {keys, job.dtype == DType::f8 ? keys + kTileKeys * index_row_bytes(job) : nullptr,
          kTileKeys};
}

// The tile's scales as [block][64].
static inline void load_scales(const IndexJob& job, const KeyTile& tile, float* scale) {
  if (job.dtype != DType::f8) return;
  const int blocks = quant_blocks(job.dim);
  if (blocks == 1) {
    std::memset(scale, 0, kTileKeys * sizeof(float));
    std::memcpy(scale, tile.scale, static_cast<std::size_t>(tile.rows) * sizeof(float));
    return;
  }
  for (int b = 0; b < blocks; ++b)
    for (int i = 0; i < kTileKeys; ++i) {
      scale[b * kTileKeys + i] = 0;
      if (i < tile.rows)
        std::memcpy(&scale[b * kTileKeys + i], tile.scale + 4 * (i * blocks + b), 4);
    }
}

// Memory that will be read next, asked for a line at a time between multiplications: asked for all
// at once, the lines would fill the queue to memory and the processor would wait for it.
struct Ahead {
  const std::byte *at = nullptr, *end = nullptr;
  void line() {
    if (at >= end) return;
    __builtin_prefetch(at, 0, 2);
    at += 64;
  }
  void rest() {
    while (at < end) line();
  }
};

// The keys of a page and, right behind them, their scales.
static inline Ahead ahead_of(const IndexJob& job, const KeyTile& tile) {
  if (tile.keys == nullptr) return {};
  const std::int64_t scales = job.k == nullptr && tile.scale != nullptr
                                  ? 4 * static_cast<std::int64_t>(tile.rows) * quant_blocks(job.dim)
                                  : 0;
  return {tile.keys, tile.keys + tile.rows * index_row_bytes(job) + scales};
}

// The columns [begin, end) of one tile that a row sees, relative to the tile.
struct Seen {
  int begin = 0, end = 0, columns = 0;
};
static inline Seen seen_of(const IndexJob& job, std::int64_t token, std::int64_t tile) {
  const std::int64_t at = tile * kTileKeys;
  const std::int64_t left = job.columns - at;
  Seen seen;
  seen.columns = left < kTileKeys ? static_cast<int>(left) : kTileKeys;
  const std::int64_t begin = (job.key_begin == nullptr ? 0 : job.key_begin[token]) - at;
  const std::int64_t end = job.key_end[token] - at;
  seen.begin = begin < 0 ? 0 : begin > seen.columns ? seen.columns : static_cast<int>(begin);
  seen.end = end < seen.begin     ? seen.begin
             : end > seen.columns ? seen.columns
                                  : static_cast<int>(end);
  return seen;
}

// Rows [row_begin, row_end), all of one sequence, over the tiles [tile_begin, tile_end).
template <class Core>
static void index_piece(const IndexJob& job,
                        const std::byte* q,
                        std::int64_t row_begin,
                        std::int64_t row_end,
                        std::int64_t tile_begin,
                        std::int64_t tile_end) {
  const std::size_t q_bytes = Core::q_bytes(job);
  const std::size_t tile_bytes = Core::tile_bytes(job);
  const std::size_t scale_bytes =
      sizeof(float) * kTileKeys * static_cast<std::size_t>(quant_blocks(job.dim));
  auto* widened = static_cast<std::byte*>(scratch(2, tile_bytes + scale_bytes));
  auto* scale = reinterpret_cast<float*>(widened + tile_bytes);
  const std::int64_t sequence = index_sequence(job, row_begin);
  constexpr std::int64_t kAhead = 2;
  for (std::int64_t tile = tile_begin + 1; tile < tile_begin + kAhead && tile < tile_end; ++tile)
    ahead_of(job, key_tile(job, sequence, tile)).rest();
  for (std::int64_t tile = tile_begin; tile < tile_end; ++tile) {
    bool ready = false;
    KeyTile keys;
    Ahead ahead;
    for (std::int64_t row = row_begin; row < row_end; ++row) {
      const Seen seen = seen_of(job, row, tile);
      if (!ready && seen.begin < seen.end) {
        ready = true;
        keys = key_tile(job, sequence, tile);
        // Two tiles ahead: one is multiplied sooner than memory answers.
        if (tile + kAhead < tile_end && job.key_end[row] > (tile + kAhead) * kTileKeys)
          ahead = ahead_of(job, key_tile(job, sequence, tile + kAhead));
        if (keys.keys != nullptr) {
          Core::widen_tile(job, keys, widened);
          load_scales(job, keys, scale);
        }
      }
      float* out = job.out + row * job.ldo + tile * kTileKeys;
      if (keys.keys != nullptr && seen.begin == 0 && seen.end == kTileKeys) {
        Core::score(job, q + static_cast<std::size_t>(row) * q_bytes, job.w + row * job.heads,
                    widened, scale, ahead, out);
        continue;
      }
      float some[kTileKeys];
      const bool any = keys.keys != nullptr && seen.begin < seen.end;
      if (any)
        Core::score(job, q + static_cast<std::size_t>(row) * q_bytes, job.w + row * job.heads,
                    widened, scale, ahead, some);
      for (int i = 0; i < seen.columns; ++i)
        out[i] = any && i >= seen.begin && i < seen.end ? some[i] : -__builtin_inff();
    }
  }
}

template <class Core>
static void run_index(const IndexJob& job) {
  if (job.tokens == 0 || job.columns == 0) return;
  KERNEL_CHECK(job.heads > 0 && job.dim > 0, job.heads, job.dim);
  const std::size_t q_bytes = Core::q_bytes(job);
  const auto tokens = static_cast<std::size_t>(job.tokens);
  auto* q = static_cast<std::byte*>(scratch(0, q_bytes * tokens));
  parallel_for(job.pool, job.tokens, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t)
      Core::widen_q(job, job.q + t * job.heads * index_row_bytes(job),
                    q + static_cast<std::size_t>(t) * q_bytes);
  });
  // Rows that meet a tile together: neighbours of one sequence, their queries within half of L2.
  const auto fit = static_cast<std::int64_t>((std::size_t{512} << 10) / q_bytes);
  const std::int64_t most = fit < 1 ? 1 : fit;
  auto* starts = static_cast<std::int64_t*>(scratch(1, sizeof(std::int64_t) * (tokens + 1)));
  std::int64_t groups = 0;
  for (std::int64_t t = 0; t < job.tokens; ++t)
    if (groups == 0 || t - starts[groups - 1] >= most ||
        index_sequence(job, t) != index_sequence(job, t - 1))
      starts[groups++] = t;
  starts[groups] = job.tokens;
  const std::int64_t tiles = (job.columns + kTileKeys - 1) / kTileKeys;
  const int threads = job.pool == nullptr ? 1 : job.pool->threads();
  std::int64_t run = groups * tiles / (8 * threads);
  run = run < 1 ? 1 : run > 32 ? 32 : run;
  const std::int64_t runs = (tiles + run - 1) / run;
  parallel_for(job.pool, groups * runs, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t group = i / runs;
      const std::int64_t tile = i % runs * run;
      index_piece<Core>(job, q, starts[group], starts[group + 1], tile,
                        tile + run < tiles ? tile + run : tiles);
    }
  });
}

static inline IndexJob index_job(const IndexLogitsParams& p) {
  IndexJob job;
  job.tokens = p.tokens;
  job.heads = p.heads;
  job.dim = p.dim;
  job.columns = p.columns;
  job.dtype = p.dtype;
  job.q = static_cast<const std::byte*>(p.q);
  job.w = p.w;
  job.k = static_cast<const std::byte*>(p.k);
  job.k_scale = p.dtype == DType::f8 ? reinterpret_cast<const std::byte*>(p.k_scale) : nullptr;
  job.key_begin = p.key_begin;
  job.key_end = p.key_end;
  job.out = p.out;
  job.ldo = p.ldo != 0 ? p.ldo : p.columns;
  job.pool = p.pool;
  KERNEL_CHECK(p.k != nullptr || p.columns == 0 || p.tokens == 0, p.columns, p.tokens);
  return job;
}
static inline IndexJob index_job(const IndexLogitsPagedParams& p) {
  IndexJob job;
  job.tokens = p.tokens;
  job.heads = p.heads;
  job.dim = p.dim;
  job.columns = p.columns;
  job.dtype = p.pages.dtype;
  job.q = static_cast<const std::byte*>(p.q);
  job.w = p.w;
  job.pages = p.pages;
  job.table = p.table;
  job.key_end = p.key_end;
  job.out = p.out;
  job.ldo = p.ldo != 0 ? p.ldo : p.columns;
  job.pool = p.pool;
  return job;
}

}  // namespace seedbed::kernels::SEEDBED_ISA
