#ifndef LOCAL_BACKEND_IMAGES_IMAGE_SEARCH_H_
#define LOCAL_BACKEND_IMAGES_IMAGE_SEARCH_H_

// Searches the files of an image for lines that match regular expressions. Thread-safe.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "local-backend/images/image_reader.h"

namespace contree {

enum class SearchCase { kSensitive, kInsensitive, kSmart };  // smart: sensitive if it has capitals

struct SearchQuery {
  std::vector<std::string> patterns;    // RE2; a line that matches one of them matches
  std::vector<std::string> paths = {};  // files and directories; all must be there
  // Globs that a file's name (or, with a slash, its path) must match; a leading "!" excludes, and
  // the last one that matches decides. None: every file.
  std::vector<std::string> globs = {};
  int64_t max_count = 0;  // matching lines of one file; 0: no bound
  int64_t max_total = 1000;
  SearchCase letters = SearchCase::kSensitive;
  int before = 0;  // lines of context
  int after = 0;
  absl::Time deadline = absl::InfiniteFuture();
};

struct SearchSubmatch {
  std::string text;
  size_t start = 0;  // bytes of the line
  size_t end = 0;
};

struct SearchLine {
  std::string path;  // relative to the image's root
  int64_t line_number = 0;
  int64_t absolute_offset = 0;  // of the line in the file
  std::string text;             // with its line feed
  std::vector<SearchSubmatch> submatches;
  bool is_context = false;
};

struct SearchResult {
  std::vector<SearchLine> lines;
  bool truncated = false;  // max_total, the deadline or the bound on the answer's size ended it
};

// Hidden files are searched, binary ones (with a NUL) are not, links below the paths are not
// followed. InvalidArgument: a pattern or a glob makes no sense. NotFound: a path is not there.
// FailedPrecondition: a path is a loop of links, or neither file nor directory.
absl::StatusOr<SearchResult> SearchImage(const ImageReader& reader, const SearchQuery& query);

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_IMAGE_SEARCH_H_
