#ifndef LOCAL_BACKEND_TESTING_TREE_DESCRIPTION_H_
#define LOCAL_BACKEND_TESTING_TREE_DESCRIPTION_H_

#include <string>

namespace contree {

// A line for each file of the tree that the descriptor is open on, by path: everything that a
// command could tell two trees apart by. Kind, mode, owner, device, size, time of modification to
// the nanosecond, target or digest of the content, extended attributes, and which names are the
// same file.
std::string DescribeTree(int directory);

}  // namespace contree

#endif  // LOCAL_BACKEND_TESTING_TREE_DESCRIPTION_H_
