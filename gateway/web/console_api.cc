#include "gateway/web/console_api.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/rpc/grpc_context.h"
#include "common/status/grpc_status.h"
#include "common/status/status_macros.h"
#include "common/text/json_text.h"
#include "common/text/utf8.h"
#include "gateway/resources/mime_type.h"
#include "gateway/tools/follow_operation.h"
#include "gateway/tools/image_json.h"
#include "gateway/tools/operation_json.h"
#include "gateway/tools/unary_call.h"
#include "gateway/transport/event_queue.h"

namespace contree::gateway {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using Stub = contree::v1::ContreeService::StubInterface;

constexpr absl::Duration kCallTimeout = absl::Seconds(60);
constexpr absl::Duration kDownloadTimeout = absl::Hours(1);
constexpr absl::Duration kFollowTimeout = absl::Hours(2);
constexpr absl::Duration kKeepAlive = absl::Seconds(15);
constexpr absl::Duration kLookInterval = absl::Milliseconds(500);
constexpr size_t kMaxRequestBytes = 64 * 1024;
// What a browser still draws smoothly, and an answer of some 3 MB.
constexpr size_t kMaxImages = 20'000;
constexpr int kImagesPerPage = 1000;

// The tools that the console calls.
constexpr absl::string_view kTools[] = {"cancel_operation", "list_files", "list_images", "whoami"};

// What a browser shows as a picture and cannot take for anything else. SVG may hold scripts.
constexpr absl::string_view kPictures[] = {"image/png", "image/jpeg", "image/gif", "image/webp",
                                           "image/bmp"};

int HttpStatusOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnavailable:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

void RespondJson(HttpExchange& exchange, const ordered_json& body) {
  exchange.SetHeader("Cache-Control", "no-store");
  exchange.Respond(200, "application/json", ToJsonText(body));
}

void RespondError(HttpExchange& exchange, int status, absl::string_view message) {
  exchange.SetHeader("Cache-Control", "no-store");
  exchange.Respond(status, "application/json",
                   ToJsonText(ordered_json{{"error", {{"message", std::string(message)}}}}));
}

void RespondError(HttpExchange& exchange, const absl::Status& status) {
  RespondError(exchange, HttpStatusOf(status), status.message());
}

absl::StatusOr<std::vector<contree::v1::Image>> ListAllImages(const Services& services,
                                                              const CallContext& context) {
  std::vector<contree::v1::Image> images;
  while (images.size() < kMaxImages) {
    contree::v1::ListImagesRequest request;
    request.set_limit(kImagesPerPage);
    request.set_offset(static_cast<int32_t>(images.size()));
    ASSIGN_OR_RETURN(contree::v1::ListImagesResponse page,
                     CallUnary(*services.contree, &Stub::ListImages, request, context));
    for (auto& image : *page.mutable_images()) images.push_back(std::move(image));
    if (page.images_size() < kImagesPerPage) break;
  }
  return images;
}

absl::StatusOr<std::vector<contree::v1::ImageOrigin>> ListOrigins(const Services& services,
                                                                  const CallContext& context) {
  contree::v1::ListImageOriginsRequest request;
  request.set_limit(kMaxImages);
  OutgoingCall call(context);
  const auto reader = services.contree->ListImageOrigins(call.client_context(), request);
  std::vector<contree::v1::ImageOrigin> origins;
  contree::v1::ListImageOriginsResponse response;
  while (reader->Read(&response)) {
    for (auto& origin : *response.mutable_origins()) origins.push_back(std::move(origin));
  }
  if (const grpc::Status status = reader->Finish(); !status.ok()) return FromGrpcStatus(status);
  return origins;
}

void SetOrigin(const contree::v1::ImageOrigin& origin, ordered_json* image) {
  const auto set = [image](const char* name, const std::string& text) {
    if (!text.empty()) (*image)[name] = text;
  };
  set("parent", origin.parent());
  set("command", origin.command());
  set("registry_url", origin.registry_url());
  set("operation_id", origin.operation_id());
  set("principal", origin.principal());
  if (origin.exit_code() != 0) (*image)["exit_code"] = origin.exit_code();
  if (origin.layer_bytes() != 0) (*image)["layer_bytes"] = origin.layer_bytes();
}

// Every image that is listed, and those that are not listed any more but have descendants: what
// was made from them would hang in the air.
ordered_json TreeJson(const std::vector<contree::v1::Image>& images,
                      const std::vector<contree::v1::ImageOrigin>& origins) {
  absl::flat_hash_map<std::string, const contree::v1::ImageOrigin*> origin_of;
  for (const auto& origin : origins) origin_of.emplace(origin.image(), &origin);
  ordered_json list = ordered_json::array();
  absl::flat_hash_map<std::string, bool> listed;
  std::vector<std::string> parents;
  const auto add = [&](ordered_json image, const std::string& uuid) {
    if (const auto origin = origin_of.find(uuid); origin != origin_of.end()) {
      SetOrigin(*origin->second, &image);
      if (!origin->second->parent().empty()) parents.push_back(origin->second->parent());
    }
    list.push_back(std::move(image));
  };
  for (const contree::v1::Image& image : images) {
    if (listed.emplace(image.uuid(), true).second) add(ImageJson(image), image.uuid());
  }
  for (size_t next = 0; next < parents.size(); ++next) {
    const std::string parent = parents[next];
    if (listed.emplace(parent, false).second) add({{"uuid", parent}, {"is_gone", true}}, parent);
  }
  return list;
}

// What tools show of it, and what only people want to see.
ordered_json ConsoleOperationJson(const contree::v1::Operation& operation) {
  ordered_json shown = OperationJson(operation);
  if (!operation.command().empty()) shown["command"] = operation.command();
  if (operation.layer_bytes() != 0) shown["layer_bytes"] = operation.layer_bytes();
  if (!operation.principal().empty()) shown["principal"] = operation.principal();
  if (operation.has_created_at()) shown["created_at"] = TimeText(operation.created_at());
  if (!operation.import().registry_url().empty()) {
    shown["registry_url"] = operation.import().registry_url();
  }
  return shown;
}

ordered_json SyncJson(const SyncActivity& sync) {
  const bool goes_on = sync.ended == absl::InfiniteFuture();
  const char* const end = sync.status.ok()                 ? "SUCCESS"
                          : absl::IsCancelled(sync.status) ? "CANCELLED"
                                                           : "FAILED";
  ordered_json shown = {
      {"number", sync.number},
      {"state", goes_on ? "EXECUTING" : end},
      {"source", sync.source},
      {"destination", sync.destination},
      {"created_at", absl::FormatTime(absl::RFC3339_full, sync.began, absl::UTCTimeZone())}};
  if (!sync.principal.empty()) shown["principal"] = sync.principal;
  const SyncProgress& progress = sync.progress;
  shown["files_to_read"] = progress.files_to_hash;
  shown["files_read"] = progress.files_hashed;
  shown["files_to_upload"] = progress.files_to_send;
  shown["files_uploaded"] = progress.files_sent;
  shown["bytes_to_upload"] = progress.bytes_to_send;
  shown["bytes_uploaded"] = progress.bytes_sent;
  if (goes_on) return shown;
  shown["duration_seconds"] = absl::ToDoubleSeconds(sync.ended - sync.began);
  if (!sync.status.ok()) {
    shown["error"] = std::string(sync.status.message());
    return shown;
  }
  shown["directory_state_id"] = sync.result.directory_state_id();
  shown["files"] = sync.result.files();
  shown["bytes"] = sync.result.bytes();
  shown["files_uploaded"] = sync.result.uploaded_files();
  shown["bytes_uploaded"] = sync.result.uploaded_bytes();
  return shown;
}

std::string EventText(absl::string_view name, const ordered_json& data) {
  return absl::StrCat("event: ", name, "\ndata: ", ToJsonText(data), "\n\n");
}

std::optional<std::string> EventText(const contree::v1::OperationEvent& event) {
  if (event.has_output()) {
    return EventText(
        "output", {{"stream", event.output().stream() == contree::v1::OperationEvent::STREAM_STDERR
                                  ? "stderr"
                                  : "stdout"},
                   {"base64", absl::Base64Escape(event.output().data())}});
  }
  if (event.has_state_changed()) {
    return EventText("state", {{"state", StateName(event.state_changed().state())}});
  }
  return std::nullopt;
}

// A name for the file that is saved: nothing in it that a header could not carry.
std::string SaveName(absl::string_view path) {
  std::string name(path.substr(path.rfind('/') + 1));
  for (char& c : name) {
    if (c < ' ' || c > '~' || c == '"' || c == '\\' || c == ';') c = '_';
  }
  return name.empty() ? "file" : name;
}

// One file on its way from the service to the browser. The first piece is read before the answer
// begins, so that an error can still be one.
class FileDownload {
 public:
  FileDownload(Stub& stub, const contree::v1::ReadFileRequest& request, const CallContext& context)
      : call_(context), reader_(stub.ReadFile(call_.client_context(), request)) {
    has_piece_ = reader_->Read(&piece_);
  }
  ~FileDownload() {
    if (has_piece_) {
      call_.client_context()->TryCancel();
      reader_->Finish();
    }
  }

