"""Where the npm packages lie that tests drive the gateway with."""

def _npm_clients(ctx):
    # Read, so that another lock file is another directory.
    for label in ["//tests/npm:package.json", "//tests/npm:package-lock.json"]:
        ctx.path(Label(label))
    answer = ctx.execute(["bash", ctx.path(Label("//script:npm_clients")), "path"])
    if answer.return_code:
        fail("script/npm_clients: " + answer.stderr)
    ctx.file("BUILD.bazel", "")
    ctx.file("path.bzl", "NPM_CLIENTS = {}\n".format(repr(answer.stdout.strip())))

# @npm_clients//:path.bzl has NPM_CLIENTS, the directory into which script/npm_clients installs. Nothing is installed
# here, and nothing but the path is known: a test that does not find it says so and fails.
npm_clients = repository_rule(
    implementation = _npm_clients,
    environ = ["HOME", "XDG_CACHE_HOME"],
    local = True,
)
