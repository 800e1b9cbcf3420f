"""Repository rules over what apt has installed; nothing is downloaded."""

_PREAMBLE = """\
load("@rules_cc//cc:defs.bzl", "cc_library")

package(default_visibility = ["//visibility:public"])
"""

_LIBRARY = """
cc_library(
    name = "{name}",
    defines = {defines},
    linkopts = {linkopts},
)
"""

_TOOL = """
exports_files(["{name}"])
"""

_NATIVE = """\
def {name}(**kwargs):
    native.{name}(**kwargs)
"""

def _native(rules):
    return "\n".join([_NATIVE.format(name = rule) for rule in rules])

def _split(label):
    """"absl/strings:strings" -> ("absl/strings/", "strings"); "ssl" -> ("", "ssl")."""
    package, _, name = label.rpartition(":")
    return (package + "/" if package else "", name)

def _fail(ctx, why):
    fail("@{}: {}\nRun: apt-get install {}".format(ctx.name, why, ctx.attr.apt))

def _pkg_config(ctx, flag, modules):
    answer = ctx.execute(["pkg-config", flag] + modules)
    if answer.return_code:
        _fail(ctx, answer.stderr)
    return [word for word in answer.stdout.strip().split(" ") if word]

def _debian_library_impl(ctx):
    packages = {}
    for label, modules in ctx.attr.libraries.items():
        package, name = _split(label)
        flags = [word for word in modules if word.startswith("-")]
        modules = [word for word in modules if not word.startswith("-")]
        defines = _pkg_config(ctx, "--cflags-only-other", modules) if modules else []
        packages.setdefault(package, []).append(_LIBRARY.format(
            name = name,
            defines = [word[2:] for word in defines if word.startswith("-D")],
            linkopts = ["-Wl,--as-needed"] + flags + (_pkg_config(ctx, "--libs", modules) if modules else []),
        ))
    for label, program in ctx.attr.tools.items():
        package, name = _split(label)
        path = ctx.which(program)
        if not path:
            _fail(ctx, program + " is not on the PATH")
        ctx.symlink(path, package + name)
        packages.setdefault(package, []).append(_TOOL.format(name = name))
    for path, rules in ctx.attr.native_rules.items():
        packages.setdefault(path.rpartition("/")[0] + "/", [])
        ctx.file(path, _native(rules))
    for path in ctx.attr.links:
        ctx.symlink("/usr/include/" + path, path)
    for file, path in ctx.attr.overlays.items():
        package = path.rpartition("/")[0]
        package = package + "/" if package else ""
        if path.endswith("BUILD.bazel"):
            packages.setdefault(package, []).append("\n" + ctx.read(file))
        else:
            packages.setdefault(package, [])
            ctx.symlink(file, path)
    for package, rules in packages.items():
        ctx.file(package + "BUILD.bazel", _PREAMBLE + "".join(rules))

debian_library = repository_rule(
    implementation = _debian_library_impl,
    doc = "A repository of cc_library targets that link what a -dev package installed.",
    attrs = {
        "apt": attr.string(mandatory = True, doc = "The packages to install where one is missing."),
        "libraries": attr.string_list_dict(doc = "package:target -> its pkg-config modules; a word with a dash is a linker's flag, none means headers only."),
        "tools": attr.string_dict(doc = "package:target -> the program of that name on the PATH."),
        "links": attr.string_list(doc = "Paths under /usr/include to show at the same path here."),
        "native_rules": attr.string_list_dict(doc = "A .bzl file's path -> Bazel's own rules it offers."),
        "overlays": attr.label_keyed_string_dict(
            allow_files = True,
            doc = "A file of ours -> its path here; a BUILD.bazel is appended to the generated one.",
        ),
    },
    configure = True,
    local = True,
    environ = ["PATH", "PKG_CONFIG_PATH"],
)

def _native_rules_impl(ctx):
    for path, rules in ctx.attr.files.items():
        ctx.file(path.rpartition("/")[0] + "/BUILD.bazel")
        ctx.file(path, _native(rules))

native_rules = repository_rule(
    implementation = _native_rules_impl,
    doc = "Rules that Bazel 4 has built in, under the address they have since moved to.",
    attrs = {"files": attr.string_list_dict(doc = "A .bzl file's path -> the rules it offers.")},
)
