#ifndef CONTREE_SERVICE_API_CONTREE_API_H_
#define CONTREE_SERVICE_API_CONTREE_API_H_

// The ConTree HTTP API, typed. Every call ends by context.deadline and promptly when context.stop
// is requested.
//
// Every call may return Unauthenticated, PermissionDenied, ResourceExhausted, Unavailable,
// DeadlineExceeded or Cancelled; other codes are named where they mean something. Images are named
// by UUID here, except where a reference is said to do.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/http/http_client.h"
#include "common/http/http_stream_loop.h"
#include "common/retry/retry_loop.h"
#include "common/rpc/call_context.h"
#include "common/time/clock.h"
#include "contree-service/api/api_transport.h"
#include "contree-service/api/operation_json.h"
#include "contree-service/api_endpoint.h"
#include "contree/v1/contree_service.pb.h"
#include "contree/v1/image.pb.h"
#include "contree/v1/operation.pb.h"

namespace contree {

// An operation as it is now.
struct OperationSnapshot {
  v1::Operation operation;
  std::optional<absl::Duration> poll_after;  // when the platform would like to be asked again
};

// A further process in a running instance.
struct SubprocessSpec {
  std::string command;  // required
  std::vector<std::string> args = {};
  bool shell = false;
  std::map<std::string, std::string> env = {};
  std::string cwd = "";  // empty: as the instance's
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::string stdin = "";
  bool stdin_stays_open = false;   // for WriteStdin
  int64_t truncate_output_at = 0;  // 0: the platform's default
};

struct Subprocess {
  bool is_running = false;
  // What it has written so far, and how it ended once it has.
  v1::InstanceResult result;
};

// How one connection to an event stream ended.
struct EventStreamEnd {
  // OK: the platform closed the stream. Aborted: it says that the stream failed on its side.
  // Otherwise as HTTP says, or the sink's own.
  absl::Status status;
  // This platform has no event stream, at least not for this operation.
  bool no_route = false;
  // The platform has the operation, but not (or no longer) its events ready.
  bool not_ready = false;
  std::optional<absl::Duration> retry_after = std::nullopt;
};

// An entry of the list of uploads.
struct UploadedFile {
  v1::StoredFile file;
  std::string created_at;  // as the platform writes it; "": it did not say
};

// Thread-safe; cheap to copy.
class ContreeApi {
 public:
  // `clock` must outlive it.
  ContreeApi(std::shared_ptr<HttpClient> http, ApiEndpoint endpoint, Clock* clock,
             const RetryPolicy& retry = {});

  // What stored facts are keyed by.
  const std::string& platform() const;
  const std::string& base_url() const { return transport_->endpoint().base_url; }

  // InvalidArgument: a parameter is out of the platform's range.
  absl::StatusOr<std::vector<v1::Image>> ListImages(const v1::ListImagesRequest& query,
                                                    const CallContext& context) const;
  // NotFound.
  absl::StatusOr<v1::Image> GetImage(absl::string_view uuid, const CallContext& context) const;
  // The UUID that the tag points at now. NotFound.
  absl::StatusOr<std::string> ResolveTag(absl::string_view tag, const CallContext& context) const;
  // NotFound. InvalidArgument: not a tag to this platform.
  absl::StatusOr<v1::Image> SetTag(absl::string_view uuid, absl::string_view tag,
                                   const CallContext& context) const;
  // Removes `tag`, or the image's tag where it is empty. NotFound: no such image, or it has no such
  // tag.
  absl::Status RemoveTag(absl::string_view uuid, absl::string_view tag,
                         const CallContext& context) const;

  // Returns the operation's id. `image` is a UUID or "tag:NAME". InvalidArgument, NotFound.
  // Unknown: it may have started.
  absl::StatusOr<std::string> StartInstance(const v1::RunInstanceRequest& request,
                                            absl::string_view image,
                                            const CallContext& context) const;

  // Returns the operation's id. InvalidArgument. Unknown: it may have started.
  absl::StatusOr<std::string> StartImport(const v1::ImportImageRequest& request,
                                          const CallContext& context) const;

  // NotFound. `inflight`: where it runs, with what it has written so far.
  absl::StatusOr<OperationSnapshot> GetOperation(absl::string_view id, const CallContext& context,
                                                 bool inflight = false) const;
  absl::StatusOr<std::vector<v1::Operation>> ListOperations(const v1::ListOperationsRequest& query,
                                                            const CallContext& context) const;
  // Asks for it; the operation ends later. NotFound. FailedPrecondition: it is final already.
  absl::Status CancelOperation(absl::string_view id, const CallContext& context) const;

