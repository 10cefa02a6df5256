// Every op of the table on a fake device: the bits of the host, and no pointer left unseen.
#include <cstring>
#include <iterator>

#include "tests/engine/fake_device_kit.h"

namespace seedbed::engine::kit {
namespace {

using namespace kernels;  // NOLINT(google-build-using-namespace): every params struct of the table

// Every op of the table with all its pointers, at offsets of one piece of memory.
struct Layout {
  static constexpr std::int64_t kInts = 0, kLists = 1024, kRows = 2048, kFloats = 4096,
                                kOut = 1 << 17, kPages = 1 << 18, kEnd = 1 << 19;
  std::byte* base;
  template <class T>
  T* at(std::int64_t offset) const {
    return reinterpret_cast<T*>(base + offset);
  }
  [[nodiscard]] const std::int32_t* ints() const { return at<std::int32_t>(kInts); }
  [[nodiscard]] const float* floats(int i = 0) const { return at<float>(kFloats + i * 8192); }
  [[nodiscard]] float* moved() const { return at<float>(kFloats + 7 * 8192); }  // in place
  [[nodiscard]] float* out(int i = 0) const { return at<float>(kOut + i * 8192); }
  [[nodiscard]] std::int32_t* ints_out(int i) const { return at<std::int32_t>(kOut + i * 8192); }
  [[nodiscard]] std::uint8_t* codes(int i) const { return at<std::uint8_t>(kOut + i * 8192); }
  [[nodiscard]] Pages pages(DType dtype) const {
    return {.base = at<std::byte>(kPages), .stride = 1 << 15, .count = 2, .dtype = dtype};
  }
  [[nodiscard]] PageTable table() const {
    return {.table = ints(), .table_stride = 1, .sequence = ints()};
  }
  // What lies there before an op. `behind`: where pointers of the lists are to point.
  static std::vector<std::byte> content(const std::byte* behind) {
    std::vector<std::byte> all(kEnd, std::byte{0});
    auto* floats = reinterpret_cast<float*>(all.data() + kFloats);
    for (int i = 0; i < (kOut - kFloats) / 4; ++i)
      floats[i] = static_cast<float>((i * 37) % 61 - 30) / 64;
    const SampleRow row[2] = {{.top_k = 3}, {.temperature = 0}};
    std::memcpy(all.data() + kRows, row, sizeof row);
    // One after another: offsets of groups, ends of contexts, and a list of one pointer.
    auto* ints = reinterpret_cast<std::int32_t*>(all.data());
    for (int i = 0; i < 8; ++i) ints[64 + i] = i;
    const std::byte* matrix = behind + kFloats;
    std::memcpy(all.data() + kLists, &matrix, sizeof matrix);
    const std::byte* scale = behind + kFloats + 8192;
    std::memcpy(all.data() + kLists + 8, &scale, sizeof scale);
    return all;
  }
};

struct Call {
  const char* name;
  void (*run)(const Ops& ops, const Layout& l);
};
// Zeros serve as ids, slots and lists of pages.
const Call kCalls[] = {
    {"embed",
     [](const Ops& ops, const Layout& l) {
       ops.embed({.tokens = 2,
                  .vocab = 3,
                  .dim = 8,
                  .ids = l.ints(),
                  .dtype = DType::f32,
                  .table = l.floats(),
                  .out = l.out()});
     }},
    {"copy_rows",
     [](const Ops& ops, const Layout& l) {
       ops.copy_rows({.rows = 3, .dim = 5, .x = l.floats(), .ldx = 9, .out = l.out(), .ldo = 6});
     }},
    {"gemm",
     [](const Ops& ops, const Layout& l) {
       ops.gemm({.rows = 2,
                 .cols = 5,
                 .inner = 16,
                 .a_dtype = DType::f8,
                 .w_dtype = DType::f8,
                 .a = l.floats(),
                 .a_scale = l.floats(1),
                 .w = l.floats(2),
                 .w_scale = l.floats(3),
                 .out = l.out()});
     }},
    {"gemm, batched",
     [](const Ops& ops, const Layout& l) {
       ops.gemm({.rows = 2,
                 .cols = 5,
                 .inner = 16,
                 .a = l.floats(),
                 .lda = 40,
                 .w = l.floats(2),
                 .out = l.out(),
                 .ldo = 11,
                 .batch = 2,
                 .a_step = 20,
                 .w_step = 80,
                 .out_step = 6});
     }},
    {"grouped_gemm",
     [](const Ops& ops, const Layout& l) {
       ops.grouped_gemm({.groups = 1,
                         .cols = 5,
                         .inner = 16,
                         .offsets = l.ints() + 64,
                         .a_dtype = DType::f8,
                         .w_dtype = DType::f8,
                         .a = l.floats(2),
                         .a_scale = l.floats(3),
                         .w = l.at<const void* const>(Layout::kLists),
                         .w_scale = l.at<const float* const>(Layout::kLists + 8),
                         .out = l.out()});
     }},
    {"lm_head",
     [](const Ops& ops, const Layout& l) {
       ops.lm_head({.rows = 2,
                    .vocab = 5,
                    .dim = 16,
                    .x = l.floats(),
                    .row_index = l.ints(),
                    .dtype = DType::f32,
                    .w = l.floats(1),
                    .out = l.out()});
     }},
    {"cast_bf16",
     [](const Ops& ops, const Layout& l) {
       ops.cast_bf16({.rows = 2,
                      .dim = 5,
                      .x = l.floats(),
                      .ldx = 7,
                      .out = l.at<std::uint16_t>(Layout::kOut)});
     }},
    {"act_quant",
     [](const Ops& ops, const Layout& l) {
       ops.act_quant(
           {.rows = 2, .dim = 130, .x = l.floats(), .out = l.codes(0), .scale = l.out(1)});
     }},
    {"hadamard_quant",
     [](const Ops& ops, const Layout& l) {
       ops.hadamard_quant(
           {.rows = 2, .dim = 16, .x = l.floats(), .out = l.codes(0), .scale = l.out(1)});
     }},
    {"rms_norm",
     [](const Ops& ops, const Layout& l) {
       ops.rms_norm({.rows = 2,
                     .dim = 8,
                     .x = l.floats(),
                     .residual = l.out(1),
                     .weight = l.floats(2),
                     .out = l.out()});
     }},
    {"layer_norm",
     [](const Ops& ops, const Layout& l) {
       ops.layer_norm({.rows = 2,
                       .dim = 8,
                       .x = l.floats(),
                       .weight = l.floats(2),
                       .bias = l.floats(3),
                       .out = l.out()});
     }},
    {"rope",
     [](const Ops& ops, const Layout& l) {
       ops.rope({.tokens = 2,
                 .heads = 2,
                 .half = 4,
                 .x = l.moved(),
                 .token_step = 20,
                 .head_step = 9,
                 .cos = l.floats(1),
                 .sin = l.floats(2)});
     }},
    {"kv_write",
     [](const Ops& ops, const Layout& l) {
       ops.kv_write({.tokens = 2,
                     .c = 16,
                     .r = 8,
                     .latent = l.floats(),
                     .latent_step = 16,
                     .key = l.floats(1),
                     .key_step = 8,
                     .slots = l.ints() + 64,
                     .pages = l.pages(DType::f8)});
     }},
    {"index_write",
     [](const Ops& ops, const Layout& l) {
       ops.index_write({.tokens = 2,
                        .d = 16,
                        .k = l.floats(),
                        .scale = l.floats(1),
                        .slots = l.ints() + 64,
                        .pages = l.pages(DType::f8)});
     }},
    {"fold_weights",
     [](const Ops& ops, const Layout& l) {
       ops.fold_weights({.count = 9, .w = l.moved(), .fold = 0.5F, .scale = l.floats()});
     }},
    {"index_logits",
     [](const Ops& ops, const Layout& l) {
       ops.index_logits({.tokens = 2,
                         .heads = 2,
                         .dim = 16,
                         .columns = 3,
                         .dtype = DType::f8,
                         .q = l.floats(),
                         .w = l.floats(1),
                         .k = l.floats(2),
                         .k_scale = l.floats(3),
                         .key_begin = l.ints(),
                         .key_end = l.ints() + 65,
                         .out = l.out(),
                         .ldo = 4});
     }},
    {"index_logits_paged",
     [](const Ops& ops, const Layout& l) {
       ops.index_logits_paged({.tokens = 2,
                               .heads = 2,
                               .dim = 16,
                               .columns = 3,
                               .q = l.floats(),
                               .w = l.floats(1),
                               .pages = l.pages(DType::f32),
                               .table = l.table(),
                               .key_end = l.ints() + 65,
                               .out = l.out(),
                               .ldo = 4});
     }},
    {"topk_select",
     [](const Ops& ops, const Layout& l) {
       ops.topk_select({.rows = 2,
                        .k = 2,
                        .scores = l.floats(),
                        .lds = 6,
                        .length = l.ints() + 67,
                        .out = l.ints_out(0)});
     }},
    {"map_slots",
     [](const Ops& ops, const Layout& l) {
       ops.map_slots({.rows = 2,
                      .k = 2,
                      .positions = l.ints() + 64,
                      .table = l.table(),
                      .slots = l.ints_out(0)});
     }},
    {"sparse_mla",
     [](const Ops& ops, const Layout& l) {
       ops.sparse_mla({.tokens = 2,
                       .heads = 2,
                       .c = 16,
                       .r = 8,
                       .k = 2,
                       .q = l.floats(),
                       .pages = l.pages(DType::f32),
                       .slots = l.ints() + 64,
                       .length = l.ints() + 65,
                       .out = l.out(),
                       .lse = l.out(1)});
     }},
    {"dense_mla",
     [](const Ops& ops, const Layout& l) {
       ops.dense_mla({.tokens = 2,
                      .heads = 2,
                      .c = 16,
                      .r = 8,
                      .q = l.floats(),
                      .pages = l.pages(DType::f32),
                      .table = l.table(),
                      .key_end = l.ints() + 65,
                      .out = l.out(),
                      .lse = l.out(1)});
     }},
    {"dense_mha",
     [](const Ops& ops, const Layout& l) {
       ops.dense_mha({.tokens = 2,
                      .heads = 2,
                      .qk_dim = 8,
                      .v_dim = 4,
                      .keys = 3,
                      .q = l.floats(),
                      .k = l.floats(1),
                      .v = l.floats(2),
                      .key_end = l.ints() + 65,
                      .selected = l.ints() + 64,
                      .selected_count = 1,
                      .out = l.out()});
     }},
    {"moe_route",
     [](const Ops& ops, const Layout& l) {
       ops.moe_route({.tokens = 2,
                      .experts = 4,
                      .topk = 1,
                      .logits = l.floats(),
                      .bias = l.floats(1),
                      .forced = l.ints() + 64,
                      .ids = l.ints_out(0),
                      .weights = l.out(1)});
     }},
    {"moe_permute",
     [](const Ops& ops, const Layout& l) {
       ops.moe_permute({.tokens = 2,
                        .topk = 1,
                        .experts = 4,
                        .dim = 8,
                        .ids = l.ints() + 64,
                        .x = l.floats(),
                        .offsets = l.ints_out(0),
                        .row_of = l.ints_out(1),
                        .out = l.out(2)});
     }},
    {"moe_unpermute",
     [](const Ops& ops, const Layout& l) {
       ops.moe_unpermute({.tokens = 2,
                          .topk = 1,
                          .dim = 8,
                          .y = l.floats(),
                          .row_of = l.ints() + 64,
                          .weights = l.floats(1),
                          .shared = l.floats(2),
                          .out = l.out()});
     }},
    {"silu_mul",
     [](const Ops& ops, const Layout& l) {
       ops.silu_mul({.count = 9, .gate = l.floats(), .up = l.floats(1), .out = l.out()});
     }},
    {"sample",
     [](const Ops& ops, const Layout& l) {
       ops.sample({.rows = 2,
                   .vocab = 9,
                   .logits = l.floats(),
                   .row = l.at<const SampleRow>(Layout::kRows),
                   .seen_offsets = l.ints() + 64,
                   .seen_ids = l.ints() + 64,
                   .seen_outputs = l.ints() + 64,
                   .bias_offsets = l.ints() + 64,
                   .bias_ids = l.ints() + 64,
                   .bias = l.floats(1),
                   .allowed = l.at<const std::uint32_t>(67 * 4),
                   .id = l.ints_out(0),
                   .logprob = l.out(1),
                   .raw_logprob = l.out(2),
                   .entropy = l.out(3),
                   .kept_count = l.ints_out(4),
                   .kept_ids = l.ints_out(5),
                   .kept_capacity = 4,
                   .top = 2,
                   .top_ids = l.ints_out(6),
                   .top_logprobs = l.out(7)});
     }},
};

TEST_F(Fake, EveryOpComputesWhatItDoesOnTheHost) {
  std::byte* memory = device_.allocate(Layout::kEnd);
  for (const Call& call : kCalls) {
    alignas(256) static std::byte host[Layout::kEnd];
    std::memcpy(host, Layout::content(host).data(), sizeof host);
    call.run(cpu_ops(), {host});
    device_.upload(memory, Layout::content(memory).data(), Layout::kEnd);
    call.run(device_.ops(), {memory});
    const auto got = read(device_, memory + Layout::kFloats, Layout::kEnd - Layout::kFloats);
    EXPECT_EQ(std::memcmp(got.data(), host + Layout::kFloats, got.size()), 0) << call.name;
    const auto before = Layout::content(host);
    EXPECT_NE(std::memcmp(got.data(), before.data() + Layout::kFloats, got.size()), 0)
        << call.name << " wrote nothing";
  }
  EXPECT_EQ(device_.counts().ops, static_cast<std::int64_t>(std::size(kCalls)));
  device_.wait();
  device_.release(memory);
}

TEST_F(Fake, NoOpTakesHostMemory) {
  alignas(256) static std::byte host[Layout::kEnd];
  std::memcpy(host, Layout::content(host).data(), sizeof host);
  for (const Call& call : kCalls) {
    const std::string op = std::string("op '") +
                           std::string(call.name).substr(0, std::string(call.name).find(',')) + "'";
    const auto said = why([&] { call.run(device_.ops(), {host}); });
    expect_in(op, said);
    expect_in("memory of the host", said);
  }
  EXPECT_EQ(device_.counts().ops, 0);
}

}  // namespace
}  // namespace seedbed::engine::kit
