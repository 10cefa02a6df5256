#include "tests/kernels/support.h"

#include <algorithm>
#include <cmath>

#include "tests/kernels/device.h"

#if defined(SEEDBED_WITH_SIMT)
#include "kernels/cuda/table.h"
#include "tests/simt/runtime.h"
#endif

namespace seedbed::kernels::test {

namespace {
template <Isa isa>
Backend cpu_backend(const char* name) {
  return {name, []() -> const Ops& { return cpu_ops(isa); }, [] { return isa_supported(isa); }};
}

testing::AssertionResult at_element(std::size_t i, float got, float want, const char* what) {
  return testing::AssertionFailure()
         << what << " at element " << i << ": got " << got << ", wanted " << want;
}
}  // namespace

std::vector<Backend> all_backends() {
  std::vector<Backend> all = {
      {"ref", []() -> const Ops& { return ref_ops(); }, [] { return true; }}};
#if defined(SEEDBED_WITH_SIMT)
  // The CUDA kernels on the host. The program with the race check is about them alone.
  all.push_back({"simt", []() -> const Ops& { return simt::table(); }, [] { return true; }});
  if (::simt::race_checked()) return all;
#endif
  all.push_back(cpu_backend<Isa::scalar>("cpu.scalar"));
  all.push_back(cpu_backend<Isa::avx2>("cpu.avx2"));
  all.push_back(cpu_backend<Isa::avx512>("cpu.avx512"));
  // A build without CUDA has one case that says so (device_test.cpp), not one a row.
  if (cuda_ops() != nullptr)
    all.push_back({"cuda", device_ops, [] { return why_no_device().empty(); }});
  return all;
}

void take_turns([[maybe_unused]] int order) {
#if defined(SEEDBED_WITH_SIMT)
  ::simt::set_order(static_cast<::simt::Order>(order), 7);
#endif
}

#if defined(SEEDBED_WITH_SIMT)
namespace {
bool every_access_is_looked_at() {
#if defined(__SANITIZE_ADDRESS__)
  return true;
#else
  return ::simt::race_checked();
#endif
}
}  // namespace
#endif

std::string why_skipped(const Backend& backend) {
  if (!backend.supported())
    return std::string(backend.name) == "cuda" ? why_no_device() : "not supported by this machine";
#if defined(SEEDBED_WITH_SIMT)
  // Minutes of the same kernels with other numbers of rows.
  const std::string test = testing::UnitTest::GetInstance()->current_test_info()->name();
  if (std::string(backend.name) == "simt" && every_access_is_looked_at() &&
      test.starts_with("AnyNumberOfRows"))
    return "too long where every access is looked at; other rows run the same kernels";
#endif
  return "";
}

std::vector<Backend> tested_backends() {
  std::vector<Backend> backends = all_backends();
  backends.erase(backends.begin());
  return backends;
}

std::ostream& operator<<(std::ostream& out, const Backend& backend) {
  return out << backend.name;
}

std::string test_name(const std::string& text) {
  std::string name = text;
  for (char& c : name)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  return name;
}

Pool* pool_of(int threads) {
  static Pool one(1), three(3);
  return threads == 1 ? &one : &three;
}

testing::AssertionResult exact(const Buffer& got, const Buffer& want) {
  if (got.all().size() != want.all().size())
    return testing::AssertionFailure()
           << "sizes differ: " << got.all().size() << " and " << want.all().size();
  const auto differ = std::mismatch(got.all().begin(), got.all().end(), want.all().begin());
  if (differ.first == got.all().end()) return testing::AssertionSuccess();
  const auto guard = (got.all().size() - got.view<std::byte>().size()) / 2;
  return testing::AssertionFailure()
         << "byte " << differ.first - got.all().begin() - static_cast<std::ptrdiff_t>(guard)
         << " of " << got.view<std::byte>().size() << ": got " << static_cast<int>(*differ.first)
         << ", wanted " << static_cast<int>(*differ.second);
}

testing::AssertionResult close(std::span<const float> got,
                               std::span<const float> want,
                               const Tolerance& tolerance) {
  if (got.size() != want.size())
    return testing::AssertionFailure() << "sizes differ: " << got.size() << ", " << want.size();
  double largest = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(got[i]) != std::isnan(want[i]))
      return at_element(i, got[i], want[i], "NaN in other places");
    if ((std::isinf(got[i]) || std::isinf(want[i])) && got[i] != want[i])
      return at_element(i, got[i], want[i], "infinities differ");
    if (std::isfinite(want[i])) largest = std::max(largest, std::fabs(double{want[i]}));
  }
  double xx = 0, yy = 0, xy = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (!std::isfinite(want[i])) continue;
    const double x = got[i], y = want[i], off = std::fabs(x - y);
    if (off > tolerance.abs && off > tolerance.rel * std::fabs(y) &&
        off > tolerance.of_largest * largest)
      return at_element(i, got[i], want[i], "too far off");
    xx += x * x;
    yy += y * y;
    xy += x * y;
  }
  const double cos = xx + yy == 0 ? 0 : 1 - 2 * xy / (xx + yy);
  if (cos > tolerance.cos)
    return testing::AssertionFailure()
           << "1 - 2xy/(xx+yy) = " << cos << ", at most " << tolerance.cos;
  return testing::AssertionSuccess();
}

testing::AssertionResult close(const Buffer& got, const Buffer& want, const Tolerance& tolerance) {
  // Guards and gaps are NaN until somebody writes there.
  const auto all = [](const Buffer& buffer) {
    return std::span<const float>(reinterpret_cast<const float*>(buffer.all().data()),
                                  buffer.all().size() / sizeof(float));
  };
  return close(all(got), all(want), tolerance);
}

Rng stream(const std::string& name, std::uint64_t index) {
  return rng_for(1, name, index, "kernels");
}

std::vector<float> normal(Rng& rng, std::int64_t count, float scale) {
  std::vector<float> values(at(count));
  for (float& value : values) {
    const std::uint64_t bits = rng.next();
    double sum = 0;  // of four uniforms: variance 1/3
    for (int i = 0; i < 4; ++i)
      sum += static_cast<double>((bits >> (16 * i)) & 0xFFFFU) / 65536.0 - 0.5;
    value = static_cast<float>(sum * 1.7320508075688772) * scale;
  }
  return values;
}

std::vector<std::byte> encoded(DType dtype, const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * at(bytes_of(dtype)));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t half = f32_to_bf16(values[i]);
    const std::uint8_t code = f32_to_e4m3(values[i]);
    const void* from = dtype == DType::f32    ? static_cast<const void*>(&values[i])
                       : dtype == DType::bf16 ? static_cast<const void*>(&half)
                                              : static_cast<const void*>(&code);
    std::memcpy(bytes.data() + i * at(bytes_of(dtype)), from, at(bytes_of(dtype)));
  }
  return bytes;
}

const char* name_of(DType dtype) {
  return dtype == DType::f32 ? "f32" : dtype == DType::bf16 ? "bf16" : "f8";
}

}  // namespace seedbed::kernels::test
