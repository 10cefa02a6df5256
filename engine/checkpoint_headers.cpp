#include "engine/checkpoint_headers.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <unordered_set>

#include "base/text.h"
#include "engine/shown.h"

namespace seedbed::engine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndex = "model.safetensors.index.json";
constexpr std::size_t kMaxFiles = 16'384;
constexpr std::size_t kMaxIndexBytes = 256U << 20;

Error bad(std::string_view at, std::string found_and_wanted, std::string_view todo) {
  return make_error(Where::config, "checkpoint", at, found_and_wanted, todo);
}

using Index = std::map<std::string, std::string>;  // tensor -> file

Result<Index> read_index(const std::string& path) {
  SEEDBED_TRY(const auto json, schemas::read_json_file(path, kMaxIndexBytes));
  const auto* map = json.find("weight_map");
  if (map == nullptr || !map->is_object() || map->members().empty())
    return bad(path, "has no weight_map, wanted an object of tensor names and files",
               "fetch the index again");
  Index out;
  for (const auto& [name, file] : map->members()) {
    if (!file.is_string() || file.as_string().find('/') != std::string::npos ||
        !file.as_string().ends_with(".safetensors"))
      return bad(path, shown_name(name) + " names no safetensors file beside it",
                 "fetch the index again");
    out.emplace(name, file.as_string());
  }
  return out;
}

// What the index promises has to be in the file that it names.
Step check_index(const Index& index, const CheckpointHeaders& all) {
  std::map<std::string, std::unordered_set<std::string_view>> held;
  for (std::size_t f = 0; f < all.files.size(); ++f)
    for (const auto& tensor : all.headers[f].tensors) held[all.files[f]].insert(tensor.name);
  for (const auto& [name, file] : index)
    if (!held[file].contains(name))
      return bad(all.dir + "/" + file,
                 "lacks tensor " + shown_name(name) + ", which the index says it holds",
                 "fetch the file and the index again");
  return std::nullopt;
}

// Buffers that older writers stored beside the weights; nothing reads them.
bool is_leftover(std::string_view name) {
  return name.ends_with(".rotary_emb.inv_freq");
}

class Matcher {
 public:
  Matcher(const CheckpointHeaders& headers, const std::vector<ExpectedTensor>& expected)
      : in_(headers), expected_(expected) {}

