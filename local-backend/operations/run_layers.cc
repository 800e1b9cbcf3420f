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

absl::StatusOr<UniqueFd> Mount(const std::vector<std::string>& layers, const ImageStore& images) {
  return MountOverlay(
      {.layers = layers, .upper = "", .work = "", .empty_directory = images.empty_directory()});
}

// Tops `layers` with one that goes with the run.
absl::Status AddPassingLayer(const std::vector<AttachedFile>& files, const std::string& name,
                             const ImageStore& images, const RunDirectory& run,
                             std::vector<std::string>& layers) {
  const std::string layer = absl::StrCat(run.path, "/", name);
  if (mkdir(layer.c_str(), 0755) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make the directory ", layer));
  }
  ASSIGN_OR_RETURN(const UniqueFd image, Mount(layers, images));
  RETURN_IF_ERROR(AttachFiles(files, image.get(), layer, AttachBy::kLink));
  layers.insert(layers.begin(), layer);
  return absl::OkStatus();
}

// Puts one that is kept between the image and what the run writes. False: as AddLayer.
absl::StatusOr<bool> AddKeptLayer(const std::vector<AttachedFile>& files, const Image& image,
                                  ImageStore& images, RunDirectory& run) {
  AttachmentPlan plan;
  {
    ASSIGN_OR_RETURN(const UniqueFd mount, Mount(run.layers, images));
    ASSIGN_OR_RETURN(plan, AttachmentPlan::Make(files, mount.get()));
  }
  const std::string source = absl::StrCat("files:", plan.Digest());
  ASSIGN_OR_RETURN(HeldLayer layer, images.FindLayer(source));
  if (layer.name.empty()) {
    ASSIGN_OR_RETURN(const RunDirectory made, images.NewLayer(image.layers));
    const absl::Cleanup discard = [&] { images.Discard(made); };
    RETURN_IF_ERROR(plan.Place(made.upper, AttachBy::kCopy));
    ASSIGN_OR_RETURN(layer, images.PublishLayer(made, source));
  }
  return images.AddLayer(layer, image, run);
}

}  // namespace

absl::StatusOr<std::vector<std::string>> LayersOfRun(const std::vector<AttachedFile>& files,
                                                     Keeping keeping, const Image& image,
                                                     const std::string& resolv_conf,
                                                     ImageStore& images, RunDirectory& run) {
  bool are_laid = files.empty();
  if (files.size() >= kManyFiles) {
    ASSIGN_OR_RETURN(are_laid, AddKeptLayer(files, image, images, run));
  }
  std::vector<std::string> layers = run.layers;
  if (!resolv_conf.empty()) {
    const absl::Status added = AddPassingLayer(
        {{.path = "/etc/resolv.conf", .source = resolv_conf, .content = "resolv.conf"}}, "network",
        images, run, layers);
    // An image in which there can be no such file (/etc is none of its directories) does without.
    if (!absl::IsFailedPrecondition(added)) RETURN_IF_ERROR(added);
  }
  if (are_laid) return layers;
  if (keeping == Keeping::kNothing) {
    RETURN_IF_ERROR(AddPassingLayer(files, "files", images, run, layers));
    return layers;
  }
  ASSIGN_OR_RETURN(const UniqueFd mount, Mount(layers, images));
  RETURN_IF_ERROR(AttachFiles(files, mount.get(), run.upper, AttachBy::kCopy));
  return layers;
}

}  // namespace contree
