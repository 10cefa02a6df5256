// Chains on a fake device: those of a backend, or their ops in turn. What a chain promises to
// nobody holds bytes 0xff after the latter.
#include <cstring>
#include <vector>

#include "tests/engine/fake_device.h"
#include "tests/engine/fake_device_params.h"

namespace seedbed::engine::kit {

using namespace kernels;  // NOLINT(google-build-using-namespace): every params struct of the table

namespace {

template <class T>
void spoil(T* memory, std::int64_t count) {
  std::memset(static_cast<void*>(memory), 0xff, static_cast<std::size_t>(count) * sizeof(T));
}
void spoil(const RopeParams& p) {
  for (std::int64_t t = 0; t < p.tokens; ++t)
    for (std::int64_t h = 0; h < p.heads; ++h)
      spoil(p.x + t * p.token_step + h * p.head_step, 2 * std::int64_t{p.half});
}
std::int64_t scales(const HadamardQuantParams& p) {
  return std::int64_t{p.rows} * quant_blocks(p.dim);
}

}  // namespace

struct FakeChains {
  static void topk_select_slots(const TopkSelectParams& select,
                                const PageTable& table,
                                std::int32_t* slots) {
    FakeDevice::of_this_thread().run_chain([=](FakeDevice& device) {
      auto s = select;
      auto t = table;
      auto* to = slots;
      place(device, s, t, to);
      if (const Chains* all = device.options_.chained) return all->topk_select_slots(s, t, to);
      std::vector<std::int32_t> own(static_cast<std::size_t>(s.rows) *
                                    static_cast<std::size_t>(s.k));
      if (s.out == nullptr) s.out = own.data();
      device.inner_.topk_select(s);
      device.inner_.map_slots(
          {.rows = s.rows, .k = s.k, .positions = s.out, .table = t, .slots = to, .pool = s.pool});
    });
  }

  static void silu_mul_quant(const SiluMulParams& silu, const ActQuantParams& quant) {
    FakeDevice::of_this_thread().run_chain([=](FakeDevice& device) {
      auto s = silu;
      auto q = quant;
      if (q.x != s.out || s.count != std::int64_t{q.rows} * q.dim)
        device.broken("chain 'silu_mul_quant': two steps that do not meet");
      place(device, s);
      place(device, q);
      if (const Chains* all = device.options_.chained) return all->silu_mul_quant(s, q);
      device.inner_.silu_mul(s);
      device.inner_.act_quant(q);
      spoil(s.out, s.count);
    });
  }

  static void index_query(const RopeParams& rope,
                          const HadamardQuantParams& quant,
                          float* weight,
                          float fold) {
    FakeDevice::of_this_thread().run_chain([=](FakeDevice& device) {
      auto r = rope;
      auto q = quant;
      FoldWeightsParams f = {
          .count = q.rows, .w = weight, .fold = fold, .scale = q.scale, .pool = q.pool};
      if (q.x != r.x || q.rows != r.tokens * r.heads || quant_blocks(q.dim) != 1)
        device.broken("chain 'index_query': steps that do not meet");
      place(device, r);
      place(device, q);
      if (weight != nullptr) place(device, f);
      if (const Chains* all = device.options_.chained) return all->index_query(r, q, f.w, fold);
      device.inner_.rope(r);
      device.inner_.hadamard_quant(q);
      if (weight != nullptr) {
        device.inner_.fold_weights(f);
        spoil(q.scale, scales(q));
      }
      spoil(r.x, std::int64_t{q.rows} * q.dim);
    });
  }

  static void index_key(const LayerNormParams& norm,
                        const RopeParams& rope,
                        const HadamardQuantParams& quant,
                        const IndexWriteParams& write) {
    FakeDevice::of_this_thread().run_chain([=](FakeDevice& device) {
      auto m = norm;
      auto r = rope;
      auto q = quant;
      auto w = write;
      if (r.x != m.out || r.heads != 1 || q.x != m.out || w.k != q.out || w.scale != q.scale)
        device.broken("chain 'index_key': steps that do not meet");
      place(device, m);
      place(device, r);
      place(device, q);
      place(device, w);
      if (const Chains* all = device.options_.chained) return all->index_key(m, r, q, w);
      device.inner_.layer_norm(m);
      device.inner_.rope(r);
      device.inner_.hadamard_quant(q);
      device.inner_.index_write(w);
      spoil(m.out, std::int64_t{m.rows} * m.dim);
      spoil(q.out, std::int64_t{q.rows} * q.dim);
      spoil(q.scale, scales(q));
    });
  }

  static void latent_key(const RmsNormParams& norm,
                         const RopeParams& rope,
                         const KvWriteParams& write) {
    FakeDevice::of_this_thread().run_chain([=](FakeDevice& device) {
      auto m = norm;
      auto r = rope;
      auto w = write;
      if (m.residual != nullptr || r.x != w.key || r.heads != 1 || w.latent != m.out)
        device.broken("chain 'latent_key': steps that do not meet");
      place(device, m);
      place(device, r);
      place(device, w);
      if (const Chains* all = device.options_.chained) return all->latent_key(m, r, w);
      device.inner_.rms_norm(m);
      device.inner_.rope(r);
      device.inner_.kv_write(w);
      const std::int64_t step = m.ldo == 0 ? m.dim : m.ldo;
      for (std::int64_t row = 0; row < m.rows; ++row) spoil(m.out + row * step, m.dim);
      spoil(r);
    });
  }
};

const Chains* FakeDevice::chains() const {
  static constexpr Chains all = {.topk_select_slots = FakeChains::topk_select_slots,
                                 .silu_mul_quant = FakeChains::silu_mul_quant,
                                 .index_query = FakeChains::index_query,
                                 .index_key = FakeChains::index_key,
                                 .latent_key = FakeChains::latent_key};
  static_assert(sizeof(Chains) == 5 * sizeof(void (*)()), "a chain was added: one here, too");
  return options_.chains ? &all : nullptr;
}

}  // namespace seedbed::engine::kit