  CheckpointMap run() {
    for (std::size_t f = 0; f < in_.files.size(); ++f)
      for (const auto& tensor : in_.headers[f].tensors)
        if (!is_leftover(tensor.name)) add(f, tensor);
    for (const auto& row : expected_) check(row);
    for (const auto& [name, tensor] : out_.tensors)
      if (!known_.contains(name)) out_.unexpected.push_back(name);
    std::sort(out_.unexpected.begin(), out_.unexpected.end());
    report_names();
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::string path(std::size_t file) const { return in_.dir + "/" + in_.files[file]; }

  void problem(std::size_t file, std::string found_and_wanted, std::string_view todo) {
    out_.problems.push_back(bad(path(file), std::move(found_and_wanted), todo));
  }

  void add(std::size_t file, const TensorInfo& tensor) {
    StoredTensor stored{file, tensor.dtype, tensor.shape,
                        in_.headers[file].payload_begin + tensor.begin, tensor.bytes()};
    if (stored.begin % stored_type_bytes(stored.type) != 0)
      return problem(file,
                     "tensor " + shown_name(tensor.name) + " begins at byte " +
                         std::to_string(stored.begin) + ", wanted a multiple of its element",
                     "write the file again with safetensors' own save_file");
    const auto name = canonical_name(tensor.name);
    if (unpack(name, stored)) return;
    insert(name, std::move(stored));
  }

  void insert(const std::string& name, StoredTensor stored) {
    const auto file = stored.file;
    const auto [at, fresh] = out_.tensors.emplace(name, std::move(stored));
    if (!fresh)
      problem(file,
              "tensor " + shown_name(name) + " stands in " + in_.files[at->second.file] + " too",
              "keep one of the files (parts of tensor parallelism are not joined here)");
  }

  // experts.gate_up_proj [E, 2I, H] and experts.down_proj [E, H, I]: each expert's part is
  // contiguous.
  bool unpack(const std::string& name, const StoredTensor& stored) {
    const bool gate_up = name.ends_with(".mlp.experts.gate_up_proj");
    if (!gate_up && !name.ends_with(".mlp.experts.down_proj")) return false;
    const auto& c = in_.config;
    const std::int64_t hidden = c.hidden_size, inner = c.moe_intermediate_size;
    const std::vector<std::int64_t> wanted =
        gate_up ? std::vector<std::int64_t>{c.n_routed_experts, 2 * inner, hidden}
                : std::vector<std::int64_t>{c.n_routed_experts, hidden, inner};
    if (stored.shape != wanted || stored.type == StoredType::f8_e4m3) {
      problem(stored.file,
              "tensor " + shown_name(name) + " is " + stored_type_name(stored.type) + " " +
                  shape_text(stored.shape) + ", wanted BF16 or F32 " + shape_text(wanted),
              "store the experts one by one");
      return true;
    }
    const auto prefix = name.substr(0, name.rfind('.') + 1);
    const auto part = stored.bytes / static_cast<std::uint64_t>(c.n_routed_experts);
    for (int e = 0; e < c.n_routed_experts; ++e) {
      const auto begin = stored.begin + part * static_cast<std::uint64_t>(e);
      const auto expert = prefix + std::to_string(e) + ".";
      if (gate_up) {
        insert(expert + "gate_proj.weight",
               {stored.file, stored.type, {inner, hidden}, begin, part / 2});
        insert(expert + "up_proj.weight",
               {stored.file, stored.type, {inner, hidden}, begin + part / 2, part / 2});
      } else {
        insert(expert + "down_proj.weight",
               {stored.file, stored.type, {hidden, inner}, begin, part});
      }
    }
    return true;
  }

  void check(const ExpectedTensor& row) {
    known_.insert(row.name);
    const auto at = out_.tensors.find(row.name);
    if (at == out_.tensors.end()) {
      if (!row.optional) out_.missing.push_back(row.name);
      return;
    }
    const auto& stored = at->second;
    const auto found = std::string("tensor '") + row.name + "' is " +
                       stored_type_name(stored.type) + " " + shape_text(stored.shape);
    if (stored.shape != row.shape)
      return problem(stored.file, found + ", wanted " + shape_text(row.shape),
                     "the weights are of another model than config.json");
    const bool fp8 = stored.type == StoredType::f8_e4m3;
    const bool plain = stored.type == StoredType::bf16 || stored.type == StoredType::f32;
    if (row.kind != TensorKind::linear && !plain)
      return problem(stored.file, found + ", wanted BF16 or F32", "convert the tensor");
    if (!plain && !fp8)
      return problem(stored.file, found + ", wanted F8_E4M3, BF16 or F32", "convert the tensor");
    if (!fp8) return;
    if (!in_.config.quant.fp8)
      return problem(stored.file, found + ", but config.json has no quantization_config",
                     "add it, or store the weight as BF16 or F32");
    check_scale(row);
  }

  void check_scale(const ExpectedTensor& row) {
    const auto name = scale_name(row.name);
    known_.insert(name);
    const auto at = out_.tensors.find(name);
    if (at == out_.tensors.end()) {
      out_.missing.push_back(name);
      return;
    }
    const auto& stored = at->second;
    const auto wanted = scale_shape(row.shape);
    if (stored.type != StoredType::f32 || stored.shape != wanted)
      problem(stored.file,
              "tensor " + shown_name(name) + " is " + stored_type_name(stored.type) + " " +
                  shape_text(stored.shape) + ", wanted F32 " + shape_text(wanted),
              "convert the scales");
  }

  // One error each for all missing and all unexpected names: with one comes the other, and the
  // nearest name tells why.
  void report_names() {
    const auto near = [](const std::string& name, const std::vector<std::string>& known) {
      return name.size() > kShownBytes ? std::string() : nearest(name, known);
    };
    if (!out_.missing.empty()) {
      const auto& first = out_.missing.front();
      const auto similar = near(first, out_.unexpected);
      std::string todo = similar.empty()
                             ? "fetch what is missing"
                             : "there is " + shown_name(similar) + " that nothing asks for";
      const auto prediction = "model.layers." + std::to_string(in_.config.num_hidden_layers) + ".";
      if (first.starts_with(prediction))
        todo = "fetch what is missing, or set num_nextn_predict_layers to 0 in config.json";
      out_.problems.push_back(bad(in_.dir,
                                  std::to_string(out_.missing.size()) +
                                      " tensors are missing, the first is '" + first + "'",
                                  todo));
    }
    if (!out_.unexpected.empty()) {
      const auto& first = out_.unexpected.front();
      std::vector<std::string> candidates = out_.missing;
      if (candidates.empty())
        for (const auto& row : expected_) candidates.push_back(row.name);
      const auto similar = near(first, candidates);
      out_.problems.push_back(bad(path(out_.tensors.at(first).file),
                                  std::to_string(out_.unexpected.size()) +
                                      " tensors belong to no layer of config.json," +
                                      " the first is " + shown_name(first),
                                  similar.empty() ? "take the config.json of these weights"
                                                  : "did you mean '" + similar + "'?"));
    }
  }

  const CheckpointHeaders& in_;
  const std::vector<ExpectedTensor>& expected_;
  CheckpointMap out_;
  std::unordered_set<std::string> known_;
};

}  // namespace

Result<std::vector<std::string>> checkpoint_files(const std::string& dir) {
  std::error_code code;
  if (!fs::is_directory(dir, code))
    return bad(dir, "is no folder, wanted one with config.json and safetensors files",
               "check the path");
  std::set<std::string> files;
  const auto index_path = dir + "/" + kIndex;
  if (fs::exists(index_path, code)) {
    SEEDBED_TRY(const auto index, read_index(index_path));
    for (const auto& [name, file] : index) files.insert(file);
  } else if (fs::exists(dir + "/model.safetensors", code)) {
    files.insert("model.safetensors");
  } else {
    for (const auto& entry : fs::directory_iterator(dir, code))
      if (entry.path().extension() == ".safetensors") files.insert(entry.path().filename());
  }
  if (files.empty())
    return bad(dir, "holds no safetensors file, wanted at least one", "check the path");
  if (files.size() > kMaxFiles)
    return bad(dir, "has over 16,384 safetensors files", "join some of them");
  return std::vector<std::string>(files.begin(), files.end());
}

Result<CheckpointHeaders> read_checkpoint_headers(const std::string& dir) {
  CheckpointHeaders out;
  out.dir = dir;
  SEEDBED_TRY(out.files, checkpoint_files(dir));
  SEEDBED_TRY(out.config, read_model_config(dir));
  for (const auto& file : out.files) {
    SEEDBED_TRY(auto header, read_safetensors_header(dir + "/" + file));
    out.headers.push_back(std::move(header));
  }
  std::error_code code;
  if (const auto path = dir + "/" + kIndex; fs::exists(path, code)) {
    SEEDBED_TRY(const auto index, read_index(path));
    if (auto error = check_index(index, out)) return *std::move(error);
  }
  return out;
}

CheckpointMap match_headers(const CheckpointHeaders& headers,
                            const std::vector<ExpectedTensor>& expected) {
  return Matcher(headers, expected).run();
}

}  // namespace seedbed::engine
