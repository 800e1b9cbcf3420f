#ifndef STANDALONE_DESKTOP_BROWSER_H_
#define STANDALONE_DESKTOP_BROWSER_H_

#include <string>

namespace contree::standalone {

// Shows the person at this desktop an https page in their browser, through xdg-open; returns at
// once. False: there is no desktop (neither DISPLAY nor WAYLAND_DISPLAY), no xdg-open, or the URL
// is of another kind. Thread-safe.
bool OpenInDesktopBrowser(const std::string& url);

}  // namespace contree::standalone

#endif  // STANDALONE_DESKTOP_BROWSER_H_
