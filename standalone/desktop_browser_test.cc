#include "standalone/desktop_browser.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "common/testing/temp_directory.h"
#include "gtest/gtest.h"

namespace contree::standalone {
namespace {

class DesktopBrowserTest : public testing::Test {
 protected:
  // An xdg-open that writes its argument into a named pipe.
  void SetUp() override {
    ASSERT_EQ(mkfifo(directory_.File("opened").c_str(), 0600), 0);
    std::ofstream(directory_.File("xdg-open"))
        << "#!/bin/sh\necho \"$1\" > " << directory_.File("opened") << "\n";
    std::filesystem::permissions(directory_.File("xdg-open"), std::filesystem::perms::owner_all);
    setenv("PATH", (directory_.path() + ":/usr/bin:/bin").c_str(), 1);
    setenv("DISPLAY", ":0", 1);
    unsetenv("WAYLAND_DISPLAY");
  }

  TempDirectory directory_;
};

TEST_F(DesktopBrowserTest, OpensAPageOnADesktop) {
  ASSERT_TRUE(OpenInDesktopBrowser("https://hub.example/settings"));
  std::ifstream opened(directory_.File("opened"));
  EXPECT_EQ(std::string((std::istreambuf_iterator<char>(opened)), {}),
            "https://hub.example/settings\n");
}

TEST_F(DesktopBrowserTest, DoesNothingWithoutADesktopAHelperOrAnHttpsPage) {
  EXPECT_FALSE(OpenInDesktopBrowser("file:///etc/passwd"));
  EXPECT_FALSE(OpenInDesktopBrowser("-h"));
  setenv("PATH", "/nonexistent", 1);
  EXPECT_FALSE(OpenInDesktopBrowser("https://hub.example/"));
  unsetenv("DISPLAY");
  EXPECT_FALSE(OpenInDesktopBrowser("https://hub.example/"));
}

}  // namespace
}  // namespace contree::standalone
