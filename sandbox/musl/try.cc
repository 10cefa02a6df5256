// Compiled when the build is configured: do this compiler's C++ headers go with the musl here?
#include <dirent.h>
#include <linux/landlock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/signalfd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  std::vector<std::string> words(argv, argv + argc);
  std::map<int, int> sizes;
  for (const std::string& word : words) ++sizes[static_cast<int>(word.size())];
  const auto whole = std::make_unique<std::string>();
  for (const std::string& word : words) *whole += word.substr(word.find('/') + 1) + ", ";
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%zu", whole->size());
  int size = 0;
  std::from_chars(text.data(), text.data() + 4, size);
  return size == 0 || sizes.empty() || ::geteuid() > 1'000'000'000;
}
