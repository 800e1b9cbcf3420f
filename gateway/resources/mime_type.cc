#include "gateway/resources/mime_type.h"

#include <string>
#include <utility>

#include "absl/strings/ascii.h"

namespace contree::gateway {
namespace {

using Entry = std::pair<absl::string_view, absl::string_view>;

constexpr Entry kByExtension[] = {
    {"7z", "application/x-7z-compressed"},
    {"bash", "text/x-shellscript"},
    {"bmp", "image/bmp"},
    {"bz2", "application/x-bzip2"},
    {"c", "text/x-c"},
    {"cc", "text/x-c++"},
    {"conf", "text/plain"},
    {"cpp", "text/x-c++"},
    {"css", "text/css"},
    {"csv", "text/csv"},
    {"cxx", "text/x-c++"},
    {"diff", "text/x-diff"},
    {"gif", "image/gif"},
    {"go", "text/x-go"},
    {"gz", "application/gzip"},
    {"h", "text/x-c"},
    {"hpp", "text/x-c++"},
    {"htm", "text/html"},
    {"html", "text/html"},
    {"ini", "text/plain"},
    {"java", "text/x-java"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript"},
    {"json", "application/json"},
    {"jsonl", "application/jsonl"},
    {"log", "text/plain"},
    {"lua", "text/x-lua"},
    {"md", "text/markdown"},
    {"mjs", "text/javascript"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"ogg", "audio/ogg"},
    {"patch", "text/x-diff"},
    {"pdf", "application/pdf"},
    {"php", "text/x-php"},
    {"pl", "text/x-perl"},
    {"png", "image/png"},
    {"proto", "text/x-protobuf"},
    {"py", "text/x-python"},
    {"rb", "text/x-ruby"},
    {"rs", "text/x-rust"},
    {"sh", "text/x-shellscript"},
    {"sql", "application/sql"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tgz", "application/gzip"},
    {"toml", "application/toml"},
    {"ts", "text/x-typescript"},
    {"tsv", "text/tab-separated-values"},
    {"tsx", "text/x-typescript"},
    {"txt", "text/plain"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"webp", "image/webp"},
    {"whl", "application/zip"},
    {"xml", "application/xml"},
    {"xz", "application/x-xz"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
};

constexpr Entry kByWholeName[] = {
    {"Containerfile", "text/x-dockerfile"},
    {"Dockerfile", "text/x-dockerfile"},
    {"GNUmakefile", "text/x-makefile"},
    {"Makefile", "text/x-makefile"},
};

}  // namespace

absl::string_view MimeTypeByName(absl::string_view path) {
  const size_t slash = path.rfind('/');
  const absl::string_view name = slash == absl::string_view::npos ? path : path.substr(slash + 1);
  for (const auto& [known, type] : kByWholeName) {
    if (name == known) return type;
  }
  const size_t dot = name.rfind('.');
  // ".profile" is a name, not an extension.
  if (dot == absl::string_view::npos || dot == 0) return "";
  const std::string extension = absl::AsciiStrToLower(name.substr(dot + 1));
  for (const auto& [known, type] : kByExtension) {
    if (extension == known) return type;
  }
  return "";
}

}  // namespace contree::gateway