  // Connects once to the operation's events after `last_event_id` (-1: all). Each event, and at
  // last the end, is handed on on the thread of `loop`, where nothing may block; an error of
  // on_event ends the stream with it. A stream on which nothing comes for max_silence counts as
  // broken. With an error returned nothing was begun: as HttpStreamLoop::Open.
  absl::StatusOr<HttpStreamLoop::Id> OpenEvents(
      HttpStreamLoop& loop, absl::string_view id, int64_t last_event_id, absl::Duration max_silence,
      const CallContext& context, std::function<absl::Status(const StreamedEvent&)> on_event,
      std::function<void(const EventStreamEnd&)> on_end) const;

  // Processes beside the command of a running instance, named by their numbers (spid): the command
  // is 1. Every call may say NotFound, also for a moment after the start of the process.

  // Returns its number. FailedPrecondition: the instance does not run. Unknown: it may have
  // started.
  absl::StatusOr<int64_t> StartSubprocess(absl::string_view operation_id,
                                          const SubprocessSpec& spec,
                                          const CallContext& context) const;
  absl::StatusOr<Subprocess> GetSubprocess(absl::string_view operation_id, int64_t spid,
                                           const CallContext& context) const;
  // `signal` without SIG, such as TERM; empty: the platform's default.
  absl::Status SignalSubprocess(absl::string_view operation_id, int64_t spid,
                                absl::string_view signal, const CallContext& context) const;
  // Writes to its stdin, and closes it where `close`. Unknown: it may have been written.
  absl::Status WriteStdin(absl::string_view operation_id, int64_t spid, absl::string_view bytes,
                          bool close, const CallContext& context) const;

  // Sorted by name. NotFound. FailedPrecondition: no directory.
  absl::StatusOr<std::vector<v1::FileEntry>> ListDirectory(absl::string_view uuid,
                                                           absl::string_view path,
                                                           const CallContext& context) const;
  // The directory as the platform writes it for people, one line to an entry.
  absl::StatusOr<std::string> ListDirectoryAsText(absl::string_view uuid, absl::string_view path,
                                                  const CallContext& context) const;
  // Whether DownloadFile, or DownloadArchive, would find something; nothing is transferred.
  // FailedPrecondition: something else is there.
  absl::StatusOr<bool> CanDownload(absl::string_view uuid, absl::string_view path,
                                   const CallContext& context) const;
  absl::StatusOr<bool> CanArchive(absl::string_view uuid, absl::string_view path,
                                  const CallContext& context) const;
  // Hands the content on as it comes. NotFound. FailedPrecondition: no regular file.
  absl::Status DownloadFile(absl::string_view uuid, absl::string_view path,
                            const CallContext& context,
                            const std::function<absl::Status(absl::string_view)>& sink) const;
  // Hands a directory or file on as a POSIX tar archive as it comes. NotFound. FailedPrecondition.
  absl::Status DownloadArchive(absl::string_view uuid, absl::string_view path,
                               const CallContext& context,
                               const std::function<absl::Status(absl::string_view)>& sink) const;
  // request.image is not looked at. NotFound. InvalidArgument: a bad pattern.
  absl::StatusOr<v1::GrepResponse> Grep(absl::string_view uuid, const v1::GrepRequest& request,
                                        const CallContext& context) const;

  // One page of the uploaded files; 0 and "" leave a bound out.
  absl::StatusOr<std::vector<UploadedFile>> ListUploads(int limit, int offset,
                                                        absl::string_view since,
                                                        absl::string_view until,
                                                        const CallContext& context) const;
  // Whether a file with this content was uploaded.
  absl::StatusOr<bool> HasFile(absl::string_view sha256, const CallContext& context) const;
  // The uploaded file with this content; nullopt: the platform has none.
  absl::StatusOr<std::optional<v1::StoredFile>> FindFile(absl::string_view sha256,
                                                         const CallContext& context) const;
  // Streams the pieces up, an empty one ends it; `size` in all, where it is known. Never tried
  // again: the pieces are gone. InvalidArgument: too large for the platform. The source's own error
  // ends it.
  absl::StatusOr<v1::StoredFile> UploadFile(
      std::optional<size_t> size, const std::function<absl::StatusOr<std::string>()>& next_piece,
      const CallContext& context) const;

  absl::StatusOr<v1::GetIdentityResponse> WhoAmI(const CallContext& context) const;

 private:
  // Whether a HEAD finds something.
  absl::StatusOr<bool> Exists(const std::string& what, const std::string& target,
                              const CallContext& context) const;

  std::shared_ptr<const ApiTransport> transport_;
};

}  // namespace contree

#endif  // CONTREE_SERVICE_API_CONTREE_API_H_