  bool has_piece() const { return has_piece_; }
  // What came instead of a first piece.
  absl::Status Finish() { return FromGrpcStatus(reader_->Finish()); }

  void WriteTo(HttpResponseStream& stream, size_t max_bytes) {
    while (has_piece_ && max_bytes > 0) {
      const absl::string_view bytes = absl::string_view(piece_.data()).substr(0, max_bytes);
      max_bytes -= bytes.size();
      if (!stream.Write(bytes)) return;
      has_piece_ = reader_->Read(&piece_);
    }
    // A stream that broke in the middle is answered short: the status was sent long ago.
    if (!has_piece_) reader_->Finish();
  }

 private:
  OutgoingCall call_;
  const std::unique_ptr<grpc::ClientReaderInterface<contree::v1::ReadFileResponse>> reader_;
  contree::v1::ReadFileResponse piece_;
  bool has_piece_ = false;
};

}  // namespace

void ConsoleApi::Handle(HttpExchange& exchange, absl::string_view route,
                        const HttpAdmission& admission) const {
  if (const auto site = exchange.Header("Sec-Fetch-Site");
      site.has_value() && *site != "same-origin" && *site != "none") {
    return RespondError(exchange, 403, "this page may only be asked by the console itself");
  }
  const bool is_post = exchange.method() == "POST";
  if (is_post && !exchange.Header("X-Contree-Console").has_value()) {
    return RespondError(exchange, 403, "the header X-Contree-Console is missing");
  }
  const std::optional<Caller> caller = admission.Admit(exchange);
  if (!caller.has_value() || !admission.Allow(*caller, Scope::kRead, exchange)) return;
  // All of them become Protobuf strings.
  if (!IsUtf8(route) || !IsUtf8(exchange.Query("image").value_or("")) ||
      !IsUtf8(exchange.Query("path").value_or(""))) {
    return RespondError(exchange, 400, "an image, a path and an operation are named in UTF-8");
  }
  absl::string_view rest = route;
  if (exchange.method() == "GET") {
    if (route == "tree") return SendTree(*caller, exchange);
    if (route == "file") return SendFile(*caller, exchange);
    if (route == "syncs") return SendSyncs(*caller, exchange);
    if (route == "operations") return SendOperations(*caller, exchange);
    if (absl::ConsumePrefix(&rest, "operations/")) {
      if (absl::ConsumeSuffix(&rest, "/events"))
        return SendEvents(*caller, exchange, std::string(rest));
      return SendOperation(*caller, exchange, std::string(rest));
    }
  }
  if (is_post && absl::ConsumePrefix(&rest, "tools/"))
    return CallTool(*caller, exchange, rest, admission);
  RespondError(exchange, 404, "there is nothing here");
}

