# One static binary and nothing else. Everything durable is in the one volume; the
# root file system can be mounted read-only.
#
#   docker build -t rollcall .
#   docker run --read-only --cap-drop all --security-opt no-new-privileges \
#     -v rollcall:/var/lib/rollcall -v ./rollcall.yaml:/etc/rollcall/rollcall.yaml:ro \
#     -p 8443:8443 rollcall

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/rollcall ./cmd/rollcall \
    && mkdir /out/data

FROM scratch
# Whom to trust; time zones are in the binary.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/rollcall /rollcall
COPY --from=build --chown=65532:65532 --chmod=0700 /out/data /var/lib/rollcall
USER 65532:65532
VOLUME ["/var/lib/rollcall"]
EXPOSE 8443 9090
HEALTHCHECK --interval=15s --timeout=3s --start-period=30s --retries=3 CMD ["/rollcall", "healthcheck"]
ENTRYPOINT ["/rollcall"]
CMD ["serve", "--config", "/etc/rollcall/rollcall.yaml"]
