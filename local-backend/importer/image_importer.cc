#include "local-backend/importer/image_importer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "common/files/sha256.h"
#include "common/files/unique_fd.h"
#include "common/registry/network_address.h"
#include "common/registry/token_cache.h"
#include "common/registry/token_exchange.h"
#include "common/rpc/call_context.h"
#include "common/status/status_context.h"
#include "common/status/status_macros.h"
#include "common/time/clock.h"
#include "common/uuid/uuid.h"
#include "local-backend/importer/layer_unpacker.h"

namespace contree {
namespace {

constexpr size_t kMaxManifest = 4 * 1024 * 1024;    // the distribution spec's bound
constexpr int64_t kMaxLayerBytes = 12'884'901'888;  // 12 GiB, packed or not
constexpr int kDownloads = 3;                       // at once
constexpr int kBlobAttempts = 3;

std::string DigestOf(absl::string_view bytes) { return absl::StrCat("sha256:", Sha256Hex(bytes)); }

// A UUID (version 8, RFC 9562) that says the same whenever the same image is imported.
std::string UuidOf(const std::string& chain) {
  std::string hex = Sha256Hex(absl::StrCat("contree image ", chain)).substr(0, 32);
  hex[12] = '8';
  hex[16] = "89ab"[(hex[16] <= '9' ? hex[16] - '0' : hex[16] - 'a' + 10) & 3];
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-",
                      hex.substr(16, 4), "-", hex.substr(20, 12));
}

std::string Megabytes(int64_t bytes) {
  return absl::StrFormat("%.1f MB", static_cast<double>(bytes) / 1e6);
}

// While it lives, a cancelled import's stop token is requested.
class StopOnCancel {
 public:
  explicit StopOnCancel(const CancelEvent& cancel)
      : end_(eventfd(0, EFD_CLOEXEC)), thread_([this, &cancel] {
          pollfd ready[] = {{.fd = cancel.fd(), .events = POLLIN, .revents = 0},
                            {.fd = end_.get(), .events = POLLIN, .revents = 0}};
          while (poll(ready, 2, -1) < 0 && errno == EINTR) {
          }
          if (ready[0].revents != 0) stop_.request_stop();
        }) {}
  ~StopOnCancel() {
    eventfd_write(end_.get(), 1);
    thread_.join();
  }
  StopOnCancel(const StopOnCancel&) = delete;
  StopOnCancel& operator=(const StopOnCancel&) = delete;

  std::stop_source& source() { return stop_; }

 private:
  const UniqueFd end_;
  std::stop_source stop_;
  std::thread thread_;
};

absl::Status WriteAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      if (errno == ENOSPC || errno == EDQUOT) {
        return absl::ResourceExhaustedError(
            "the disk is full while the image is downloaded; make room, or use a smaller image");
      }
      return absl::ErrnoToStatus(errno, "cannot write a downloaded layer");
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace

struct ImageImporter::Network {
  explicit Network(RegistryNetworkOptions options)
      : transport(std::move(options), &resolver),
        tokens(&transport, &clock),
        cache(&clock),
        client(&transport, &tokens, &cache, &clock) {}

  // Two users' tokens must not be mistaken for each other; the version is known to this process
  // only.
  std::string VersionOf(const RegistryCredentials& credentials) const {
    if (credentials.IsAnonymous()) return "";
    std::string text = absl::StrCat(salt, "\n", credentials.username, "\n", credentials.realm, "\n",
                                    credentials.secret.view());
    std::string version = Sha256Hex(text);
    Wipe(text);
    return version;
  }

  const std::string salt = NewUuidV4();
  RealClock clock;
  SystemHostResolver resolver;
  RegistryTransport transport;
  TokenExchange tokens;
  TokenCache cache;
  RegistryClient client;
};

// One import. What a stranger sends is bounded by what was announced, and compared with its digest
// before anything looks into it.
class ImageImporter::Run {
 public:
  Run(ImageImporter& importer, const ImportRequest& request, std::stop_source& stop,
      const std::function<void(const std::string&)>& report)
      : network_(*importer.network_),
        images_(*importer.images_),
        request_(request),
        report_(report),
        stop_(stop),
        access_{.credentials = request.credentials,
                .credential_version = network_.VersionOf(request.credentials)} {
    context_.deadline = absl::Now() + request.timeout;
    context_.stop = stop.get_token();
    context_.request_id = request.operation_uuid;
  }

