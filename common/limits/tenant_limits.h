#ifndef COMMON_LIMITS_TENANT_LIMITS_H_
#define COMMON_LIMITS_TENANT_LIMITS_H_

// What each tenant may use, so that one cannot take what the others need. The file of
// --limits-file:
//
//   {"default": {"requests_per_second": 50, "concurrent_operations": 20,
//                "upload_bytes_per_day": 10000000000},
//    "tenants": {"acme": {"requests_per_second": 200}}}
//
// What a tenant has no number for is that of "default"; what has none there has no limit. The file
// is read again when it changes. Each process counts for itself, and anew after a restart.

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/files/reloaded_file.h"
#include "common/time/clock.h"

namespace contree {

struct Limits {
  double requests_per_second = std::numeric_limits<double>::infinity();
  int64_t concurrent_operations = std::numeric_limits<int64_t>::max();
  double upload_bytes_per_day = std::numeric_limits<double>::infinity();
};

// Thread-safe; nothing here waits, so that one tenant's excess delays nobody.
class TenantLimits {
 public:
  // `clock` must outlive it. InvalidArgument: the content is of another form. Otherwise as
  // ReloadedFile::Open.
  static absl::StatusOr<std::unique_ptr<TenantLimits>> Open(const std::string& file, Clock* clock);
  // Without a file, for Load.
  explicit TenantLimits(Clock* clock) : clock_(clock) {}

  // InvalidArgument: the limits are of another form; those of before hold.
  absl::Status Load(absl::string_view json);

  // Takes one request of the tenant's, of which it may make a second's worth at once. Zero: it may
  // go on; otherwise it must not, and may be tried again after so long.
  absl::Duration TakeRequest(absl::string_view tenant);
  // What to tell whoever has to wait. ResourceExhausted.
  static absl::Status TooManyRequests(absl::Duration wait);

  // Bytes that are about to be uploaded. A tenant has a day's worth at once; it comes back evenly
  // within a day. ResourceExhausted: so many are not left, and none are taken.
  absl::Status TakeUploadBytes(absl::string_view tenant, int64_t bytes);

  // Holds a place for an operation that is being started, until it is destroyed; by then
  // count_running must count the operation.
  class Place {
   public:
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    friend class TenantLimits;
    Place(TenantLimits* limits, absl::string_view tenant) : limits_(limits), tenant_(tenant) {}

    TenantLimits* const limits_;
    const std::string tenant_;
  };
  // `count_running` says how many of the tenant's operations run; it is called under a lock, and
  // only where there is a limit. ResourceExhausted: all its places are taken.
  absl::StatusOr<std::unique_ptr<Place>> TakeOperation(absl::string_view tenant,
                                                       absl::FunctionRef<int64_t()> count_running);

 private:
  // What is left of something that comes back at an even rate.
  struct Bucket {
    double left = 0;
    absl::Time as_of = absl::InfinitePast();
  };
  struct Use {
    Bucket requests;
    Bucket upload_bytes;
    int64_t starting = 0;  // operations
  };

  const Limits& LimitsOf(absl::string_view tenant) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Use& UseOf(absl::string_view tenant) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Zero: taken. Otherwise how long it takes until there is enough.
  absl::Duration Take(Bucket& bucket, double amount, double per_second, double capacity);

  Clock* const clock_;
  absl::Mutex mutex_;
  Limits default_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Limits, std::less<>> tenants_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Use> uses_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<ReloadedFile> file_;  // last: its thread uses the others
};

}  // namespace contree

#endif  // COMMON_LIMITS_TENANT_LIMITS_H_
