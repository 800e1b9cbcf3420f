#ifndef LOCAL_BACKEND_IMAGES_REMOVE_TREE_H_
#define LOCAL_BACKEND_IMAGES_REMOVE_TREE_H_

// Removes what commands have written, whatever its shape: with a bounded number of descriptors and
// a bounded stack, however deep its directories are and however many files one of them has.

#include <string>

#include "absl/status/status.h"

namespace contree {

// Removes the directory and all below it; links are not followed. OK where there is nothing.
// The first error of the system, after everything else was removed.
absl::Status RemoveTree(const std::string& path);

}  // namespace contree

#endif  // LOCAL_BACKEND_IMAGES_REMOVE_TREE_H_
