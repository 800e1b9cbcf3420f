#ifndef CONTREE_SERVICE_IMAGE_RESOLVER_H_
#define CONTREE_SERVICE_IMAGE_RESOLVER_H_

// Which image a reference names. A tag can move at any time, so what it names is remembered for
// seconds only: long enough for an agent that lists, greps and reads ten files of one tag, short
// enough that nobody notices a tag moved by somebody else. What this service moves itself is
// forgotten at once. That a tag does not exist is never remembered.

#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "common/rpc/call_context.h"
#include "common/time/clock.h"
#include "contree-service/api/contree_api.h"

namespace contree {

// Thread-safe.
class ImageResolver {
 public:
  explicit ImageResolver(Clock* clock) : clock_(clock) {}  // which must outlive it

  // The UUID of the image that `reference` names, as of a few seconds ago at most.
  // InvalidArgument: it is no reference. NotFound: no image has the tag. Otherwise as ContreeApi.
  absl::StatusOr<std::string> Resolve(const ContreeApi& api, absl::string_view reference,
                                      const CallContext& context);

  // As Resolve, but as of now: for calls that change what they find.
  absl::StatusOr<std::string> ResolveNow(const ContreeApi& api, absl::string_view reference,
                                         const CallContext& context);

  // Tags of `tenant` at `base_url` may have moved: all of them are asked for anew, also where an
  // answer is on its way.
  void Forget(absl::string_view base_url, absl::string_view tenant);

 private:
  struct Known {
    std::string uuid;
    absl::Time until;
  };
  // The tags of one tenant at one base URL.
  struct Scope {
    uint64_t generation = 0;  // new with each Forget; an answer from before is not remembered
    absl::flat_hash_map<std::string, Known> by_tag;
  };

  absl::StatusOr<std::string> Ask(const ContreeApi& api, absl::string_view tag,
                                  const CallContext& context);

  Clock* const clock_;
  absl::Mutex mutex_;
  uint64_t generations_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, Scope> scopes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace contree

#endif  // CONTREE_SERVICE_IMAGE_RESOLVER_H_
