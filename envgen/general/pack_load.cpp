// Finding packs: in the binary, and in the folders that the user names.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "base/hash.h"
#include "base/text.h"
#include "envgen/general/pack.h"
#include "envgen/general/pack_embedded.h"
#include "schemas/reflect.h"

namespace seedbed {
extern const char kSkeletonMechanism[];
extern const char kSkeletonLexicon[];
}  // namespace seedbed

namespace seedbed::envgen {
namespace {

namespace fs = std::filesystem;
using schemas::Value;

struct Source {
  std::string path, kind;  // kind: mechanisms, lexicons, names
  Value json;
};

Step take(Packs& packs, const Source& source) {
  if (source.kind == "names") {
    if (const Value* first = source.json.find("first"))
      if (auto e = schemas::from_value(*first, packs.first_names, source.path, "/first")) return e;
    if (const Value* last = source.json.find("last"))
      if (auto e = schemas::from_value(*last, packs.last_names, source.path, "/last")) return e;
    return std::nullopt;
  }
  const auto taken = [&](const auto& list, const std::string& name) {
    return std::any_of(list.begin(), list.end(), [&](const auto& p) { return p.name == name; });
  };
  if (source.kind == "mechanisms") {
    SEEDBED_TRY(Mechanism m, read_mechanism(source.json, source.path));
    if (taken(packs.mechanisms, m.name))
      return make_error(Where::pack, "mechanism", m.name,
                        "is there already, wanted a new name (" + source.path + ")", "rename it");
    packs.mechanisms.push_back(std::move(m));
  } else {
    SEEDBED_TRY(Lexicon x, read_lexicon(source.json, source.path));
    if (taken(packs.lexicons, x.name))
      return make_error(Where::pack, "lexicon", x.name,
                        "is there already, wanted a new name (" + source.path + ")", "rename it");
    packs.lexicons.push_back(std::move(x));
  }
  return std::nullopt;
}

Result<std::vector<Source>> embedded() {
  std::vector<Source> out;
  for (std::size_t i = 0; i < kEmbeddedPackCount; ++i) {
    const std::string path = kEmbeddedPacks[i].path;
    const auto slash = path.find('/');
    auto json = schemas::parse_json(kEmbeddedPacks[i].text);
    if (!json.ok()) return Error{Where::pack, path + ": " + json.error().message};
    out.push_back(
        {path, slash == std::string::npos ? "names" : path.substr(0, slash), *std::move(json)});
  }
  return out;
}

Step read_folder(const std::string& dir, std::vector<Source>& out) {
  std::error_code ec;
  if (!fs::is_directory(dir, ec))
    return make_error(Where::pack, "pack folder", dir,
                      "not a directory, wanted one with mechanisms/ and lexicons/",
                      "check the path given with --pack");
  bool any = false;
  for (const char* kind : {"mechanisms", "lexicons"}) {
    std::vector<std::string> files;
    for (fs::directory_iterator it(fs::path(dir) / kind, ec), end; !ec && it != end;
         it.increment(ec))
      if (it->path().extension() == ".json") files.push_back(it->path().string());
    std::sort(files.begin(), files.end());
    for (const auto& file : files) {
      auto json = schemas::read_json_file(file, 1U << 20);
      if (!json.ok()) return Error{Where::pack, json.error().message};
      out.push_back({file, kind, *std::move(json)});
      any = true;
    }
  }
  if (!any)
    return make_error(Where::pack, "pack folder", dir,
                      "no *.json in mechanisms/ or lexicons/, wanted at least one",
                      "see docs/pack-format.md");
  return std::nullopt;
}

Result<std::shared_ptr<const Packs>> assemble(const std::vector<Source>& sources) {
  auto packs = std::make_shared<Packs>();
  std::string all;
  for (const auto& s : sources) {
    if (auto e = take(*packs, s)) return *std::move(e);
    all += s.kind + "\n" + schemas::dump(s.json) + "\n";
  }
  const auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
  std::sort(packs->mechanisms.begin(), packs->mechanisms.end(), by_name);
  std::sort(packs->lexicons.begin(), packs->lexicons.end(), by_name);
  packs->hash = content_hash(all);
  return std::shared_ptr<const Packs>(packs);
}

}  // namespace

Result<std::vector<std::string>> new_pack(const std::string& dir) {
  std::string name = fs::path(dir).lexically_normal().filename().string();
  if (name.empty()) name = fs::path(dir).lexically_normal().parent_path().filename().string();
  name = replace_all(lower_ascii(name), "-", "_");
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  if (name.empty() || name[0] < 'a' || name[0] > 'z' ||
      !std::all_of(name.begin(), name.end(), fits))
    return make_error(Where::pack, "pack folder", dir,
                      "its name is no name for a mechanism, wanted small letters, digits and _",
                      "for instance: seedbed pack new key_cabinet");
  std::vector<std::string> out;
  for (const auto& [kind, file, text] :
       {std::tuple<const char*, std::string, const char*>{"mechanisms", name, kSkeletonMechanism},
        {"lexicons", name + "_shop", kSkeletonLexicon}}) {
    const fs::path folder = fs::path(dir) / kind, path = folder / (file + ".json");
    std::error_code ec;
    fs::create_directories(folder, ec);
    if (fs::exists(path, ec))
      return make_error(Where::pack, "pack", path.string(), "is there already, wanted a new file",
                        "name another folder, or remove it");
    std::ofstream stream(path);
    stream << replace_all(text, "NAME", name);
    if (!stream.flush())
      return make_error(Where::pack, "pack", path.string(), "could not be written",
                        "check the folder's rights");
    out.push_back(path.string());
  }
  return out;
}

Result<std::shared_ptr<const Packs>> load_packs(const std::vector<std::string>& dirs) {
  SEEDBED_TRY(std::vector<Source> sources, embedded());
  for (const auto& dir : dirs)
    if (auto e = read_folder(dir, sources)) return *std::move(e);
  return assemble(sources);
}

Result<std::shared_ptr<const Packs>> load_packs_from(const std::vector<std::string>& dirs) {
  SEEDBED_TRY(const std::vector<Source> built_in, embedded());
  std::vector<Source> sources;
  for (const auto& s : built_in)
    if (s.kind == "names") sources.push_back(s);
  for (const auto& dir : dirs)
    if (auto e = read_folder(dir, sources)) return *std::move(e);
  return assemble(sources);
}

}  // namespace seedbed::envgen
