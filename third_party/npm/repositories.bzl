"""What this project builds with from npm. (What tests drive it with is in tests/npm.)"""

load(":npm_packages.bzl", "npm_packages")

def npm_repositories():
    """Declares them; each is fetched when something that is built needs it."""
    npm_packages(
        name = "npm_web",
        package = "//gateway/web:package.json",
        lock = "//gateway/web:package-lock.json",
        native_programs = {
            "esbuild": "@esbuild/*/bin/esbuild",
            "tsc": "@typescript/*/lib/tsc",
        },
    )
