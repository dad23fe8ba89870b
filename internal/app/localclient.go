package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
)

// errNobody says that no daemon listens at a socket.
var errNobody = errors.New("no daemon answers there")

// askLocal asks the daemon at a socket to make an administrator.
func askLocal(ctx context.Context, path string, in recoverRequest) (config.Secret, error) {
	none := config.Secret{}
	b, err := json.Marshal(in)
	if err != nil {
		return none, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://local"+recoverPath, bytes.NewReader(b))
	if err != nil {
		return none, err
	}
	req.Header.Set("Content-Type", "application/json")
	t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dialLocal(ctx, path) }}
	defer t.CloseIdleConnections()
	resp, err := t.RoundTrip(req)
	if err != nil {
		return none, unanswered(path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	var out recoverAnswer
	if err := json.UnmarshalRead(io.LimitReader(resp.Body, maxLocal), &out); err != nil {
		return none, fault.New(fault.Unavailable, "bad_answer", "what answers at %s is no daemon of this version", path)
	}
	if resp.StatusCode == http.StatusOK {
		return config.NewSecret(out.APIKey), nil
	}
	for _, k := range localKinds {
		if k.status == resp.StatusCode {
			return none, fault.New(k.kind, out.Code, "%s", out.Detail)
		}
	}
	return none, fault.New(fault.Unavailable, "internal", "the daemon could not do it, and its log says why: %s", out.Detail)
}

func dialLocal(ctx context.Context, path string) (net.Conn, error) {
	at, dir, err := short(path)
	if err != nil {
		return nil, err
	}
	if dir != nil {
		defer func() { _ = dir.Close() }()
	}
	return (&net.Dialer{}).DialContext(ctx, "unix", at)
}

func unanswered(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return errNobody
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Denied, "not_the_operator",
			"only root and the user that the daemon runs as may do this: you do not get to its local socket (%s)", path)
	}
	return fault.New(fault.Unavailable, "no_answer", "the daemon did not answer at its local socket (%s): %w", path, err)
}
