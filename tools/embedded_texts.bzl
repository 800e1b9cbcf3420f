"""Text files as constants of a C++ library."""

load("@rules_cc//cc:defs.bzl", "cc_library")

def cc_embedded_texts(name, srcs, namespace, **kwargs):
    """A library whose header NAME.h declares an absl::string_view for each file: index.css is index_css.

    Args:
      name: of the library; the header has it too.
      srcs: the files; none may hold `)contree_text"`.
      namespace: of the constants, such as contree::gateway::texts.
      **kwargs: what every rule takes, such as visibility.
    """
    for part, out in [("header", name + ".h"), ("source", name + ".cc")]:
        native.genrule(
            name = name + "_" + part,
            srcs = srcs,
            outs = [out],
            cmd = "$(location //tools:embed_texts.sh) {} {} $(SRCS) > $@".format(part, namespace),
            tools = ["//tools:embed_texts.sh"],
        )
    cc_library(
        name = name,
        srcs = [name + ".cc"],
        hdrs = [name + ".h"],
        deps = ["@com_google_absl//absl/strings"],
        **kwargs
    )
