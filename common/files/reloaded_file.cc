#include "common/files/reloaded_file.h"

#include <stop_token>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/files/state_directory.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "common/time/clock.h"

namespace contree {
namespace {
constexpr absl::Duration kLookInterval = absl::Milliseconds(500);
}  // namespace

absl::StatusOr<std::unique_ptr<ReloadedFile>> ReloadedFile::Open(const std::string& path,
                                                                 size_t max_bytes, Take take) {
  ASSIGN_OR_RETURN(std::string content, ReadFile(path, max_bytes));
  if (const absl::Status taken = take(content); !taken.ok()) {
    return absl::Status(taken.code(), absl::StrCat(path, ": ", taken.message()));
  }
  std::unique_ptr<ReloadedFile> file(new ReloadedFile());
  file->thread_ = std::jthread([path, max_bytes, take = std::move(take),
                                content = std::move(content)](const std::stop_token& stop) mutable {
    RealClock clock;
    std::string last_problem;
    while (clock.Sleep(kLookInterval, stop)) {
      absl::StatusOr<std::string> now = ReadFile(path, max_bytes);
      if (now.ok() && *now == content) continue;
      absl::Status status = now.status();
      if (status.ok()) {
        content = *std::move(now);
        status = take(content);
      }
      if (status.ok()) {
        last_problem.clear();
        LogInfo("a file was read again", {{"file", path}});
      } else if (last_problem != status.message()) {
        last_problem = std::string(status.message());
        LogError("a file that changed cannot be used; what it said before holds",
                 {{"file", path}, {"error", last_problem}});
      }
    }
  });
  return file;
}

}  // namespace contree