  absl::StatusOr<ImportResult> Do() {
    ASSIGN_OR_RETURN(const ImageManifest manifest, FindManifest());
    std::vector<std::string> chains;  // names of layers with all that is below them
    for (const BlobDescriptor& layer : manifest.layers) {
      chains.push_back(Sha256Hex(
          absl::StrCat(chains.empty() ? request_.project : chains.back(), " ", layer.digest)));
    }
    ImportResult result = {.image_uuid = UuidOf(chains.back())};
    std::vector<std::string> layers;  // topmost first
    size_t present = 0;
    for (; present < chains.size(); ++present) {
      ASSIGN_OR_RETURN(HeldLayer layer, images_.FindLayer(chains[present]));
      if (layer.name.empty()) break;
      layers.insert(layers.begin(), layer.name);
      held_.push_back(std::move(layer));
    }
    if (present < chains.size()) {
      ASSIGN_OR_RETURN(result.unpacked_bytes, Complete(manifest, chains, present, layers));
    } else {
      report_("all layers are here already");
    }
    RETURN_IF_ERROR(images_.PublishImage({.uuid = result.image_uuid,
                                          .tag = request_.tag,
                                          .created_at = absl::Now(),
                                          .operation_uuid = request_.operation_uuid,
                                          .layers = layers,
                                          .environment = {},
                                          .project = request_.project}));
    return result;
  }

 private:
  // A blob that is on its way to a file without a name.
  struct Blob {
    UniqueFd file;
    std::optional<absl::Status> outcome;
  };

  absl::StatusOr<std::string> FetchText(const std::string& path, const std::string& accept,
                                        const std::string& digest) {
    std::string text;
    RETURN_IF_ERROR(network_.client.Get(request_.reference, path, {{"Accept", accept}}, access_,
                                        context_,
                                        {.on_data = [&](absl::string_view bytes) -> absl::Status {
                                          if (text.size() + bytes.size() > kMaxManifest) {
                                            return absl::ResourceExhaustedError(absl::StrCat(
                                                "the registry sends a manifest of more than ",
                                                kMaxManifest, " bytes; it was thrown away"));
                                          }
                                          text.append(bytes.data(), bytes.size());
                                          return absl::OkStatus();
                                        }}));
    if (!digest.empty() && DigestOf(text) != digest) {
      return absl::InvalidArgumentError(absl::StrCat("the registry sent something else than ",
                                                     digest, " (its digest is ", DigestOf(text),
                                                     "); it was thrown away"));
    }
    return text;
  }

  absl::StatusOr<ImageManifest> FindManifest() {
    const ImageReference& reference = request_.reference;
    if (absl::StartsWith(reference.digest, "sha512:")) {
      return absl::FailedPreconditionError("images are imported by sha256 digests only");
    }
    std::string digest = reference.digest;
    std::string path = absl::StrCat("manifests/", reference.TagOrDigest());
    for (const bool from_index : {false, true}) {
      ASSIGN_OR_RETURN(const std::string text, FetchText(path, AcceptedManifestTypes(), digest));
      ASSIGN_OR_RETURN(auto parsed, ParseManifest(text, request_.platform));
      if (auto* manifest = std::get_if<ImageManifest>(&parsed); manifest != nullptr) {
        if (!from_index) RETURN_IF_ERROR(CheckPlatform(*manifest));
        return std::move(*manifest);
      }
      digest = std::get<ImageIndex>(parsed).chosen.digest;
      path = absl::StrCat("manifests/", digest);
    }
    return absl::FailedPreconditionError("the image's index leads to another index");
  }

  // An image without an index says only here what it is for.
  absl::Status CheckPlatform(const ImageManifest& manifest) {
    ASSIGN_OR_RETURN(
        const std::string text,
        FetchText(absl::StrCat("blobs/", manifest.config.digest), "*/*", manifest.config.digest));
    ASSIGN_OR_RETURN(const Platform platform, PlatformOfConfig(text));
    const Platform& wanted = request_.platform;
    const bool fits =
        (platform.os.empty() || platform.os == wanted.os) &&
        (platform.architecture.empty() || platform.architecture == wanted.architecture);
    if (fits) return absl::OkStatus();
    return absl::NotFoundError(absl::StrCat("the image is for ", platform.ToText(),
                                            "; this machine runs ", wanted.ToText()));
  }

