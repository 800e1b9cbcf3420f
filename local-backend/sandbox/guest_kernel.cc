#include "local-backend/sandbox/guest_kernel.h"

#include <archive.h>
#include <archive_entry.h>
#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/files/state_directory.h"
#include "common/status/status_macros.h"
#include "local-backend/sandbox/cpio_archive.h"
#include "local-backend/sandbox/program_file.h"
#include "local-backend/sandbox/sandbox_init_image.h"
#include "local-backend/sandbox/vm_programs_image.h"

namespace contree {
namespace {

constexpr size_t kMaxKernelFile = size_t{64} << 20;
constexpr size_t kMaxKernel = size_t{256} << 20;
constexpr size_t kMaxModule = size_t{16} << 20;
// The serial port, the shared files, and what both stand on.
constexpr const char* kModules[] = {"virtio_mmio", "virtio_console", "virtiofs"};

// Of the header of a bzImage (Documentation/arch/x86/boot.rst of the kernel).
constexpr size_t kSetUpSectors = 0x1f1;
constexpr size_t kMagic = 0x202;
constexpr size_t kVersion = 0x20e;
constexpr size_t kPayloadOffset = 0x248;
constexpr size_t kPayloadLength = 0x24c;
constexpr size_t kHeaderEnd = 0x250;

template <typename Number>
Number At(absl::string_view bytes, size_t offset) {
  Number number = 0;
  if (offset + sizeof number <= bytes.size()) {
    memcpy(&number, bytes.data() + offset, sizeof number);
  }
  return number;
}

// What is compressed as libarchive knows; what is not, as it is.
absl::StatusOr<std::string> Decompress(absl::string_view bytes, size_t max_bytes) {
  archive* const reader = archive_read_new();
  const absl::Cleanup free = [reader] { archive_read_free(reader); };
  archive_read_support_filter_all(reader);
  archive_read_support_format_raw(reader);
  archive_entry* entry;
  if (archive_read_open_memory(reader, bytes.data(), bytes.size()) != ARCHIVE_OK ||
      archive_read_next_header(reader, &entry) != ARCHIVE_OK) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot be read: ", archive_error_string(reader)));
  }
  std::string all;
  std::string part(1 << 20, '\0');
  while (true) {
    const la_ssize_t got = archive_read_data(reader, part.data(), part.size());
    if (got == 0) return all;
    // The length of a kernel stands behind it, which is no part of the stream.
    if (got < 0 && !all.empty()) return all;
    if (got < 0 || all.size() + static_cast<size_t>(got) > max_bytes) {
      return absl::InvalidArgumentError("cannot be unpacked");
    }
    all.append(part.data(), static_cast<size_t>(got));
  }
}

// Whether it says where to enter it as a guest (PVH), in a note of Xen's.
bool CanBeEnteredDirectly(absl::string_view elf) {
  constexpr uint32_t kPvhEntry = 18;
  if (!absl::StartsWith(elf, "\177ELF\2\1")) return false;
  const auto headers = static_cast<size_t>(At<uint64_t>(elf, 0x20));
  const size_t size = At<uint16_t>(elf, 0x36);
  const size_t count = At<uint16_t>(elf, 0x38);
  for (size_t i = 0; i < count; ++i) {
    const size_t header = headers + i * size;
    constexpr uint32_t kNote = 4;
    if (At<uint32_t>(elf, header) != kNote) continue;
    const uint64_t offset = At<uint64_t>(elf, header + 8);
    const uint64_t length = At<uint64_t>(elf, header + 32);
    if (offset > elf.size() || length > elf.size() - offset) return false;
    const absl::string_view notes = elf.substr(offset, length);
    for (size_t at = 0; at + 12 <= notes.size();) {
      const size_t name_size = At<uint32_t>(notes, at);
      const size_t data_size = At<uint32_t>(notes, at + 4);
      const uint32_t type = At<uint32_t>(notes, at + 8);
      if (type == kPvhEntry && name_size == 4 && notes.substr(at + 12, 3) == "Xen") return true;
      at += 12 + (name_size + 3) / 4 * 4 + (data_size + 3) / 4 * 4;
    }
  }
  return false;
}

// The name by which others ask for it.
std::string ModuleName(absl::string_view file) {
  const size_t end = file.find(".ko");
  return absl::StrReplaceAll(file.substr(0, end), {{"-", "_"}});
}

class Modules {
 public:
  static absl::StatusOr<Modules> In(const std::string& directory) {
    Modules modules;
    std::error_code error;
    for (auto entry = std::filesystem::recursive_directory_iterator(
             directory, std::filesystem::directory_options::skip_permission_denied, error);
         !error && entry != std::filesystem::recursive_directory_iterator();
         entry.increment(error)) {
      const std::string file = entry->path().filename();
      if (absl::StrContains(file, ".ko")) modules.files_[ModuleName(file)] = entry->path();
    }
    if (error) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the modules of the guest's kernel cannot be read in ", directory, ": ", error.message(),
          "; install the kernel's whole package, or give --vm-modules"));
    }
    const absl::StatusOr<std::string> builtin =
        ReadFile(absl::StrCat(directory, "/modules.builtin"), kMaxModule);
    for (absl::string_view line : absl::StrSplit(builtin.ok() ? *builtin : "", '\n')) {
      modules.builtin_.insert(ModuleName(line.substr(line.rfind('/') + 1)));
    }
    return modules;
  }

  // Puts it behind all that it needs, each once.
  absl::Status Add(const std::string& name, std::vector<std::string>& contents) {
    if (builtin_.contains(name) || !added_.insert(name).second) return absl::OkStatus();
    const auto found = files_.find(name);
    if (found == files_.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the guest's kernel has no module ", name,
                       ", which --isolation=microvm needs: install the package "
                       "linux-image-cloud-amd64 or another kernel, or give --vm-kernel"));
    }
    ASSIGN_OR_RETURN(const std::string file, ReadFile(found->second, kMaxModule));
    ASSIGN_OR_RETURN(std::string module, Decompress(file, kMaxModule));
    for (const std::string& needed : ModuleDependencies(module)) {
      RETURN_IF_ERROR(Add(needed, contents));
    }
    contents.push_back(std::move(module));
    return absl::OkStatus();
  }

 private:
  std::map<std::string, std::string> files_;
  std::set<std::string> builtin_;
  std::set<std::string> added_;
};

