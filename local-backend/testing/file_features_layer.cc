#include "local-backend/testing/file_features_layer.h"

#include <sys/stat.h>

#include <cstddef>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "local-backend/testing/namespace_test_main.h"

// Made by the linker from the file file_features.
extern "C" const char _binary_file_features_start[];  // NOLINT(bugprone-reserved-identifier)
extern "C" const char _binary_file_features_end[];    // NOLINT(bugprone-reserved-identifier)

namespace contree {

std::string FileFeaturesLayer() {
  static const std::string layer = [] {
    std::string path = NewTestDirectory();
    const std::string program = path + "/features";
    std::ofstream(program, std::ios::binary)
        .write(
            _binary_file_features_start,
            static_cast<std::streamsize>(_binary_file_features_end - _binary_file_features_start));
    chmod(program.c_str(), 0755);
    mkdir((path + "/tried").c_str(), 0755);
    return path;
  }();
  return layer;
}

std::vector<std::string> FailedFeatures(const std::string& output) {
  constexpr int kFeatures = 16;
  std::vector<std::string> failed;
  int count = 0;
  for (const absl::string_view line : absl::StrSplit(output, '\n', absl::SkipEmpty())) {
    ++count;
    if (!absl::EndsWith(line, ": ok")) failed.emplace_back(line);
  }
  if (count != kFeatures) failed.push_back(absl::StrCat(count, " features"));
  return failed;
}

}  // namespace contree
