# One image for each program:
#   docker build --target gateway -t contree/gateway .
# Targets: gateway, contree-service, sync-service, auth-service, local-backend.
#
# By default everything is compiled inside, which takes the better part of an hour on two cores. With --build-arg PROGRAMS=prebuilt
# the programs of `script/build` and the libraries of `script/libraries` are taken from dist/, which must come from the release of
# Debian that DEBIAN names: on Debian 12 --build-arg DEBIAN=debian:bookworm-slim.
#
# With SOURCE_DATE_EPOCH the same sources, base and packages make the same image, byte for byte: docs/operations.md.
ARG DEBIAN=debian:trixie-slim
ARG PROGRAMS=compiled

FROM ${DEBIAN} AS compiled
WORKDIR /src
COPY . .
# A slim Debian has no directory for the manual pages that Java's packages link.
RUN mkdir -p /usr/share/man/man1 && script/build && script/libraries && mv dist /dist

FROM ${DEBIAN} AS prebuilt
COPY dist/bin /dist/bin
COPY dist/lib /dist/lib

FROM ${PROGRAMS} AS programs

# What all images have: certificates of the web's authorities, and somebody who is not root.
FROM ${DEBIAN} AS runtime
# Named, so that commands here have it: an account says on which day its password was set.
ARG SOURCE_DATE_EPOCH
RUN if [ ! -s /etc/ssl/certs/ca-certificates.crt ]; then \
      apt-get update && apt-get install -y --no-install-recommends ca-certificates && \
      rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/ldconfig /var/log/apt /var/log/dpkg.log /var/log/alternatives.log; \
    fi && \
    groupadd --gid 65532 contree && \
    useradd --uid 65532 --gid 65532 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin --no-log-init contree && \
    mkdir -p /var/lib/contree /etc/contree /run/contree/contree-service /run/contree/sync-service /run/contree/auth-service && \
    chown --recursive contree:contree /var/lib/contree /run/contree && \
    chmod 0700 /var/lib/contree && \
    rm -f /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow-
ENV LD_LIBRARY_PATH=/usr/lib/contree
ARG VERSION=dev
LABEL org.opencontainers.image.version="${VERSION}"
USER 65532:65532
VOLUME /var/lib/contree

FROM runtime AS contree-service
LABEL org.opencontainers.image.title="contree-service" \
      org.opencontainers.image.description="The ConTree API: images, operations, lineage"
COPY --from=programs /dist/lib/contree-service/ /usr/lib/contree/
COPY --from=programs /dist/bin/contree-service /usr/bin/
ENTRYPOINT ["/usr/bin/contree-service", "--state-dir=/var/lib/contree"]
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s \
  CMD ["/usr/bin/contree-service", "healthcheck", "unix:/run/contree/contree-service/grpc.sock"]

FROM runtime AS sync-service
LABEL org.opencontainers.image.title="sync-service" \
      org.opencontainers.image.description="File sync with deduplication for ConTree"
COPY --from=programs /dist/lib/sync-service/ /usr/lib/contree/
COPY --from=programs /dist/bin/sync-service /usr/bin/
ENTRYPOINT ["/usr/bin/sync-service", "--state-dir=/var/lib/contree"]
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s \
  CMD ["/usr/bin/sync-service", "healthcheck", "unix:/run/contree/sync-service/grpc.sock"]

FROM runtime AS auth-service
LABEL org.opencontainers.image.title="auth-service" \
      org.opencontainers.image.description="OCI registry authentication for ConTree"
COPY --from=programs /dist/lib/auth-service/ /usr/lib/contree/
COPY --from=programs /dist/bin/auth-service /usr/bin/
ENTRYPOINT ["/usr/bin/auth-service", "--state-dir=/var/lib/contree"]
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s \
  CMD ["/usr/bin/auth-service", "healthcheck", "unix:/run/contree/auth-service/grpc.sock"]

FROM runtime AS gateway
LABEL org.opencontainers.image.title="contree-gateway" \
      org.opencontainers.image.description="MCP in front of the ConTree services"
COPY --from=programs /dist/lib/contree-gateway/ /usr/lib/contree/
COPY --from=programs /dist/bin/contree-gateway /usr/bin/
EXPOSE 9452
ENTRYPOINT ["/usr/bin/contree-gateway"]
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s \
  CMD ["/usr/bin/contree-gateway", "healthcheck", "127.0.0.1:9451"]

# Runs commands in sandboxes of its own: it maps ids itself, so it is root in its container, and needs
# --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined
# and a volume for /var/lib/contree, which must not be an overlay itself. Not --privileged.
FROM runtime AS local-backend
LABEL org.opencontainers.image.title="contree-local-backend" \
      org.opencontainers.image.description="The ConTree HTTP API from one machine, with real isolation"
USER 0:0
ARG SOURCE_DATE_EPOCH
RUN if ! command -v bwrap >/dev/null || ! command -v busybox >/dev/null; then \
      apt-get update && apt-get install -y --no-install-recommends bubblewrap busybox-static libslirp0 && \
      rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/ldconfig /var/log/apt /var/log/dpkg.log; \
    fi && \
    chown root:root /var/lib/contree
COPY --from=programs /dist/lib/contree-local-backend/ /usr/lib/contree/
COPY --from=programs /dist/bin/contree-local-backend /usr/bin/
EXPOSE 9453
ENTRYPOINT ["/usr/bin/contree-local-backend", "--state-dir=/var/lib/contree"]
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s \
  CMD ["/usr/bin/contree-local-backend", "healthcheck", "127.0.0.1:9451"]