  absl::Status CheckRoom(const ImageManifest& manifest, size_t first) const {
    int64_t packed = 0;
    for (size_t i = first; i < manifest.layers.size(); ++i) {
      if (manifest.layers[i].size > kMaxLayerBytes) {
        return absl::ResourceExhaustedError(
            absl::StrCat("a layer of the image has ", Megabytes(manifest.layers[i].size),
                         "; at most ", Megabytes(kMaxLayerBytes), " are taken"));
      }
      packed += manifest.layers[i].size;
    }
    RETURN_IF_ERROR(Annotate(
        images_.CheckRoom(packed),
        absl::StrCat("the image does not fit, ", Megabytes(packed), " are to be downloaded")));
    struct statvfs disk;
    if (statvfs(images_.empty_directory().c_str(), &disk) != 0) return absl::OkStatus();
    const int64_t free = static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize);
    if (packed <= free) return absl::OkStatus();
    return absl::ResourceExhaustedError(absl::StrCat("the image does not fit: ", Megabytes(packed),
                                                     " are to be downloaded and ", Megabytes(free),
                                                     " are free"));
  }

  // Downloads and unpacks the layers from `first` on; `layers` grows by them.
  absl::StatusOr<int64_t> Complete(const ImageManifest& manifest,
                                   const std::vector<std::string>& chains, size_t first,
                                   std::vector<std::string>& layers) {
    RETURN_IF_ERROR(CheckRoom(manifest, first));
    ASSIGN_OR_RETURN(const RunDirectory scratch, images_.NewLayer({}));
    const absl::Cleanup discard = [&] { images_.Discard(scratch); };
    blobs_.resize(manifest.layers.size());
    std::atomic<size_t> next = first;
    std::vector<std::jthread> downloads;
    absl::Cleanup end_downloads = [&] {
      failed_ = true;
      stop_.request_stop();
    };  // before the threads are joined
    for (size_t i = first; i < manifest.layers.size() && i < first + kDownloads; ++i) {
      downloads.emplace_back([&] {
        for (size_t index = next++; index < manifest.layers.size() && !failed_; index = next++) {
          Download(manifest.layers[index], scratch, blobs_[index]);
        }
      });
    }
    int64_t unpacked = 0;
    for (size_t i = first; i < manifest.layers.size(); ++i) {
      report_(absl::StrCat("layer ", i + 1, " of ", manifest.layers.size(), ", ",
                           Megabytes(manifest.layers[i].size)));
      ASSIGN_OR_RETURN(const UniqueFd blob, Await(blobs_[i]));
      ASSIGN_OR_RETURN(const int64_t bytes, Unpack(blob.get(), chains[i], layers));
      unpacked += bytes;
    }
    for (std::jthread& download : downloads) download.join();
    downloads.clear();
    std::move(end_downloads).Cancel();
    return unpacked;
  }

  void Download(const BlobDescriptor& layer, const RunDirectory& scratch, Blob& blob) {
    UniqueFd file;
    absl::Status status = absl::UnavailableError("not begun");
    const std::string path = absl::StrCat(scratch.path, "/", layer.digest);
    file.Reset(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file.is_open()) {
      status = absl::ErrnoToStatus(errno, "cannot make a file for a layer");
    } else {
      unlink(path.c_str());
      for (int attempt = 0; attempt < kBlobAttempts && absl::IsUnavailable(status); ++attempt) {
        status = DownloadOnce(layer, file.get());
      }
    }
    absl::MutexLock lock(&mutex_);
    blob.file = std::move(file);
    blob.outcome = std::move(status);
    changed_.SignalAll();
  }

