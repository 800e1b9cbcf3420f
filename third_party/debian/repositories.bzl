"""What this project takes from Debian 12, under the Bazel Central Registry's labels."""

load(":debian_library.bzl", "debian_library", "native_rules")

def debian_repositories():
    """Declares every external repository. With MODULE.bazel, none of this is read."""

    native_rules(
        name = "rules_cc",
        files = {"cc/defs.bzl": [
            "cc_binary",
            "cc_import",
            "cc_library",
            "cc_test",
            "cc_toolchain",
            "cc_toolchain_suite",
        ]},
    )
    native_rules(
        # Bazel's own tools load it, though nothing here is written in Java.
        name = "rules_java",
        files = {"java/defs.bzl": [
            "java_import",
            "java_runtime",
            "java_toolchain",
        ]},
    )
    debian_library(
        name = "com_google_absl",
        apt = "libabsl-dev",
        libraries = {
            "absl/base:core_headers": ["absl_core_headers"],
            "absl/cleanup:cleanup": ["absl_cleanup"],
            "absl/container:flat_hash_map": ["absl_flat_hash_map"],
            "absl/container:flat_hash_set": ["absl_flat_hash_set"],
            "absl/container:node_hash_map": ["absl_node_hash_map"],
            "absl/debugging:failure_signal_handler": ["absl_failure_signal_handler"],
            "absl/debugging:symbolize": ["absl_symbolize"],
            "absl/flags:flag": ["absl_flags"],
            "absl/flags:parse": ["absl_flags_parse"],
            "absl/flags:usage": ["absl_flags_usage"],
            "absl/functional:any_invocable": ["absl_any_invocable"],
            "absl/functional:function_ref": ["absl_function_ref"],
            "absl/hash:hash": ["absl_hash"],
            "absl/random:random": ["absl_random_random"],
            "absl/status:status": ["absl_status"],
            "absl/status:statusor": ["absl_statusor"],
            "absl/strings:str_format": ["absl_str_format"],
            "absl/strings:strings": ["absl_strings"],
            "absl/synchronization:synchronization": ["absl_synchronization"],
            "absl/time:time": ["absl_time"],
            "absl/types:optional": ["absl_optional"],
            "absl/types:span": ["absl_span"],
        },
    )
    debian_library(
        name = "md4c",
        apt = "libmd4c-dev libmd4c-html0-dev",
        libraries = {"md4c-html": ["md4c-html"]},
    )
    debian_library(
        name = "cli11",
        apt = "libcli11-dev",
        libraries = {"cli11": ["CLI11"]},
    )
    debian_library(
        name = "com_google_googletest",
        apt = "libgmock-dev libgtest-dev",
        libraries = {
            "gtest": ["gmock"],
            "gtest_main": ["gmock_main"],
        },
    )
    debian_library(
        name = "com_google_protobuf",
        apt = "libprotobuf-dev protobuf-compiler",
        libraries = {"protobuf": ["protobuf"]},
        # Without the headers beside them: those are found below /usr/include, and a compiler that sees all (there are builders without
        # sandboxes) would find them here, undeclared.
        links = ["google/protobuf/{}.proto".format(name) for name in [
            "any",
            "api",
            "duration",
            "empty",
            "field_mask",
            "source_context",
            "struct",
            "timestamp",
            "type",
            "wrappers",
        ]],
        overlays = {
            "//third_party/debian:protobuf.BUILD.bazel": "BUILD.bazel",
        },
        native_rules = {
            "bazel/cc_proto_library.bzl": ["cc_proto_library"],
            "bazel/proto_library.bzl": ["proto_library"],
        },
        tools = {"protoc": "protoc"},
    )
    debian_library(
        name = "cpp-httplib",
        apt = "libcpp-httplib-dev libbrotli-dev",
        libraries = {"httplib": ["cpp-httplib", "openssl"]},
    )
    debian_library(
        name = "google_benchmark",
        apt = "libbenchmark-dev",
        libraries = {"benchmark": ["benchmark"]},
    )
    debian_library(
        name = "grpc",
        apt = "libgrpc++-dev protobuf-compiler-grpc",
        libraries = {"grpc++": ["grpc++"]},
        overlays = {
            "//third_party/debian:grpc.BUILD.bazel": "BUILD.bazel",
            "//third_party/debian:cc_grpc_library.bzl": "bazel/cc_grpc_library.bzl",
        },
        tools = {"src/compiler:grpc_cpp_plugin": "grpc_cpp_plugin"},
    )
    debian_library(
        name = "nlohmann_json",
        apt = "nlohmann-json3-dev",
        libraries = {"json": ["nlohmann_json"]},
    )
    debian_library(
        name = "openssl",
        apt = "libssl-dev",
        libraries = {
            "crypto": ["libcrypto"],
            "ssl": ["libssl"],
        },
    )
    debian_library(
        name = "prometheus-cpp",
        apt = "prometheus-cpp-dev",
        libraries = {"core": ["prometheus-cpp-core"]},
    )
    debian_library(
        name = "com_googlesource_code_re2",
        apt = "libre2-dev",
        libraries = {"re2": ["re2"]},
    )
    debian_library(
        name = "libarchive",
        apt = "libarchive-dev",
        libraries = {"archive": ["libarchive"]},
    )
    debian_library(
        name = "libseccomp",
        apt = "libseccomp-dev",
        libraries = {"seccomp": ["libseccomp"]},
    )
    debian_library(
        name = "libslirp",
        apt = "libslirp-dev",
        libraries = {"slirp": ["-lslirp"]},
    )
    debian_library(
        name = "spdlog",
        apt = "libspdlog-dev",
        libraries = {"spdlog": ["spdlog"]},
    )
    debian_library(
        # Debian ships it as an archive without a pkg-config file.
        name = "sqlitecpp",
        apt = "libsqlitecpp-dev libsqlite3-dev",
        libraries = {"sqlitecpp": ["-lSQLiteCpp", "-lsqlite3"]},
    )
    debian_library(
        # Headers only.
        name = "valijson",
        apt = "libvalijson-dev",
        libraries = {"valijson": []},
    )
    debian_library(
        name = "zlib",
        apt = "zlib1g-dev",
        libraries = {"zlib": ["zlib"]},
    )
