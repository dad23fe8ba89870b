package main

import (
	"bytes"
	"context"
	"errors"
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store"
	"github.com/rollcall-id/rollcall/store/etcd"
)

// damage changes a word in the newest entry of the audit log that has it, in the store
// itself.
func damage(ts *testscript.TestScript, _ bool, _ []string) {
	w := of(ts)
	records, _, err := w.store.List(context.Background(), "w/a/")
	ts.Check(err)
	var last store.Record
	for r, err := range records {
		ts.Check(err)
		if bytes.Contains(r.Value, []byte("first administrator")) {
			last = r
		}
	}
	if last.Key == "" {
		ts.Fatalf("no entry of the audit log is like that")
	}
	changed := bytes.ReplaceAll(last.Value, []byte("first administrator"), []byte("first administratxr"))
	_, err = w.store.Apply(context.Background(), store.Txn{Then: []store.Op{store.Put(last.Key, changed)}})
	ts.Check(err)
}

// makeStore makes the store of a daemon that was stopped, and a configuration that
// names it. With a second argument, the store stays open as under a running daemon.
func makeStore(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	s, err := etcd.Open(context.Background(), etcd.Options{Dir: dir})
	ts.Check(err)
	_, err = state.Open(context.Background(), state.Options{Store: s})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("rollcall.yaml"), []byte("store: {dir: "+dir+"}\n"), 0o600))
	if len(args) > 1 {
		ts.Defer(func() {
			if err := s.Close(); err != nil && !errors.Is(err, context.Canceled) {
				panic(err)
			}
		})
		return
	}
	ts.Check(s.Close())
}
