"""Tests in JavaScript that use the packages of package.json, run by their Node.js."""

load("@npm_clients//:path.bzl", "NPM_CLIENTS")

def node_test(name, src, modules = [], data = [], **kwargs):
    """A file for Node's own test runner.

    Args:
      name: the target's.
      src: the file, an ES module.
      modules: files that it imports from its own directory; programs.mjs always is one.
      data: what else it needs, such as programs that it starts.
      **kwargs: as for every test.
    """
    modules = [src, "//tests/npm:programs.mjs"] + modules
    native.sh_test(
        name = name,
        srcs = ["//tests/npm:node_test.sh"],
        args = [NPM_CLIENTS] + ["$(rootpath {})".format(module) for module in modules],
        data = data + modules,
        **kwargs
    )
