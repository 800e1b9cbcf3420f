#include "local-backend/operations/run_layers.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/files/unique_fd.h"
#include "common/status/status_macros.h"
#include "local-backend/sandbox/overlay.h"

namespace contree {
namespace {

// So many files are worth a layer of their own.
constexpr size_t kManyFiles = 256;
// Layers with a resolv.conf that are kept.
constexpr size_t kMaxNetworkLayers = 64;

absl::StatusOr<UniqueFd> Mount(const std::vector<std::string>& layers, const ImageStore& images) {
  return MountOverlay(
      {.layers = layers, .upper = "", .work = "", .empty_directory = images.empty_directory()});
}

// Tops `layers` with one that goes with the run.
absl::Status AddPassingLayer(const std::vector<AttachedFile>& files, const ImageStore& images,
                             const RunDirectory& run, std::vector<std::string>& layers) {
  const std::string layer = absl::StrCat(run.path, "/files");
  if (mkdir(layer.c_str(), 0755) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the directory ", layer));
  }
  ASSIGN_OR_RETURN(const UniqueFd image, Mount(layers, images));
  RETURN_IF_ERROR(AttachFiles(files, image.get(), layer, AttachBy::kLink));
  layers.insert(layers.begin(), layer);
  return absl::OkStatus();
}

}  // namespace

class RunLayers::PassingLayer {
 public:
  // `directory` is empty: nothing is to be added.
  PassingLayer(ImageStore& images, RunDirectory directory)
      : images_(images), directory_(std::move(directory)) {}
  ~PassingLayer() {
    if (!directory_.path.empty()) images_.Discard(directory_);
  }
  PassingLayer(const PassingLayer&) = delete;
  PassingLayer& operator=(const PassingLayer&) = delete;

  const std::string& path() const { return directory_.upper; }

 private:
  ImageStore& images_;
  const RunDirectory directory_;
};

// Puts one that is kept between the image and what the run writes. False: as AddLayer.
absl::StatusOr<bool> RunLayers::AddKeptLayer(const std::vector<AttachedFile>& files,
                                             const Image& image, RunDirectory& run) {
  AttachmentPlan plan;
  {
    ASSIGN_OR_RETURN(const UniqueFd mount, Mount(run.layers, images_));
    ASSIGN_OR_RETURN(plan, AttachmentPlan::Make(files, mount.get()));
  }
  const std::string source = absl::StrCat("files:", plan.Digest());
  ASSIGN_OR_RETURN(HeldLayer layer, images_.FindLayer(source));
  if (layer.name.empty()) {
    ASSIGN_OR_RETURN(const RunDirectory made, images_.NewLayer(image.layers));
    const absl::Cleanup discard = [&] { images_.Discard(made); };
    RETURN_IF_ERROR(plan.Place(made.upper, AttachBy::kCopy));
    ASSIGN_OR_RETURN(layer, images_.PublishLayer(made, source));
  }
  return images_.AddLayer(layer, image, run);
}

absl::StatusOr<RunLayers::LayerRef> RunLayers::MakeNetworkLayer(
    const std::vector<std::string>& layers) {
  ASSIGN_OR_RETURN(const RunDirectory made, images_.NewLayer({}));
  auto layer = std::make_shared<const PassingLayer>(images_, made);
  ASSIGN_OR_RETURN(const UniqueFd image, Mount(layers, images_));
  const absl::Status attached =
      AttachFiles({{.path = "/etc/resolv.conf", .source = resolv_conf_, .content = "resolv.conf"}},
                  image.get(), made.upper, AttachBy::kLink);
  // An image in which there can be no such file (/etc is none of its directories) does without.
  if (absl::IsFailedPrecondition(attached)) {
    return std::make_shared<const PassingLayer>(images_, RunDirectory());
  }
  RETURN_IF_ERROR(attached);
  return layer;
}

absl::StatusOr<RunLayers::LayerRef> RunLayers::NetworkLayer(
    const std::vector<std::string>& layers) {
  {
    const absl::MutexLock lock(&mutex_);
    for (auto entry = network_layers_.begin(); entry != network_layers_.end(); ++entry) {
      if (entry->first != layers) continue;
      network_layers_.splice(network_layers_.begin(), network_layers_, entry);
      return entry->second;
    }
  }
  ASSIGN_OR_RETURN(LayerRef layer, MakeNetworkLayer(layers));
  const absl::MutexLock lock(&mutex_);
  network_layers_.emplace_front(layers, layer);
  if (network_layers_.size() > kMaxNetworkLayers) network_layers_.pop_back();
  return layer;
}

absl::StatusOr<RunLayers::Stack> RunLayers::For(const std::vector<AttachedFile>& files,
                                                Keeping keeping, const Image& image,
                                                bool with_network, RunDirectory& run) {
  bool are_laid = files.empty();
  if (files.size() >= kManyFiles) {
    ASSIGN_OR_RETURN(are_laid, AddKeptLayer(files, image, run));
  }
  Stack stack = {.layers = run.layers, .lease = nullptr};
  if (with_network && !resolv_conf_.empty()) {
    ASSIGN_OR_RETURN(const LayerRef layer, NetworkLayer(stack.layers));
    if (!layer->path().empty()) stack.layers.insert(stack.layers.begin(), layer->path());
    stack.lease = layer;
  }
  if (are_laid) return stack;
  if (keeping == Keeping::kNothing) {
    RETURN_IF_ERROR(AddPassingLayer(files, images_, run, stack.layers));
    return stack;
  }
  ASSIGN_OR_RETURN(const UniqueFd mount, Mount(stack.layers, images_));
  RETURN_IF_ERROR(AttachFiles(files, mount.get(), run.upper, AttachBy::kCopy));
  return stack;
}

}  // namespace contree
