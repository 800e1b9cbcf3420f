// contree://image/{image}/ls/{path}: a directory inside an image as ls -l would print it.

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/status/status_macros.h"
#include "common/text/utf8.h"
#include "contree/v1/image.pb.h"
#include "gateway/resources/image_uri.h"
#include "gateway/resources/resource.h"
#include "gateway/tools/image_files.h"

namespace contree::gateway {
namespace {

using contree::v1::FileEntry;

char TypeLetter(contree::v1::FileType type) {
  switch (type) {
    case contree::v1::FILE_TYPE_REGULAR:
      return '-';
    case contree::v1::FILE_TYPE_DIRECTORY:
      return 'd';
    case contree::v1::FILE_TYPE_SYMLINK:
      return 'l';
    case contree::v1::FILE_TYPE_SOCKET:
      return 's';
    case contree::v1::FILE_TYPE_FIFO:
      return 'p';
    default:
      return '?';
  }
}

// "-rwsr-xr-t"
std::string ModeText(const FileEntry& entry) {
  const uint32_t mode = entry.mode();
  std::string text = "----------";
  text[0] = TypeLetter(entry.type());
  for (size_t i = 0; i < 9; ++i) {
    if ((mode & (0400U >> i)) != 0) text[i + 1] = "rwxrwxrwx"[i];
  }
  const auto special = [&text, mode](uint32_t bit, size_t at, char with_x, char without) {
    if ((mode & bit) != 0) text[at] = text[at] == 'x' ? with_x : without;
  };
  special(04000, 3, 's', 'S');
  special(02000, 6, 's', 'S');
  special(01000, 9, 't', 'T');
  return text;
}

std::string Owner(const std::string& name, uint32_t id) {
  return name.empty() ? absl::StrCat(id) : name;
}

std::string ListingText(const std::vector<FileEntry>& entries) {
  size_t owner_width = 0;
  size_t group_width = 0;
  size_t size_width = 0;
  for (const FileEntry& entry : entries) {
    owner_width = std::max(owner_width, Owner(entry.owner(), entry.uid()).size());
    group_width = std::max(group_width, Owner(entry.group(), entry.gid()).size());
    size_width = std::max(size_width, absl::StrCat(entry.size()).size());
  }
  std::string text;
  for (const FileEntry& entry : entries) {
    const absl::Time time = absl::FromUnixSeconds(entry.mtime().seconds());
    absl::StrAppendFormat(
        &text, "%s %-*s %-*s %*d %s %s", ModeText(entry), static_cast<int>(owner_width),
        Owner(entry.owner(), entry.uid()), static_cast<int>(group_width),
        Owner(entry.group(), entry.gid()), static_cast<int>(size_width), entry.size(),
        absl::FormatTime("%Y-%m-%d %H:%M", time, absl::UTCTimeZone()), entry.name());
    if (!entry.symlink_target().empty()) absl::StrAppend(&text, " -> ", entry.symlink_target());
    text += '\n';
  }
  return text;
}

absl::StatusOr<ResourceContent> ReadDirectoryResource(const ResourceRequest& request,
                                                      RequestContext& context,
                                                      const Services& services) {
  const std::string& image = request.parameters.at("image");
  const std::string path = PathInImage(request.parameters.at("path"));
  const absl::StatusOr<std::vector<FileEntry>> entries =
      ListImageDirectory(services, image, path, context.call);
  if (!entries.ok()) return MistakeInUri(entries.status());
  ResourceContent content;
  content.data = ListingText(*entries);
  // A name may be any bytes.
  content.is_text = IsUtf8(content.data);
  content.mime_type = "text/plain";
  content.cache = ImageCacheHints(image);
  return content;
}

}  // namespace

ResourceTemplate ImageDirectoryTemplate() {
  return {
      .uri_template = "contree://image/{image}/ls/{path}",
      .name = "image_ls",
      .title = "A directory of an image",
      .description =
          "Entries of a directory inside an image, one to a line as ls -l prints them, "
          "without running anything. image: a UUID or tag:NAME, with %2F for a slash. path: "
          "without the "
          "leading slash; . is the root.",
      .mime_type = "text/plain",
      .handler = ReadDirectoryResource,
  };
}

}  // namespace contree::gateway
