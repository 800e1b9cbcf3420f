#include "standalone/backend_flags.h"

#include "absl/strings/str_cat.h"

namespace contree::standalone {

std::vector<std::string> BackendFlags(const Options& options) {
  std::vector<std::string> flags;
  for (const std::string& registry : options.insecure_registries) {
    flags.push_back(absl::StrCat("--insecure-registry=", registry));
  }
  for (const std::string& registry : options.private_registries) {
    flags.push_back(absl::StrCat("--private-registry=", registry));
  }
  if (options.isolation != "microvm") return flags;
  if (!options.vm_kernel.empty()) flags.push_back(absl::StrCat("--vm-kernel=", options.vm_kernel));
  if (!options.vm_modules.empty()) {
    flags.push_back(absl::StrCat("--vm-modules=", options.vm_modules));
  }
  flags.push_back(absl::StrCat("--vm-accelerator=", options.vm_accelerator));
  return flags;
}

}  // namespace contree::standalone