void ConsoleApi::SendTree(const Caller& caller, HttpExchange& exchange) const {
  const CallContext context = CallContextOf(caller, kCallTimeout);
  // First the origins: an image that is made in between is then there without one, not missing.
  const auto origins = ListOrigins(services_, context);
  if (!origins.ok()) return RespondError(exchange, origins.status());
  const auto images = ListAllImages(services_, context);
  if (!images.ok()) return RespondError(exchange, images.status());
  RespondJson(exchange, {{"images", TreeJson(*images, *origins)},
                         {"truncated", images->size() >= kMaxImages}});
}

void ConsoleApi::SendOperations(const Caller& caller, HttpExchange& exchange) const {
  contree::v1::ListOperationsRequest request;
  int32_t limit = 100;
  if (const auto text = exchange.Query("limit");
      text.has_value() && !absl::SimpleAtoi(*text, &limit)) {
    return RespondError(exchange, 400,
                        absl::StrCat("limit is '", text->substr(0, 40), "', no number"));
  }
  request.set_limit(limit);
  const auto response = CallUnary(*services_.contree, &Stub::ListOperations, request,
                                  CallContextOf(caller, kCallTimeout));
  if (!response.ok()) return RespondError(exchange, response.status());
  ordered_json operations = ordered_json::array();
  for (const auto& operation : response->operations()) {
    operations.push_back(ConsoleOperationJson(operation));
  }
  RespondJson(exchange, {{"operations", std::move(operations)}});
}

