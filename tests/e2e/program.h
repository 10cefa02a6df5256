// Drives the built program as a user does: words in, exit code and both streams out.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace seedbed::e2e {

struct Ended {
  int code = -1;  // exit code, or 128 + signal
  std::string out, err;
  double seconds = 0;
};

// The path of the program under test.
std::string program();
// Runs `words` (words[0] is a program) to its end; killed (code 137) after `seconds`.
Ended run_words(const std::vector<std::string>& words, double seconds = 300);
// The same for the program under test.
Ended seedbed(std::vector<std::string> words, double seconds = 300);

// One that is to be killed or signalled.
class Running {
 public:
  explicit Running(const std::vector<std::string>& words);
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool ended();  // without waiting
  void signal(int number) const;
  int wait(double seconds = 60);  // exit code or 128 + signal

 private:
  pid_t pid_ = -1;
  int status_ = 0;
  bool reaped_ = false;
};

// Makes this process the one that orphans fall to, so that what a killed program leaves behind can
// be seen.
void adopt_orphans();
// Waits until no child is left, at most so long; returns those still there. Reaped children go into
// `seen`.
std::set<pid_t> children_left(double seconds, std::set<pid_t>& seen);
std::set<pid_t> children_of(pid_t parent);
// Control groups of brokers among `pids` that still exist.
std::vector<std::string> groups_of(const std::set<pid_t>& pids);
std::vector<std::string> own_mounts();  // lines of our mount table that name seedbed

// A folder of its own, removed at the end.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};
void write_text(const std::string& path, const std::string& text);
std::string read_text(const std::string& path);
bool exists(const std::string& path);

// A small store, generated once for the whole test program; copy it before changing it.
const std::string& small_store();
void copy_file(const std::string& from, const std::string& to);
std::string digest(
    const std::string& store);  // both digests as `stats --digest` prints them; "" where it fails

}  // namespace seedbed::e2e
