"""Front-end code: bundled for the browser, and checked."""

def esbuild_bundle(name, entry, srcs, out):
    """One minified ES module.

    Args:
      name: of the target.
      entry: the file that begins it.
      srcs: all files of ours that go into it.
      out: the file that is made.
    """
    native.genrule(
        name = name,
        srcs = srcs + ["@npm_web//:node_modules"],
        outs = [out],
        cmd = " ".join([
            "NODE_PATH=external/npm_web/node_modules",
            "$(location @npm_web//:esbuild) $(location {})".format(entry),
            "--bundle --minify --format=esm --target=es2022 --charset=utf8 --legal-comments=none --log-level=warning",
            "--jsx=automatic --jsx-import-source=preact --outfile=$@",
        ]),
        tools = ["@npm_web//:esbuild"],
    )

def tsc_test(name, srcs, config):
    """A test that the types fit."""
    native.sh_test(
        name = name,
        srcs = ["//third_party/npm:tsc_test.sh"],
        args = ["$(location @npm_web//:tsc)", "$(location {})".format(config)],
        data = srcs + [config, "@npm_web//:node_modules", "@npm_web//:tsc"],
    )
