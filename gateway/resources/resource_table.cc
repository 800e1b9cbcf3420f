#include "gateway/resources/resource_table.h"

namespace contree::gateway {

// Each is defined in the file of its name.
std::vector<Resource> GuideResources();
ResourceTemplate ImageFileTemplate();
ResourceTemplate ImageDirectoryTemplate();
ResourceTemplate ImageLineageTemplate();
ResourceTemplate InstanceOperationTemplate();
ResourceTemplate ImportOperationTemplate();
ResourceTemplate GuideTemplate();

std::vector<Resource> ResourceTable() { return GuideResources(); }

std::vector<ResourceTemplate> ResourceTemplateTable() {
  return {
      ImageFileTemplate(),         ImageDirectoryTemplate(),  ImageLineageTemplate(),
      InstanceOperationTemplate(), ImportOperationTemplate(), GuideTemplate(),
  };
}

}  // namespace contree::gateway
