#include "common/limits/tenant_limits.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status/status_macros.h"

namespace contree {
namespace {

using nlohmann::json;

constexpr size_t kMaxFileBytes = 4 << 20;
constexpr double kSecondsPerDay = 24 * 60 * 60;
// Of tenants of which something is remembered; beyond it those that used nothing lately are
// forgotten.
constexpr size_t kMaxUses = 10'000;

absl::Status ReadLimits(const std::string& whose, const json& object, Limits& limits) {
  if (!object.is_object())
    return absl::InvalidArgumentError(absl::StrCat("the limits of ", whose, " are no object"));
  for (const auto& [name, value] : object.items()) {
    if (!value.is_number() || !(value.get<double>() > 0) || value.get<double>() > 1e18) {
      return absl::InvalidArgumentError(
          absl::StrCat("the limits of ", whose, ": ", name,
                       " must be a number above 0; leave it out where there is no limit"));
    }
    const double number = value.get<double>();
    if (name == "requests_per_second") {
      limits.requests_per_second = number;
    } else if (name == "concurrent_operations" && number >= 1) {
      limits.concurrent_operations = static_cast<int64_t>(number);
    } else if (name == "upload_bytes_per_day") {
      limits.upload_bytes_per_day = number;
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("the limits of ", whose, ": ", name,
                       " is none of requests_per_second, concurrent_operations (at least 1) and "
                       "upload_bytes_per_day"));
    }
  }
  return absl::OkStatus();
}

std::string InSeconds(absl::Duration wait) {
  return absl::StrCat(static_cast<int64_t>(std::ceil(absl::ToDoubleSeconds(wait))), " s");
}

}  // namespace

absl::StatusOr<std::unique_ptr<TenantLimits>> TenantLimits::Open(const std::string& file,
                                                                 Clock* clock) {
  auto limits = std::make_unique<TenantLimits>(clock);
  ASSIGN_OR_RETURN(
      limits->file_,
      ReloadedFile::Open(file, kMaxFileBytes, [limits = limits.get()](const std::string& content) {
        return limits->Load(content);
      }));
  return limits;
}

absl::Status TenantLimits::Load(absl::string_view text) {
  const json document = json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!document.is_object())
    return absl::InvalidArgumentError("the limits must be a JSON object of default and tenants");
  Limits everybodys;
  std::map<std::string, Limits, std::less<>> tenants;
  for (const auto& [name, value] : document.items()) {
    if (name != "default" && name != "tenants")
      return absl::InvalidArgumentError(absl::StrCat(name, " is none of default and tenants"));
  }
  if (document.contains("default"))
    RETURN_IF_ERROR(ReadLimits("default", document["default"], everybodys));
  if (document.contains("tenants")) {
    if (!document["tenants"].is_object())
      return absl::InvalidArgumentError("tenants must be an object: limits by the tenant's name");
    for (const auto& [name, value] : document["tenants"].items()) {
      Limits own = everybodys;
      RETURN_IF_ERROR(ReadLimits(name, value, own));
      tenants[name] = own;
    }
  }
  const absl::MutexLock lock(&mutex_);
  default_ = everybodys;
  tenants_ = std::move(tenants);
  return absl::OkStatus();
}

const Limits& TenantLimits::LimitsOf(absl::string_view tenant) const {
  const auto own = tenants_.find(tenant);
  return own == tenants_.end() ? default_ : own->second;
}

TenantLimits::Use& TenantLimits::UseOf(absl::string_view tenant) {
  if (uses_.size() >= kMaxUses && !uses_.contains(tenant)) {
    const absl::Time now = clock_->Now();
    for (auto use = uses_.begin(); use != uses_.end();) {
      // A second brings all requests back, a day all bytes.
      const bool is_whole = use->second.starting == 0 &&
                            use->second.requests.as_of + absl::Seconds(1) < now &&
                            use->second.upload_bytes.as_of + absl::Hours(24) < now;
      if (is_whole) {
        uses_.erase(use++);
      } else {
        ++use;
      }
    }
  }
  return uses_[tenant];
}

absl::Duration TenantLimits::Take(Bucket& bucket, double amount, double per_second,
                                  double capacity) {
  const absl::Time now = clock_->Now();
  if (bucket.as_of == absl::InfinitePast()) {
    bucket.left = capacity;
  } else {
    const double seconds = std::max(0.0, absl::ToDoubleSeconds(now - bucket.as_of));
    bucket.left = std::min(capacity, bucket.left + seconds * per_second);
  }
  bucket.as_of = now;
  // A bucket that comes back just in time must not miss by a rounding.
  if (bucket.left + 1e-6 >= amount) {
    bucket.left -= amount;
    return absl::ZeroDuration();
  }
  return absl::Seconds((amount - bucket.left) / per_second);
}

absl::Duration TenantLimits::TakeRequest(absl::string_view tenant) {
  const absl::MutexLock lock(&mutex_);
  const double limit = LimitsOf(tenant).requests_per_second;
  if (std::isinf(limit)) return absl::ZeroDuration();
  return Take(UseOf(tenant).requests, 1, limit, std::max(1.0, limit));
}

absl::Status TenantLimits::TooManyRequests(absl::Duration wait) {
  return absl::ResourceExhaustedError(absl::StrCat(
      "more requests than this tenant may make in a second; try again in ", InSeconds(wait)));
}

absl::Status TenantLimits::TakeUploadBytes(absl::string_view tenant, int64_t bytes) {
  const absl::MutexLock lock(&mutex_);
  const double limit = LimitsOf(tenant).upload_bytes_per_day;
  if (std::isinf(limit)) return absl::OkStatus();
  const absl::Duration wait =
      Take(UseOf(tenant).upload_bytes, static_cast<double>(bytes), limit / kSecondsPerDay, limit);
  if (wait == absl::ZeroDuration()) return absl::OkStatus();
  if (static_cast<double>(bytes) > limit) {
    return absl::ResourceExhaustedError(
        absl::StrCat(bytes, " bytes are more than this tenant may upload in a day"));
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      "more bytes than this tenant may upload in a day; try again in ", InSeconds(wait)));
}

absl::StatusOr<std::unique_ptr<TenantLimits::Place>> TenantLimits::TakeOperation(
    absl::string_view tenant, absl::FunctionRef<int64_t()> count_running) {
  const absl::MutexLock lock(&mutex_);
  const int64_t limit = LimitsOf(tenant).concurrent_operations;
  Use& use = UseOf(tenant);
  if (limit != std::numeric_limits<int64_t>::max() && count_running() + use.starting >= limit) {
    return absl::ResourceExhaustedError(
        absl::StrCat("this tenant may run ", limit,
                     " operations at once, and has as many: wait for one of them, or cancel it"));
  }
  ++use.starting;
  return std::unique_ptr<Place>(new Place(this, tenant));
}

TenantLimits::Place::~Place() {
  const absl::MutexLock lock(&limits_->mutex_);
  --limits_->UseOf(tenant_).starting;
}

}  // namespace contree