void ConsoleApi::SendSyncs(const Caller& caller, HttpExchange& exchange) const {
  ordered_json syncs = ordered_json::array();
  for (const SyncActivity& sync : services_.syncs->List(caller.tenant)) {
    syncs.push_back(SyncJson(sync));
  }
  RespondJson(exchange, {{"syncs", std::move(syncs)}});
}

void ConsoleApi::SendOperation(const Caller& caller, HttpExchange& exchange,
                               const std::string& operation_id) const {
  contree::v1::GetOperationRequest request;
  request.set_operation_id(operation_id);
  const auto response = CallUnary(*services_.contree, &Stub::GetOperation, request,
                                  CallContextOf(caller, kCallTimeout));
  if (!response.ok()) return RespondError(exchange, response.status());
  RespondJson(exchange, ConsoleOperationJson(response->operation()));
}

void ConsoleApi::SendEvents(const Caller& caller, HttpExchange& exchange,
                            const std::string& operation_id) const {
  exchange.SetHeader("Cache-Control", "no-store");
  exchange.SetHeader("X-Accel-Buffering", "no");
  exchange.RespondStream(
      200, "text/event-stream", [this, operation_id, caller](HttpResponseStream& stream) {
        EventQueue events;
        const std::jthread follower([this, &operation_id, &caller,
                                     &events](const std::stop_token& stop) {
          CallContext context = CallContextOf(caller, kFollowTimeout);
          context.stop = stop;
          const auto operation =
              FollowOperation(*services_.contree, *services_.clock, operation_id, context,
                              [&events](const contree::v1::OperationEvent& event) {
                                if (std::optional<std::string> text = EventText(event))
                                  events.Push(*std::move(text));
                              });
          events.Push(
              operation.ok()
                  ? EventText("completed", ConsoleOperationJson(*operation))
                  : EventText("failed", {{"message", std::string(operation.status().message())}}));
          events.Close();
        });
        absl::Time keep_alive_at = services_.clock->Now() + kKeepAlive;
        bool is_open = true;
        while (is_open) {
          EventQueue::Taken taken = events.Take(kLookInterval);
          for (const std::string& event : taken.events) is_open = is_open && stream.Write(event);
          if (taken.is_closed) return;
          const absl::Time now = services_.clock->Now();
          if (!taken.events.empty()) keep_alive_at = now + kKeepAlive;
          if (is_open && now >= keep_alive_at) {
            is_open = stream.Write(": keep-alive\n\n");
            keep_alive_at = now + kKeepAlive;
          }
          is_open = is_open && stream.IsOpen();
        }
      });
}

