// What the headers of a checkpoint's files say, matched with the table of expected tensors. The
// payload is never read here.
#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/checkpoint.h"
#include "engine/safetensors.h"

namespace seedbed::engine {

struct CheckpointHeaders {
  std::string dir;
  ModelConfig config;
  std::vector<std::string> files;          // names inside dir, ascending
  std::vector<SafetensorsHeader> headers;  // one a file
};

// The files that make up the checkpoint: those of model.safetensors.index.json, else
// model.safetensors, else every *.safetensors. Error{config}: none, an index that cannot be read or
// names files outside the folder.
Result<std::vector<std::string>> checkpoint_files(const std::string& dir);
// Config and all headers. Error{config} where one cannot be read, or where the index promises a
// tensor that its file lacks.
Result<CheckpointHeaders> read_checkpoint_headers(const std::string& dir);

struct StoredTensor {
  std::size_t file = 0;
  StoredType type = StoredType::f32;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;  // byte of the file
  std::uint64_t bytes = 0;
};

struct CheckpointMap {
  std::unordered_map<std::string, StoredTensor>
      tensors;                                   // by Hugging Face's name, experts unpacked
  std::vector<std::string> missing, unexpected;  // names
  std::vector<Error> problems;  // what keeps it from being loaded, missing and unexpected included
};

CheckpointMap match_headers(const CheckpointHeaders& headers,
                            const std::vector<ExpectedTensor>& expected);

}  // namespace seedbed::engine
