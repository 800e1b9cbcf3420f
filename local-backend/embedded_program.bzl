"""Programs that other programs carry inside them."""

# Where sandboxes hold nothing of ours: no exceptions, no type information, nothing that is not called.
SMALL = ["-Os", "-fno-exceptions", "-fno-rtti", "-ffunction-sections"]

STATIC = ["-static", "-Wl,--gc-sections"]

def embedded_program(name, srcs, hdrs = [], libraries = [], copts = SMALL, linkopts = STATIC, testonly = False):
    """Makes the object NAME.o with the symbols _binary_NAME_start and _binary_NAME_end around a program.

    A genrule of its own, as the program runs where no sanitizer's runtime does. It sees no library of ours but what is
    named here.

    Args:
      name: of the target and the program.
      srcs: C++ files.
      hdrs: what they include of ours.
      libraries: targets that linkopts name libraries of, by -l.
      copts: for the compiler.
      linkopts: for the linker.
      testonly: as everywhere.
    """
    native.genrule(
        name = name,
        testonly = testonly,
        srcs = srcs + hdrs + libraries,
        outs = [name + ".o"],
        cmd = """
            set -e
            $(CC) -x c++ -std=c++20 -Wall -Wextra -Werror {copts} -I. {srcs} {linkopts} -s -o $(@D)/{name}
            out=$$PWD/$@
            cd $(@D)
            ld -r -b binary -z noexecstack {name} -o $$out
            rm {name}
        """.format(
            name = name,
            srcs = " ".join(["$(location %s)" % source for source in srcs]),
            copts = " ".join(copts),
            linkopts = " ".join(linkopts),
        ),
        toolchains = ["@bazel_tools//tools/cpp:current_cc_toolchain"],
    )
