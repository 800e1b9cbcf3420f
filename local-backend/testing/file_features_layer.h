#ifndef LOCAL_BACKEND_TESTING_FILE_FEATURES_LAYER_H_
#define LOCAL_BACKEND_TESTING_FILE_FEATURES_LAYER_H_

#include <string>
#include <vector>

namespace contree {

// A layer with the program /features, which tries what programs count on of a file system
// (file_features.cc), and a directory /tried for it. For tests with namespace_test_main.
std::string FileFeaturesLayer();

// The lines of its output that do not say ok, and "N features" where they are not all there.
std::vector<std::string> FailedFeatures(const std::string& output);

}  // namespace contree

#endif  // LOCAL_BACKEND_TESTING_FILE_FEATURES_LAYER_H_
