#ifndef LOCAL_BACKEND_IMPORTER_IMAGE_IMPORTER_H_
#define LOCAL_BACKEND_IMPORTER_IMAGE_IMPORTER_H_

// Makes an image of this machine out of one in an OCI registry: only its file system. Layers are
// unpacked once, however many images share them, and an image that did not change is the same image
// again. Nothing is unpacked before its digest was verified. Thread-safe.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/registry/reference.h"
#include "common/registry/registry_client.h"
#include "common/registry/registry_transport.h"
#include "local-backend/images/image_store.h"
#include "local-backend/importer/image_manifest.h"
#include "local-backend/sandbox/cancel_event.h"

namespace contree {

struct ImportRequest {
  ImageReference reference;
  RegistryCredentials credentials;  // of this import alone
  std::string tag;                  // of the result; empty: none
  absl::Duration timeout = absl::Seconds(300);
  std::string operation_uuid;
  // Whose it will be. Projects share no layers: having the digest of one does not prove that one
  // may have it.
  std::string project = "";
  Platform platform = HostPlatform();
};

struct ImportResult {
  std::string image_uuid;
  int64_t unpacked_bytes = 0;  // 0 where everything was there
};

class ImageImporter {
 public:
  // `images` must outlive it.
  ImageImporter(RegistryNetworkOptions network, ImageStore* images);
  ~ImageImporter();

  // Reports lines of text for people. NotFound: no such image, or none for the platform.
  // PermissionDenied, Unauthenticated: the registry does not let us. InvalidArgument: the image is
  // damaged, or holds what no image may. ResourceExhausted: the disk is full, or a bound is passed.
  // DeadlineExceeded: not within the timeout. Cancelled. Whatever it fails with, no part of it
  // stays, except whole layers that the next attempt uses.
  absl::StatusOr<ImportResult> Import(const ImportRequest& request, const CancelEvent& cancel,
                                      const std::function<void(const std::string&)>& report);

 private:
  class Run;
  struct Network;

  const std::unique_ptr<Network> network_;
  ImageStore* const images_;
};

}  // namespace contree

#endif  // LOCAL_BACKEND_IMPORTER_IMAGE_IMPORTER_H_
