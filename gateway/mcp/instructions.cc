#include "gateway/mcp/instructions.h"

namespace contree::gateway {

const absl::string_view kInstructions = R"(# ConTree: sandboxes that branch

Commands run in isolated sandboxes made from images. An image is a file system that never changes; a run on it either leaves nothing behind or makes a new image. So every step can be repeated, undone (run on the earlier image again) and tried in several ways at once. Nothing in a sandbox can harm the host or another image, not even as root: experiment freely.

## Always in this order

1. **CHECK**: `list_images` with a `tag_prefix`. What you need may be there already.
2. **PREPARE**, only what is missing: `import_image` for a base, then `run` with `disposable=false`, one step per call, each on the `result_image` of the one before. Then `set_tag` on the last one, so that nobody has to do it again.
3. **EXECUTE**: `run` on `tag:NAME`, with `disposable=true` for everything whose changes you do not need.

## Tags

`{scope}/{purpose}/{base}:{tag}`, for instance `common/python-ml/python:3.11-slim`. The scope is `common` for what is of use everywhere, otherwise the project's name. Every parameter `image` takes a UUID or `tag:NAME`.

## What costs

`run` and `import_image` start a virtual machine; that costs time and money. Everything else is free: look before you run, and use `list_files`, `read_file` and `grep` instead of `ls`, `cat` and `grep` in a run.

## Files

`rsync` brings a directory of the user to the platform and returns a `directory_state_id`, `upload` a single file and returns its uuid; `run` puts them into the sandbox (`directory_state_id`, `files`). `download` brings a file of an image back.

## Several at once

Start with `run` and `wait=false`, then `wait_operations` with all the ids. `mode=any` takes the first that ends and cancels the others. An operation goes on whatever happens to this connection; `list_operations` finds it again, `get_operation` shows its output, `cancel_operation` stops it.

## Reading results

`state` SUCCESS means that the platform ran the command. Whether the command did what you want is said by `exit_code`, `timed_out` and `stderr`. `result_image` is where to go on; `filesystem_changed` false means that it is the image you started from.

## Do not

- import or prepare an image without checking for it first;
- leave a prepared image without a tag;
- chain several commands in one run while preparing: you lose the images in between;
- install with `disposable=true`: the work is thrown away;
- ask `get_operation` again and again: `wait_operations` waits.

## More

`get_guide`, or the resources contree://guide/SECTION: workflow, reference, quickstart, state, async, tagging, errors.
)";

}  // namespace contree::gateway
