// The part of ImageStore that finds images and names them: rows and tags.

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"
#include "local-backend/images/image_store.h"
#include "local-backend/images/layer_names.h"

namespace contree {
namespace {

constexpr size_t kMaxTagLength = 256;
// Use is noted this coarsely.
constexpr absl::Duration kUseGrain = absl::Hours(1);

// Twice the project; what follows sees its tags in `visible`.
constexpr char kVisibleTags[] =
    "WITH visible AS (SELECT tag, image_uuid, tagged_at FROM tags WHERE project = ?"
    " UNION ALL SELECT tag, image_uuid, tagged_at FROM tags AS everybodys WHERE project = '*'"
    " AND NOT EXISTS (SELECT 1 FROM tags AS own WHERE own.project = ? AND own.tag = "
    "everybodys.tag)) ";
constexpr char kColumns[] =
    "images.uuid, images.created_at, images.operation_uuid, images.layers, images.environment, "
    "images.project, images.used_at";

// kColumns, and then its tag.
Image ToImage(const sqlite::Row& row) {
  Image image;
  image.uuid = row.String(0);
  image.project = row.String(5);
  image.used_at = absl::FromUnixNanos(row.Int(6));
  image.tag = row.IsNull(7) ? "" : row.String(7);
  image.created_at = absl::FromUnixNanos(row.Int(1));
  image.operation_uuid = row.String(2);
  image.layers = ToLayers(row.Text(3));
  const absl::string_view text = row.Text(4);
  const auto environment = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (environment.is_object()) {
    for (const auto& [name, value] : environment.items()) {
      if (value.is_string()) image.environment[name] = value.get<std::string>();
    }
  }
  return image;
}

absl::Status NoImage(absl::string_view reference) {
  return absl::NotFoundError(absl::StrCat("there is no image ", reference));
}

absl::Status RequireImage(sqlite::Connection& connection, const std::string& uuid,
                          const std::string& project) {
  bool is_there = false;
  RETURN_IF_ERROR(connection.Query("SELECT 1 FROM images WHERE uuid = ? AND project IN (?, '*')",
                                   {uuid, project}, [&](const sqlite::Row&) { is_there = true; }));
  return is_there ? absl::OkStatus() : NoImage(uuid);
}

// Takes it from the image that has it.
absl::Status PutTag(sqlite::Connection& connection, const std::string& project,
                    const std::string& tag, const std::string& uuid) {
  return connection
      .Execute(
          "INSERT OR REPLACE INTO tags (project, tag, image_uuid, tagged_at) VALUES (?, ?, ?, ?)",
          {project, tag, uuid, absl::ToUnixNanos(absl::Now())})
      .status();
}

bool IsTagCharacter(char c) {
  return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == ':' || c == '/' || c == '.';
}

}  // namespace

absl::Status ImageStore::InsertImage(sqlite::Connection& connection, const Image& image) {
  nlohmann::json environment = nlohmann::json::object();
  for (const auto& [name, value] : image.environment) environment[name] = value;
  const std::string text =
      environment.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  RETURN_IF_ERROR(
      connection
          .Execute("INSERT INTO images (uuid, created_at, operation_uuid, layers, environment, "
                   "project, used_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                   {image.uuid, absl::ToUnixNanos(image.created_at), image.operation_uuid,
                    LayersAsText(image.layers), text, image.project,
                    absl::ToUnixNanos(image.created_at)})
          .status());
  if (image.tag.empty()) return absl::OkStatus();
  return PutTag(connection, image.project, image.tag, image.uuid);
}

absl::StatusOr<Image> ImageStore::Hold(const std::string& reference, ReadImage read) {
  while (true) {
    const int64_t generation = use_table_.generation();
    std::optional<Image> image;
    RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
      return read(connection, [&](const sqlite::Row& row) { image = ToImage(row); });
    }));
    if (!image.has_value()) return NoImage(reference);
    std::vector<std::string> names = image->layers;
    names.push_back(image->uuid);
    absl::StatusOr<Lease> lease = use_table_.Use(names, generation);
    if (absl::IsAborted(lease.status())) continue;
    if (absl::IsNotFound(lease.status())) return NoImage(reference);
    RETURN_IF_ERROR(lease.status());
    image->lease = *std::move(lease);
    NoteUse(*image);
    return *std::move(image);
  }
}

absl::StatusOr<Image> ImageStore::GetAnybodys(const std::string& uuid) {
  return Hold(uuid, [&](sqlite::Connection& connection, OnImage on_image) {
    return connection.Query(absl::StrCat("SELECT ", kColumns, ", NULL FROM images WHERE uuid = ?"),
                            {uuid}, on_image);
  });
}