absl::StatusOr<std::string> MakeInitrd(const std::string& modules_directory) {
  ASSIGN_OR_RETURN(Modules modules, Modules::In(modules_directory));
  std::vector<std::string> contents;
  for (const char* name : kModules) RETURN_IF_ERROR(modules.Add(name, contents));
  CpioArchive archive;
  archive.AddDirectory("dev", 0755);
  archive.AddCharacterDevice("dev/console", 0600, 5, 1);
  archive.AddDirectory("modules", 0755);
  for (size_t i = 0; i < contents.size(); ++i) {
    archive.AddFile(absl::StrCat("modules/", absl::Dec(i, absl::kZeroPad2)), 0444, contents[i]);
  }
  archive.AddFile("sandbox_init", 0555, SandboxInitBytes());
  archive.AddFile("init", 0555, VmAgentBytes());
  return std::move(archive).Finish();
}

}  // namespace

absl::StatusOr<std::string> KernelVersion(absl::string_view bz_image) {
  if (bz_image.size() < kHeaderEnd || bz_image.substr(kMagic, 4) != "HdrS") {
    return absl::InvalidArgumentError("it is not a Linux kernel for x86 (bzImage)");
  }
  const size_t at = size_t{At<uint16_t>(bz_image, kVersion)} + 0x200;
  if (at >= bz_image.size())
    return absl::InvalidArgumentError("the kernel does not say its version");
  const absl::string_view rest = bz_image.substr(at, 256);
  const std::string version(rest.substr(0, rest.find_first_of(absl::string_view(" \0", 2))));
  if (version.empty() || absl::StrContains(version, '/')) {
    return absl::InvalidArgumentError("the kernel does not say its version");
  }
  return version;
}

