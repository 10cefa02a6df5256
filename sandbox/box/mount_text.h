// "SRC:DST" and "SRC:DST:rw", as people write what of the host is to be seen in a box.
#pragma once
#include <string>

namespace seedbed::sandbox::box {

struct MountFault {
  std::string what, todo;  // empty: none
};

inline bool plain_path(const std::string& path) {
  if (path.empty() || path[0] != '/' || path.find("//") != std::string::npos) return false;
  for (std::size_t at = 0; at != std::string::npos; at = path.find('/', at + 1)) {
    const std::string part = path.substr(at + 1, path.find('/', at + 1) - at - 1);
    if (part == "." || part == ".." || (part.empty() && path.size() > 1)) return false;
  }
  return path.size() > 1;
}

// What a target must not be: pid 1 makes it as root before the box's root stands.
inline MountFault place_fault(const std::string& source, const std::string& target) {
  if (!plain_path(target) || source.empty() || source[0] != '/')
    return {"'" + source + ":" + target + "', wanted SRC:DST or SRC:DST:rw with absolute paths",
            "for instance --mount /srv/data:/data"};
  for (const char* own : {"/proc", "/dev", "/etc/passwd", "/etc/group"})
    if (target == own || target.rfind(std::string(own) + "/", 0) == 0)
      return {"'" + target + "' is the box's own", "choose another place"};
  return {};
}

inline MountFault read_mount(const std::string& text,
                             std::string& source,
                             std::string& target,
                             bool& writable) {
  std::string rest = text;
  writable = rest.size() > 3 && rest.compare(rest.size() - 3, 3, ":rw") == 0;
  if (writable) rest.resize(rest.size() - 3);
  const std::size_t colon = rest.find(':');
  source = rest.substr(0, colon);
  target = colon == std::string::npos ? source : rest.substr(colon + 1);
  return place_fault(source, target);
}

}  // namespace seedbed::sandbox::box
