# etcd and etcdctl in the version that Rollcall is built with, from their source.
FROM golang:1.26-bookworm AS build
WORKDIR /src
RUN go mod init etcd \
    && go get -tool go.etcd.io/etcd/server/v3@v3.7.3 go.etcd.io/etcd/etcdctl/v3@v3.7.3 \
    && CGO_ENABLED=0 go build -trimpath -o /out/etcd go.etcd.io/etcd/server/v3 \
    && CGO_ENABLED=0 go build -trimpath -o /out/etcdctl go.etcd.io/etcd/etcdctl/v3 \
    && mkdir /out/data

FROM scratch
COPY --from=build /out/etcd /out/etcdctl /bin/
COPY --from=build --chown=65532:65532 --chmod=0700 /out/data /var/lib/etcd
ENV PATH=/bin
USER 65532:65532
VOLUME ["/var/lib/etcd"]
ENTRYPOINT ["/bin/etcd", "--data-dir=/var/lib/etcd", "--listen-client-urls=http://0.0.0.0:2379", "--advertise-client-urls=http://etcd:2379"]