std::string UnpackKernel(absl::string_view bz_image) {
  if (bz_image.size() < kHeaderEnd) return std::string(bz_image);
  const size_t sectors = bz_image[kSetUpSectors] == 0 ? 4 : bz_image[kSetUpSectors] & 0xff;
  const size_t offset = (sectors + 1) * 512 + At<uint32_t>(bz_image, kPayloadOffset);
  const size_t length = At<uint32_t>(bz_image, kPayloadLength);
  if (offset > bz_image.size() || length > bz_image.size() - offset) return std::string(bz_image);
  absl::StatusOr<std::string> kernel = Decompress(bz_image.substr(offset, length), kMaxKernel);
  if (kernel.ok() && CanBeEnteredDirectly(*kernel)) return *std::move(kernel);
  return std::string(bz_image);
}

std::vector<std::string> ModuleDependencies(absl::string_view module) {
  constexpr absl::string_view kName("\0depends=", 9);
  const size_t at = module.find(kName);
  if (at == absl::string_view::npos) return {};
  const absl::string_view rest = module.substr(at + kName.size());
  std::vector<std::string> names;
  for (absl::string_view name :
       absl::StrSplit(rest.substr(0, rest.find('\0')), ',', absl::SkipEmpty())) {
    names.push_back(absl::StrReplaceAll(name, {{"-", "_"}}));
  }
  return names;
}

absl::StatusOr<std::string> FindGuestKernel(const std::string& path) {
  if (!path.empty()) {
    if (access(path.c_str(), R_OK) == 0) return path;
    return absl::FailedPreconditionError(
        absl::StrCat("commands cannot be isolated: there is no kernel ", path, " (--vm-kernel)"));
  }
  glob_t found = {};
  const absl::Cleanup free = [&found] { globfree(&found); };
  if (glob("/boot/vmlinuz-*", 0, nullptr, &found) != 0 || found.gl_pathc == 0) {
    return absl::FailedPreconditionError(
        "commands cannot be isolated: there is no /boot/vmlinuz-* for virtual machines; install "
        "the "
        "package linux-image-cloud-amd64, or give --vm-kernel and --vm-modules");
  }
  const std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  // By the numbers in it: 6.1.0-10 is newer than 6.1.0-9.
  return *std::max_element(paths.begin(), paths.end(),
                           [](const std::string& a, const std::string& b) {
                             return strverscmp(a.c_str(), b.c_str()) < 0;
                           });
}

absl::StatusOr<GuestKernel> LoadGuestKernel(const GuestKernelOptions& options) {
  GuestKernel guest;
  ASSIGN_OR_RETURN(guest.path, FindGuestKernel(options.kernel));
  ASSIGN_OR_RETURN(const std::string image, ReadFile(guest.path, kMaxKernelFile));
  const absl::StatusOr<std::string> version = KernelVersion(image);
  if (!version.ok()) {
    return absl::FailedPreconditionError(absl::StrCat("commands cannot be isolated: ", guest.path,
                                                      ": ", version.status().message()));
  }
  guest.version = *version;
  ASSIGN_OR_RETURN(guest.kernel, MakeProgramFile("guest_kernel", UnpackKernel(image)));
  ASSIGN_OR_RETURN(const std::string initrd,
                   MakeInitrd(options.modules.empty() ? absl::StrCat("/lib/modules/", guest.version)
                                                      : options.modules));
  ASSIGN_OR_RETURN(guest.initrd, MakeProgramFile("guest_initrd", initrd));
  return guest;
}

}  // namespace contree
