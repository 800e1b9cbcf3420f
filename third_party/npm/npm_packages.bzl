"""A repository that holds what one package-lock.json names, as `npm ci` installs it.

The one place where building needs more than Debian's packages. Scripts of packages do not run. The lock file has the hash of each package and no
address, so that it serves with whatever registry npm is set up for.
"""

_BUILD = """\
package(default_visibility = ["//visibility:public"])

filegroup(
    name = "node_modules",
    srcs = glob(["node_modules/**"], exclude = ["node_modules/.bin/**", "**/* *", "**/BUILD", "**/BUILD.bazel"]),
)
exports_files({programs})
"""

def _npm_packages_impl(ctx):
    npm = ctx.which("npm")
    if npm == None:
        fail("@{}: there is no npm. Run: apt-get install nodejs npm (script/build and script/test do so)".format(ctx.name))
    for label in [ctx.attr.package, ctx.attr.lock]:
        ctx.file(label.name.rpartition("/")[2], ctx.read(ctx.path(label)), executable = False)
    answer = ctx.execute([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], timeout = 600)
    if answer.return_code:
        fail("@{}: npm ci failed:\n{}{}".format(ctx.name, answer.stdout, answer.stderr))

    # The name of a native program's package has the platform in it.
    for name, pattern in ctx.attr.native_programs.items():
        found = ctx.execute(["sh", "-c", "ls node_modules/" + pattern])
        if found.return_code:
            fail("@{}: no {} for this platform: {}".format(ctx.name, name, found.stderr))
        ctx.symlink(found.stdout.strip().split("\n")[0], name)
    ctx.file("BUILD.bazel", _BUILD.format(programs = repr(ctx.attr.native_programs.keys())))

npm_packages = repository_rule(
    implementation = _npm_packages_impl,
    attrs = {
        "lock": attr.label(mandatory = True, allow_single_file = True, doc = "package-lock.json"),
        "native_programs": attr.string_dict(doc = "Label → path of the program below node_modules, with * for the platform."),
        "package": attr.label(mandatory = True, allow_single_file = True, doc = "package.json"),
    },
)