void ImageStore::NoteUse(Image& image) {
  const absl::Time now = absl::Now();
  if (now - image.used_at < kUseGrain) return;
  const absl::Status noted = database_->Write([&](sqlite::Connection& connection) {
    return connection
        .Execute("UPDATE images SET used_at = ? WHERE uuid = ?",
                 {absl::ToUnixNanos(now), image.uuid})
        .status();
  });
  // The lease holds it for now; what is lost is an hour or more of its life.
  if (!noted.ok()) LogWarning("cannot note that an image is used", {{"error", noted.ToString()}});
  image.used_at = now;
}

absl::StatusOr<Image> ImageStore::Get(const std::string& uuid, const std::string& project) {
  return Hold(uuid, [&](sqlite::Connection& connection, OnImage on_image) {
    return connection.Query(absl::StrCat(kVisibleTags, "SELECT ", kColumns,
                                         ", (SELECT tag FROM visible WHERE image_uuid = uuid"
                                         " ORDER BY tagged_at DESC, tag LIMIT 1)"
                                         " FROM images WHERE uuid = ? AND project IN (?, '*')"),
                            {project, project, uuid, project}, on_image);
  });
}

absl::StatusOr<Image> ImageStore::Resolve(const std::string& reference,
                                          const std::string& project) {
  if (reference.empty())
    return absl::InvalidArgumentError("an image is required: a UUID or tag:NAME");
  if (!absl::StartsWith(reference, "tag:")) return Get(reference, project);
  const std::string tag = reference.substr(4);
  return Hold(reference, [&](sqlite::Connection& connection, OnImage on_image) {
    return connection.Query(absl::StrCat(kVisibleTags, "SELECT ", kColumns, ", visible.tag",
                                         " FROM visible JOIN images ON images.uuid = image_uuid"
                                         " WHERE visible.tag = ? AND images.project IN (?, '*')"),
                            {project, project, tag, project}, on_image);
  });
}

absl::StatusOr<std::vector<Image>> ImageStore::List(const ImageFilter& filter) {
  std::vector<Image> images;
  RETURN_IF_ERROR(database_->Read([&](sqlite::Connection& connection) {
    return connection.Query(
        absl::StrCat(kVisibleTags, "SELECT ", kColumns, ", visible.tag",
                     " FROM images LEFT JOIN visible ON image_uuid = images.uuid"
                     " WHERE images.project IN (?, '*') AND created_at >= ? AND created_at <= ?"
                     " AND substr(uuid, 1, length(?)) = ? AND (? = 0 OR visible.tag IS NOT NULL)"
                     " AND (? = '' OR substr(visible.tag, 1, length(?)) = ?)"
                     " ORDER BY visible.tag IS NOT ?, created_at DESC, images.rowid DESC,"
                     " visible.tag LIMIT ? OFFSET ?"),
        {filter.project, filter.project, filter.project, absl::ToUnixNanos(filter.since),
         absl::ToUnixNanos(filter.until), filter.uuid_prefix, filter.uuid_prefix,
         int64_t{filter.tagged}, filter.tag_prefix, filter.tag_prefix, filter.tag_prefix,
         filter.tag_prefix, int64_t{filter.limit}, int64_t{filter.offset}},
        [&](const sqlite::Row& row) { images.push_back(ToImage(row)); });
  }));
  return images;
}

absl::StatusOr<Image> ImageStore::SetTag(const std::string& uuid, const std::string& tag,
                                         const std::string& project) {
  if (!IsTag(tag)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", tag, "\" is not a tag: letters, digits, _ and -, with : / . between them, at most ",
        kMaxTagLength, " characters"));
  }
  RETURN_IF_ERROR(database_->Write([&](sqlite::Connection& connection) -> absl::Status {
    RETURN_IF_ERROR(RequireImage(connection, uuid, project));
    return PutTag(connection, project, tag, uuid);
  }));
  return Get(uuid, project);
}

absl::Status ImageStore::RemoveTag(const std::string& uuid, const std::string& tag,
                                   const std::string& project) {
  return database_->Write([&](sqlite::Connection& connection) -> absl::Status {
    RETURN_IF_ERROR(RequireImage(connection, uuid, project));
    ASSIGN_OR_RETURN(
        const int64_t removed,
        connection.Execute(
            "DELETE FROM tags WHERE project = ? AND image_uuid = ? AND (? = '' OR tag = ?)",
            {project, uuid, tag, tag}));
    if (removed > 0 || tag.empty()) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("the image ", uuid, " does not have the tag ", tag, " of yours"));
  });
}

bool IsTagPrefix(absl::string_view prefix) {
  if (prefix.empty() || prefix.size() > kMaxTagLength) return false;
  for (const char c : prefix) {
    if (!IsTagCharacter(c)) return false;
  }
  return absl::ascii_isalnum(prefix.front()) || prefix.front() == '_' || prefix.front() == '-';
}

bool IsTag(absl::string_view tag) {
  return IsTagPrefix(tag) && tag.back() != ':' && tag.back() != '/' && tag.back() != '.';
}

}  // namespace contree