void ConsoleApi::SendFile(const Caller& caller, HttpExchange& exchange) const {
  contree::v1::ReadFileRequest request;
  request.set_image(exchange.Query("image").value_or(""));
  request.set_path(exchange.Query("path").value_or(""));
  size_t max_bytes = SIZE_MAX;
  if (const auto max = exchange.Query("max");
      max.has_value() && !absl::SimpleAtoi(*max, &max_bytes)) {
    return RespondError(exchange, 400,
                        absl::StrCat("max is '", max->substr(0, 40), "', no number"));
  }
  auto download = std::make_unique<FileDownload>(*services_.contree, request,
                                                 CallContextOf(caller, kDownloadTimeout));
  if (!download->has_piece()) {
    if (const absl::Status status = download->Finish(); !status.ok()) {
      return RespondError(exchange, status);
    }
  }
  // Files of sandboxes are not ours: nothing in them may run in a page of this server.
  exchange.SetHeader("X-Content-Type-Options", "nosniff");
  exchange.SetHeader("Content-Security-Policy", "default-src 'none'; sandbox");
  exchange.SetHeader("Cache-Control", "no-store");
  const absl::string_view type = MimeTypeByName(request.path());
  const bool as_picture =
      exchange.Query("inline").has_value() &&
      std::find(std::begin(kPictures), std::end(kPictures), type) != std::end(kPictures);
  exchange.SetHeader("Content-Disposition",
                     absl::StrCat(as_picture ? "inline" : "attachment", "; filename=\"",
                                  SaveName(request.path()), "\""));
  const std::string sent_type(as_picture ? type : "application/octet-stream");
  if (!download->has_piece()) return exchange.Respond(200, sent_type, "");
  exchange.RespondStream(200, sent_type,
                         [download = std::move(download), max_bytes](HttpResponseStream& stream) {
                           download->WriteTo(stream, max_bytes);
                         });
}

void ConsoleApi::CallTool(const Caller& caller, HttpExchange& exchange, absl::string_view name,
                          const HttpAdmission& admission) const {
  if (std::find(std::begin(kTools), std::end(kTools), name) == std::end(kTools)) {
    return RespondError(exchange, 404, "the console has no such tool");
  }
  const Tool* tool = tools_.Find(name);
  const bool only_reads = tool != nullptr && tool->annotations.read_only;
  if (!admission.Allow(caller, only_reads ? Scope::kRead : Scope::kRun, exchange)) return;
  const absl::StatusOr<std::string> body = exchange.ReadBody(kMaxRequestBytes);
  if (!body.ok()) {
    return RespondError(exchange, absl::IsResourceExhausted(body.status()) ? 413 : 400,
                        body.status().message());
  }
  const json arguments = json::parse(*body, nullptr, /*allow_exceptions=*/false);
  if (!arguments.is_object()) return RespondError(exchange, 400, "the body is no JSON object");
  RequestContext context;
  context.call = CallContextOf(caller, kCallTimeout);
  context.transport = TransportKind::kHttp;
  absl::StatusOr<ToolRegistry::Result> result = tools_.Call(name, arguments, context);
  if (!result.ok()) return RespondError(exchange, result.status());
  exchange.SetHeader("Cache-Control", "no-store");
  exchange.Respond(200, "application/json", std::move(result->json));
}

}  // namespace contree::gateway
