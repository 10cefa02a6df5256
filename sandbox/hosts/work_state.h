// All that lies in a box's /work, as a value: to prove a reset, to go back to, to begin another box
// from. Memory of processes is no part of it: whoever forks a state starts its programs anew.
//
//   R1 the program alone   ShellHost, PythonHost::restart: files stay
//   R2 the files           reset_box() (box_reset.h): the digest is that of the state again
//   R3 the box             another one, write_work() where it does not begin empty
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace seedbed::sandbox {

// A path as text: odd bytes of those that are no UTF-8 are told as \xNN, and they begin with //, as
// no other does.
std::string shown_path(const std::string& path);

struct WorkEntry {
  enum class Kind : std::uint8_t { folder, file, link, other } kind = Kind::file;
  std::string path;        // relative, no "." and ".."; bytes
  std::uint32_t mode = 0;  // permissions alone; 0 for links
  std::string bytes;       // of a file; where a link leads; "" for others
};

struct WorkState {
  std::vector<WorkEntry> entries;  // sorted by path: a folder before what is in it
  // Of kinds, paths, modes and contents; the same for equal trees, whatever their owners and times.
  [[nodiscard]] std::string digest() const;
};

struct WorkBounds {
  std::size_t entries = 16'384;
  std::uint64_t bytes = 64ULL << 20;  // of all files together
  int depth = 64;
  bool others = false;  // pipes, sockets and devices are told, too; else they are an Error
};

// work: a descriptor of the folder. Nothing is followed, nothing waits; programs should not run
// meanwhile, or the state is of no moment. Error{sandbox}: beyond the bounds, or what is neither
// folder, file nor link.
Result<WorkState> read_work(int work, const WorkBounds& bounds = {});
// Makes /work exactly this, as its owner; what was there is gone. Error{sandbox}: it cannot be
// written, or holds others than folders, files and links; the box is of no use then. Afterwards
// read_work() gives the same digest.
Step write_work(int work, const WorkState& state);

}  // namespace seedbed::sandbox
