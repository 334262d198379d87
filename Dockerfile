# Two stages: the binary is built on the machine's own architecture for whichever one the image is for, and the image
# holds it, the certificates to check AWS by, and nothing else: no shell, no package, no user but a number.
#
#   docker buildx build --platform linux/arm64 --build-arg VERSION=1.0.0 --build-arg REVISION="$(git rev-parse HEAD)" -t rootwatch:1.0.0 .

FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src

# The modules are a layer of their own: it is built again only when they change.
COPY go.mod go.sum ./
RUN go mod download

COPY classify/ classify/
COPY cmd/ cmd/
COPY pipeline/ pipeline/

# TARGETOS and TARGETARCH are the builder's: empty means the builder's own.
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
ARG REVISION=unknown
RUN CGO_ENABLED=0 GOOS="${TARGETOS}" GOARCH="${TARGETARCH}" go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X github.com/prometheus/common/version.Version=${VERSION} -X github.com/prometheus/common/version.Revision=${REVISION}" \
    -o /out/rootwatch ./cmd/rootwatch

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rootwatch" \
      org.opencontainers.image.description="Judges root calls in CloudTrail events and counts them for Prometheus" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/rootwatch /rootwatch
# A number, so that it needs no /etc/passwd and an orchestrator can see that it is not root.
USER 65532:65532
EXPOSE 9844
ENTRYPOINT ["/rootwatch"]
CMD ["run"]
