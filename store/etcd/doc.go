// Package etcd keeps a store.Store in etcd: in a server inside this process that
// listens nowhere, or in a cluster of its own, chosen by configuration alone. It
// owns everything that is etcd's: no other package imports it.
//
// It promises the contract of package store, and besides: an embedded store is in
// one process at a time, leads again at once after a restart, compacts and
// defragments itself, and can be copied while it runs ([Store.Snapshot]) and
// brought back ([Restore]). It leaves to others what the keys and values mean.
//
// Keys stand under a prefix, "/rollcall/" when none is configured, which callers
// never see. Below it the package itself writes only leader/<name>/<lease>: who
// stands for an election, alive as long as the lease is.
//
// Three facts of etcd shape the code. A watch stream buffers 128 responses, and a
// watcher that falls behind is served every 100 ms only: so at most 64 writes are
// in flight. A paged range walks the rest of the index for each page: so List
// streams wherever the server can. While a watcher catches up the header of a
// response is ahead of its events: so the revision of a batch is that of its last
// event.
package etcd
