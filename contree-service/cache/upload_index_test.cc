#include "contree-service/cache/upload_index.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace contree {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsNull;
using testing::NotNull;

constexpr int kMany = 100;

std::string Hash(int number) { return absl::StrFormat("%064d", number); }

// A platform's list, the newest first, a second for each upload.
class Platform {
 public:
  void Upload(int count) {
    for (int i = 0; i < count; ++i) {
      UploadedFile file;
      const int number = static_cast<int>(files_.size());
      file.file.set_sha256(Hash(number));
      file.file.set_uuid(absl::StrCat("f", number));
      if (says_when_) {
        file.created_at = absl::FormatTime(
            absl::RFC3339_full, absl::UnixEpoch() + absl::Seconds(number), absl::UTCTimeZone());
      }
      files_.push_back(file);
    }
  }
  void SaysNoTimes() { says_when_ = false; }
  void Fail(bool fails) { fails_ = fails; }

  absl::StatusOr<std::vector<UploadedFile>> List(int offset, absl::string_view since) {
    asked_.push_back(absl::StrCat(offset, since.empty() ? "" : " since"));
    if (fails_) return absl::UnavailableError("down");
    std::vector<UploadedFile> page;
    for (auto file = files_.rbegin() + std::min<size_t>(offset, files_.size());
         file != files_.rend() && page.size() < UploadIndex::kUploadsPerPage; ++file) {
      if (file->created_at >= since) page.push_back(*file);
    }
    return page;
  }
  std::vector<std::string> TakeAsked() { return std::exchange(asked_, {}); }

 private:
  bool says_when_ = true;
  bool fails_ = false;
  std::vector<UploadedFile> files_;
  std::vector<std::string> asked_;
};

class UploadIndexTest : public testing::Test {
 protected:
  void Update(int contents) {
    index_.Update(
        contents,
        [this](int offset, absl::string_view since) { return platform_.List(offset, since); },
        now_);
  }

  Platform platform_;
  UploadIndex index_;
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(24);
};

TEST_F(UploadIndexTest, IsReadOnceAndThenOnlyWhatIsNew) {
  platform_.Upload(2500);
  Update(kMany);
  EXPECT_TRUE(index_.is_whole());
  EXPECT_THAT(platform_.TakeAsked(), ElementsAre("0", "1000", "2000"));
  ASSERT_THAT(index_.Find(Hash(7)), NotNull());
  EXPECT_EQ(index_.Find(Hash(7))->uuid(), "f7");
  EXPECT_THAT(index_.Find(Hash(2500)), IsNull());

  platform_.Upload(30);
  Update(1);  // a single one, too, is answered by that
  EXPECT_TRUE(index_.is_whole());
  EXPECT_THAT(platform_.TakeAsked(), ElementsAre("0 since"));
  EXPECT_THAT(index_.Find(Hash(2529)), NotNull());
  EXPECT_THAT(index_.Find(Hash(7)), NotNull());
}

TEST_F(UploadIndexTest, IsReadAnewAfterAWhile) {
  platform_.Upload(10);
  Update(kMany);
  platform_.TakeAsked();
  now_ += UploadIndex::kMaxAge;
  Update(kMany);
  EXPECT_THAT(platform_.TakeAsked(), ElementsAre("0"));
  EXPECT_TRUE(index_.is_whole());
}

TEST_F(UploadIndexTest, FewContentsAreNotWorthAList) {
  platform_.Upload(10);
  Update(kMany - 1);
  EXPECT_FALSE(index_.is_whole());
  EXPECT_THAT(platform_.TakeAsked(), IsEmpty());
}

TEST_F(UploadIndexTest, ALongListIsReadAsFarAsTheContentsAreWorth) {
  platform_.Upload(20'000);
  Update(kMany);
  EXPECT_FALSE(index_.is_whole());
  EXPECT_EQ(platform_.TakeAsked().size(), UploadIndex::kMaxPages);
  EXPECT_THAT(index_.Find(Hash(19'999)), NotNull());  // what was read answers all the same
  Update(3 * kMany);
  EXPECT_EQ(platform_.TakeAsked().size(), 3u);
  now_ += UploadIndex::kMaxAge;
  Update(kMany);
  EXPECT_EQ(platform_.TakeAsked().size(), UploadIndex::kMaxPages);
}

TEST_F(UploadIndexTest, WithoutTimesNothingIsKept) {
  platform_.SaysNoTimes();
  platform_.Upload(10);
  Update(kMany);
  EXPECT_TRUE(index_.is_whole());
  platform_.TakeAsked();
  Update(kMany);
  EXPECT_THAT(platform_.TakeAsked(), ElementsAre("0"));
  Update(1);
  EXPECT_FALSE(index_.is_whole());
}

TEST_F(UploadIndexTest, AListThatCannotBeReadAnswersNothing) {
  platform_.Upload(10);
  Update(kMany);
  platform_.Fail(true);
  Update(kMany);
  EXPECT_FALSE(index_.is_whole());
  EXPECT_THAT(index_.Find(Hash(0)), IsNull());
  platform_.Fail(false);
  Update(kMany);
  EXPECT_TRUE(index_.is_whole());
}

TEST_F(UploadIndexTest, AnEmptyPlatformHasNothing) {
  Update(kMany);
  EXPECT_TRUE(index_.is_whole());
  platform_.Upload(1);
  Update(kMany);
  EXPECT_THAT(index_.Find(Hash(0)), NotNull());
}

}  // namespace
}  // namespace contree
