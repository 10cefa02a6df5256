// A server's files as rows: what judges and tasks' conditions see of them.
//
//   file(path, kind, mode, size, hash, text)   kind: folder, file, link or other (pipes, sockets);
//   text: of files that are
//                                              UTF-8 without zeros, at most kMostText bytes; where
//                                              a link leads; else NULL
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/hosts/work_state.h"
#include "schemas/call.h"

namespace seedbed::sandbox {

inline constexpr const char* kFileTable = "file";
inline constexpr std::size_t kMostText = 64 << 10;
inline constexpr std::array<std::string_view, 4> kFileKinds = {"folder", "file", "link",
                                                               "other"};  // by WorkEntry::Kind

bool is_text(const WorkEntry& entry);  // its contents stand in its row
std::vector<schemas::Scalar> file_row(const WorkEntry& entry);
std::size_t bytes_of(const schemas::RowChange& change);  // about what it takes in a store
// What must be done to the table of `before` to have that of `after`, by path.
std::vector<schemas::RowChange> file_changes(const WorkState& before,
                                             const WorkState& after,
                                             std::int32_t call);

}  // namespace seedbed::sandbox