  absl::Status DownloadOnce(const BlobDescriptor& layer, int file) {
    if (ftruncate(file, 0) != 0 || lseek(file, 0, SEEK_SET) != 0) {
      return absl::ErrnoToStatus(errno, "cannot empty a file");
    }
    Sha256 digest;
    int64_t size = 0;
    RETURN_IF_ERROR(network_.client.Get(
        request_.reference, absl::StrCat("blobs/", layer.digest), {}, access_, context_,
        {.on_data = [&](absl::string_view bytes) -> absl::Status {
          size += static_cast<int64_t>(bytes.size());
          if (size > layer.size) {
            return absl::InvalidArgumentError(absl::StrCat("the registry sends more than the ",
                                                           layer.size, " bytes that ", layer.digest,
                                                           " has; it was thrown away"));
          }
          digest.Update(bytes);
          RETURN_IF_ERROR(images_.CheckRoom(static_cast<int64_t>(bytes.size())));
          return WriteAll(file, bytes);
        }}));
    const std::string actual = absl::StrCat("sha256:", digest.FinishHex());
    if (actual != layer.digest || size != layer.size) {
      return absl::InvalidArgumentError(
          absl::StrCat("the registry sent something else than ", layer.digest, " (", size,
                       " bytes, whose digest is ", actual, "); it was thrown away"));
    }
    if (lseek(file, 0, SEEK_SET) != 0) return absl::ErrnoToStatus(errno, "lseek");
    return absl::OkStatus();
  }

  absl::StatusOr<UniqueFd> Await(Blob& blob) {
    absl::MutexLock lock(&mutex_);
    // Downloads end by themselves when the import's time is up or it is cancelled.
    while (!blob.outcome.has_value()) changed_.Wait(&mutex_);
    if (!blob.outcome->ok()) return *blob.outcome;
    return std::move(blob.file);
  }

  absl::StatusOr<int64_t> Unpack(int blob, const std::string& chain,
                                 std::vector<std::string>& layers) {
    ASSIGN_OR_RETURN(const RunDirectory run, images_.NewLayer(layers));
    const absl::Cleanup discard = [&] { images_.Discard(run); };
    absl::Status room;
    const absl::StatusOr<int64_t> bytes = UnpackLayer({.archive_fd = blob,
                                                       .layers = run.layers,
                                                       .upper = run.upper,
                                                       .work = run.work,
                                                       .empty_directory = images_.empty_directory(),
                                                       .max_bytes = kMaxLayerBytes,
                                                       .is_cancelled = [this, &room] {
                                                         room = images_.CheckRoom();
                                                         return !room.ok() ||
                                                                context_.stop.stop_requested() ||
                                                                absl::Now() >= context_.deadline;
                                                       }});
    RETURN_IF_ERROR(room);
    RETURN_IF_ERROR(bytes.status());
    ASSIGN_OR_RETURN(HeldLayer layer, images_.PublishLayer(run, chain));
    layers.insert(layers.begin(), layer.name);
    held_.push_back(std::move(layer));
    return *bytes;
  }

  Network& network_;
  ImageStore& images_;
  const ImportRequest& request_;
  const std::function<void(const std::string&)>& report_;
  std::stop_source& stop_;
  const RegistryAccess access_;
  CallContext context_;
  std::atomic<bool> failed_ = false;
  absl::Mutex mutex_;
  absl::CondVar changed_;
  std::vector<HeldLayer> held_;  // until an image has them
  std::vector<Blob> blobs_;      // one each; written by its download, under mutex_
};

ImageImporter::ImageImporter(RegistryNetworkOptions network, ImageStore* images)
    : network_(std::make_unique<Network>(std::move(network))), images_(images) {}

ImageImporter::~ImageImporter() = default;

absl::StatusOr<ImportResult> ImageImporter::Import(
    const ImportRequest& request, const CancelEvent& cancel,
    const std::function<void(const std::string&)>& report) {
  const absl::Time deadline = absl::Now() + request.timeout;
  StopOnCancel stop(cancel);
  absl::StatusOr<ImportResult> result = Run(*this, request, stop.source(), report).Do();
  if (result.ok()) return result;
  if (cancel.IsCancelled()) return absl::CancelledError("the import was cancelled");
  if (absl::Now() >= deadline) {
    return absl::DeadlineExceededError(absl::StrCat(
        "the import was not done within its timeout of ", absl::ToInt64Seconds(request.timeout),
        " s; give it more, layers that are "
        "here already are not downloaded again"));
  }
  return Annotate(result.status(), absl::StrCat("importing ", request.reference.ToUrl()));
}

}  // namespace contree
