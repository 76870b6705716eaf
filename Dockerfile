# The image of Fathom with a container engine: the same files as those of hack/build-image.sh, which needs none.
#     docker build -t fathom .
FROM swift:6.3-bookworm AS build
WORKDIR /src
COPY . .
RUN hack/setup.sh && hack/build-image.sh --root /image

# One program, the libraries that it needs, and certificates: no shell, no package manager.
FROM scratch
COPY --from=build /image/ /
ENV PATH=/usr/local/bin
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/fathom"]
