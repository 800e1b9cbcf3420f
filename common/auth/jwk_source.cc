#include "common/auth/jwk_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/http/base_url.h"
#include "common/http/httplib_http_client.h"
#include "common/server/listen_address.h"
#include "common/status/status_macros.h"
#include "common/telemetry/logging.h"

namespace contree {
namespace {

constexpr size_t kMaxSetBytes = 256 << 10;
constexpr absl::Duration kFetchTimeout = absl::Seconds(10);
// After a fetch that failed.
constexpr absl::Duration kRetryEvery = absl::Seconds(15);

}  // namespace

absl::StatusOr<std::unique_ptr<JwkFile>> JwkFile::Open(const std::string& path) {
  std::unique_ptr<JwkFile> source(new JwkFile());
  ASSIGN_OR_RETURN(
      source->file_,
      ReloadedFile::Open(path, kMaxSetBytes, [source = source.get()](const std::string& text) {
        ASSIGN_OR_RETURN(JwkSet keys, ParseJsonWebKeys(text));
        const absl::MutexLock lock(&source->mutex_);
        source->keys_ = std::make_shared<const JwkSet>(std::move(keys));
        return absl::OkStatus();
      }));
  return source;
}

std::shared_ptr<const JwkSet> JwkFile::Keys() {
  const absl::MutexLock lock(&mutex_);
  return keys_;
}

class JwkUrl::Fetcher {
 public:
  static absl::StatusOr<std::unique_ptr<Fetcher>> Create(const JwkUrlOptions& options) {
    ASSIGN_OR_RETURN(const BaseUrl url, ParseBaseUrl(options.url));
    if (!url.is_tls && !IsLoopback(url.host)) {
      return absl::InvalidArgumentError(
          absl::StrCat(options.url, ": keys are fetched with https only (http on loopback)"));
    }
    HttplibHttpClientOptions client;
    client.base_url = url.origin;
    client.ca_file = options.ca_file;
    ASSIGN_OR_RETURN(std::unique_ptr<HttplibHttpClient> http, HttplibHttpClient::Create(client));
    return std::unique_ptr<Fetcher>(
        new Fetcher(std::move(http), url.prefix.empty() ? "/" : url.prefix));
  }

  absl::StatusOr<std::string> Fetch(const std::stop_token& stop) {
    CallContext context = NewCallContext(kFetchTimeout);
    context.stop = stop;
    HttpRequest request;
    request.target = path_;
    request.headers = {{"Accept", "application/jwk-set+json, application/json"}};
    ASSIGN_OR_RETURN(HttpResponse response, SendHttp(*http_, request, context, kMaxSetBytes));
    if (response.status != 200) {
      return absl::UnavailableError(absl::StrCat("it was answered with HTTP ", response.status));
    }
    return std::move(response.body);
  }

 private:
  Fetcher(std::unique_ptr<HttpClient> http, std::string path)
      : http_(std::move(http)), path_(std::move(path)) {}

  const std::unique_ptr<HttpClient> http_;
  const std::string path_;
};

absl::StatusOr<std::unique_ptr<JwkUrl>> JwkUrl::Open(const JwkUrlOptions& options, Clock* clock) {
  ASSIGN_OR_RETURN(std::unique_ptr<Fetcher> fetcher, Fetcher::Create(options));
  return std::unique_ptr<JwkUrl>(new JwkUrl(options, clock, std::move(fetcher)));
}

JwkUrl::JwkUrl(const JwkUrlOptions& options, Clock* clock, std::unique_ptr<Fetcher> fetcher)
    : options_(options), clock_(clock), fetcher_(std::move(fetcher)) {
  Fetch(std::stop_token());
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
}

JwkUrl::~JwkUrl() {
  thread_.request_stop();
  {
    const absl::MutexLock lock(&mutex_);
    asked_ = true;  // wakes the thread
  }
  thread_.join();
}

std::shared_ptr<const JwkSet> JwkUrl::Keys() {
  const absl::MutexLock lock(&mutex_);
  return keys_;
}

void JwkUrl::AskForNewer() {
  const absl::Time now = clock_->Now();
  const absl::MutexLock lock(&mutex_);
  if (now - asked_at_ < options_.ask_at_most_every) return;
  asked_at_ = now;
  asked_ = true;
}

void JwkUrl::Fetch(const std::stop_token& stop) {
  const absl::StatusOr<std::string> content = fetcher_->Fetch(stop);
  absl::Status status = content.status();
  bool is_new = false;
  if (status.ok()) {
    const absl::MutexLock lock(&mutex_);
    is_new = content_ != *content;
  }
  if (is_new) {
    absl::StatusOr<JwkSet> keys = ParseJsonWebKeys(*content);
    status = keys.status();
    if (keys.ok()) {
      const absl::MutexLock lock(&mutex_);
      keys_ = std::make_shared<const JwkSet>(*std::move(keys));
      content_ = *content;
    }
  }
  bool had_failed = false;
  {
    const absl::MutexLock lock(&mutex_);
    had_failed = std::exchange(failed_, !status.ok());
  }
  if (!status.ok() && !had_failed && !stop.stop_requested()) {
    LogError("the keys of the token issuer cannot be fetched; those of before hold",
             {{"url", options_.url}, {"error", std::string(status.message())}});
  }
}

void JwkUrl::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    {
      const absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(&asked_),
                              failed_ ? kRetryEvery : options_.refresh_every);
      asked_ = false;
    }
    if (!stop.stop_requested()) Fetch(stop);
  }
}

}  // namespace contree
