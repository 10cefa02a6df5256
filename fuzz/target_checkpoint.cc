// What a model folder brings: config.json, headers of safetensors files, whole files.
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <string>

#include "engine/checkpoint_headers.h"
#include "engine/make_model.h"
#include "engine/memory_plan.h"
#include "fuzz/targets.h"

namespace seedbed::fuzz {
namespace {

constexpr const char* kTiny = R"({"model_type":"deepseek_v32","vocab_size":16,"hidden_size":16,
"intermediate_size":16,"moe_intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":1,
"q_lora_rank":8,"kv_lora_rank":8,"qk_nope_head_dim":4,"qk_rope_head_dim":4,"v_head_dim":4,
"n_routed_experts":2,"n_shared_experts":0,"num_experts_per_tok":1,"index_n_heads":1,
"index_head_dim":4,"index_topk":2,"first_k_dense_replace":0,"rms_norm_eps":1e-6,
"max_position_embeddings":64,"quantization_config":{"quant_method":"fp8","fmt":"e4m3",
"activation_scheme":"dynamic","weight_block_size":[128,128],"scale_fmt":"ue8m0"}})";

engine::ModelConfig tiny() {
  return *engine::parse_model_config(*schemas::parse_json(kTiny), "tiny");
}

// What is read is written as the same model; all that is derived from it is finite and bounded.
std::string config(std::string_view input) {
  const auto json = schemas::parse_json(input);
  if (!json.ok()) return "";
  const auto read = engine::parse_model_config(*json, "config.json");
  if (!read.ok()) return "";
  const auto written = engine::to_json(*read);
  const auto again = engine::parse_model_config(written, "written");
  if (!again.ok()) return "what was written is refused: " + again.error().message;
  if (engine::to_json(*again) != written) return "reads back as another model";
  for (const double f : read->inverse_frequencies())
    if (!std::isfinite(f) || f <= 0) return "a frequency that is no positive number";
  if (!(read->softmax_scale() > 0) || !std::isfinite(read->softmax_scale()))
    return "a softmax scale that is no positive number";
  if (engine::parameter_counts(*read).active > engine::parameter_counts(*read).total)
    return "more parameters active than there are";
  return "";
}

// "BYTES\nHEADER": a header and the size of its payload.
Result<engine::SafetensorsHeader> header_of(std::string_view input, std::uint64_t& payload) {
  const auto line = std::min(input.find('\n'), input.size());
  payload = std::strtoull(std::string(input.substr(0, line)).c_str(), nullptr, 10);
  return engine::parse_safetensors_header(input.substr(std::min(line + 1, input.size())), payload,
                                          "input");
}

std::string header(std::string_view input) {
  std::uint64_t payload = 0, at = 0;
  const auto read = header_of(input, payload);
  if (!read.ok()) return "";
  for (const auto& tensor : read->tensors) {
    if (tensor.begin != at || tensor.end < tensor.begin) return "tensors that do not tile";
    std::uint64_t elements = 1;
    for (const auto n : tensor.shape) elements *= static_cast<std::uint64_t>(n);
    if (elements != tensor.elements()) return "a tensor of another size than its shape";
    at = tensor.end;
  }
  return at == payload ? "" : "tensors that do not fill the payload";
}

// A header matched with the table of a small model: taken only where all is there.
std::string checkpoint(std::string_view input) {
  static const engine::ModelConfig config = tiny();
  static const auto expected = engine::expected_tensors(config);
  std::uint64_t payload = 0;
  auto read = header_of(input, payload);
  if (!read.ok()) return "";
  const auto map = engine::match_headers({"dir", config, {"a"}, {*std::move(read)}}, expected);
  if (!map.problems.empty()) return "";
  for (const auto& row : expected) {
    const auto at = map.tensors.find(row.name);
    if (at == map.tensors.end() && !row.optional) return "taken without " + row.name;
    if (at == map.tensors.end()) continue;
    if (at->second.shape != row.shape || at->second.begin + at->second.bytes > payload)
      return "taken with a wrong " + row.name;
    if (at->second.type == engine::StoredType::f8_e4m3 &&
        !map.tensors.contains(engine::scale_name(row.name)))
      return "taken without the scales of " + row.name;
  }
  return "";
}

// The bytes of a file: whatever opens can be read to its end.
std::string file(std::string_view input) {
  const int fd = memfd_create("safetensors", MFD_CLOEXEC);
  if (fd < 0 || write(fd, input.data(), input.size()) != static_cast<ssize_t>(input.size())) {
    if (fd >= 0) close(fd);
    return "";
  }
  {
    const auto opened = engine::SafetensorsFile::open("/proc/self/fd/" + std::to_string(fd));
    unsigned sum = 0;
    if (opened.ok())
      for (const auto& tensor : opened->header().tensors)
        for (std::uint64_t i = 0; i < tensor.bytes(); ++i)
          sum += static_cast<unsigned>(opened->data(tensor)[i]);
    volatile unsigned seen = sum;
    (void)seen;
  }
  close(fd);
  return "";
}

std::string a_header() {
  schemas::Value json = schemas::Value::object();
  std::int64_t at = 0;
  const auto add = [&](const std::string& name, engine::StoredType type,
                       const std::vector<std::int64_t>& shape) {
    auto bytes = static_cast<std::int64_t>(engine::stored_type_bytes(type));
    schemas::Value sizes = schemas::Value::array();
    for (const auto n : shape) {
      bytes *= n;
      sizes.push(n);
    }
    json.set(name, schemas::Value::object()
                       .set("dtype", engine::stored_type_name(type))
                       .set("shape", std::move(sizes))
                       .set("data_offsets", schemas::Value::Array{at, at + bytes}));
    at += bytes;
  };
  for (const auto& row : engine::expected_tensors(tiny())) {
    const bool linear = row.kind == engine::TensorKind::linear;
    add(row.name, linear ? engine::StoredType::f8_e4m3 : engine::StoredType::f32, row.shape);
    if (linear)
      add(engine::scale_name(row.name), engine::StoredType::f32, engine::scale_shape(row.shape));
  }
  return std::to_string(at) + "\n" + schemas::dump(json);
}

std::string a_file() {
  const std::string json = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                           R"("b":{"dtype":"BF16","shape":[2,1],"data_offsets":[8,12]}})";
  std::string out(8, '\0');
  out[0] = static_cast<char>(json.size());
  return out + json + "0123456789ab";
}

}  // namespace

std::vector<Target> checkpoint_targets() {
  const std::string small =
      "12\n"
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],)"
      R"("data_offsets":[0,8]},"b":{"dtype":"F8_E4M3","shape":[2,2],"data_offsets":[8,12]}})";
  return {
      {"model_config",
       config,
       {kTiny, schemas::dump(engine::to_json(*engine::named_config("nano"))),
        schemas::dump(engine::to_json(*engine::named_config("deepseek-v3.2")))}},
      {"safetensors_header", header, {small, a_header()}},
      {"safetensors_file", file, {a_file()}},
      {"checkpoint", checkpoint, {a_header()}},
  };
}

}  // namespace seedbed::fuzz
