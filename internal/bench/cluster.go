package main

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"

	"github.com/rollcall-id/rollcall/store/etcd"
)

// listen opens a store with its socket and lets clients reach it over TCP: an etcd
// of its own, as far as they can tell.
func (w *worker) listen(ctx context.Context, r request) (reply, error) {
	socket := filepath.Join(r.Dir, "socket", "etcd")
	s, err := etcd.Open(ctx, etcd.Options{Dir: r.Dir, DebugSocket: socket})
	if err != nil {
		return reply{}, err
	}
	w.undo = append(w.undo, s.Close)
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return reply{}, err
	}
	w.undo = append(w.undo, l.Close)
	go forward(ctx, l, socket)
	return reply{Address: "http://" + l.Addr().String()}, nil
}

// forward joins each connection with one of its own to the socket.
func forward(ctx context.Context, l net.Listener, socket string) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		var d net.Dialer
		to, err := d.DialContext(ctx, "unix", socket)
		if err != nil {
			_ = c.Close()
			continue
		}
		go pipe(c, to)
		go pipe(to, c)
	}
}

func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
	_ = from.Close()
}
