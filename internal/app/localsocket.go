package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/store/etcd"
)

// A daemon listens on a Unix socket for who is on the machine itself: in a directory
// and under a mode that let in root and its own user alone, and the kernel is asked
// for the user of each connection besides. What is asked there needs no key, as whoever
// gets in could read the daemon's files and memory.
const (
	localDir    = "local"
	localName   = "rollcall.sock"
	localOff    = "off"
	runtimeDir  = "/run/rollcall" // RuntimeDirectory=rollcall of the unit
	recoverPath = "/recover-admin"
	maxLocal    = 4 << 10 // bytes of a request
)

// localPath returns where the socket is, or "" when there is to be none.
func (c *Config) localPath() string {
	switch {
	case c.LocalSocket == localOff:
		return ""
	case c.LocalSocket != "":
		return c.LocalSocket
	case c.Store.Dir != "":
		return filepath.Join(c.Store.Dir, localDir, localName)
	}
	return filepath.Join(runtimeDir, localDir, localName)
}

// storeName tells stores apart: a socket whose place was guessed may be that of a
// daemon of another one.
func storeName(o etcd.Options) string {
	if o.Dir != "" {
		return ""
	}
	endpoints := slices.Sorted(slices.Values(o.Endpoints))
	return strings.Join(append(endpoints, o.Prefix), " ")
}

type recoverRequest struct {
	User  string `json:"user"`
	Store string `json:"store,omitzero"`
}

type recoverAnswer struct {
	APIKey string `json:"apiKey,omitzero"`
	Code   string `json:"code,omitzero"`
	Detail string `json:"detail,omitzero"`
}

// local serves the socket.
type local struct {
	store   string
	path    string
	net     *net.UnixListener
	dir     *os.File // of the socket, while its path is too long for the kernel; or nil
	server  *http.Server
	peer    func(*net.UnixConn) (uid int, err error)
	recover func(ctx context.Context, by audit.Actor, name string) (config.Secret, error)
	log     *slog.Logger
}

// startLocalSocket listens on the machine itself. Where a cluster holds the store and
// the configuration names no place, a daemon goes on without.
func (a *App) startLocalSocket(ctx context.Context) error {
	path := a.config.localPath()
	if path == "" {
		return nil
	}
	l := &local{
		store: storeName(a.config.Store), path: path, peer: peerUID, log: a.log.With("part", "local"),
		recover: func(ctx context.Context, by audit.Actor, name string) (config.Secret, error) {
			return recoverIn(ctx, a.db, by, name, a.now())
		},
	}
	guessed := a.config.LocalSocket == "" && a.config.Store.Dir == ""
	var err error
	if guessed {
		_, err = os.Stat(runtimeDir)
	}
	if err == nil {
		err = l.listen(ctx, placeOf(a.config.LocalSocket))
	}
	switch {
	case err != nil && guessed:
		a.log.WarnContext(ctx, "no local socket: set local_socket so that recover-admin finds the daemon", "err", err)
		return nil
	case err != nil:
		return err
	}
	a.steps.task(ctx, "local socket", l.serve, a.ended)
	a.steps.add("local requests", l.drain)
	return nil
}

// place says whose the directory of the socket is.
type place uint8

const (
	madeHere place = iota // only this daemon's
	chosen                // the configuration names it: it is looked at, not changed
)

func placeOf(configured string) place {
	if configured == "" {
		return madeHere
	}
	return chosen
}

// listen makes the socket, for its owner alone. One that a killed daemon left goes.
func (l *local) listen(ctx context.Context, where place) error {
	if err := privateDir(filepath.Dir(l.path), where); err != nil {
		return err
	}
	short, dir, err := short(l.path)
	if err != nil {
		return err
	}
	l.dir = dir
	if err := l.bind(ctx, short); err != nil {
		return errors.Join(err, l.release())
	}
	l.server = &http.Server{
		Handler: l, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second,
		MaxHeaderBytes: maxLocal, ErrorLog: slog.NewLogLogger(l.log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, l.who(c))
		},
	}
	return nil
}

func (l *local) bind(ctx context.Context, short string) error {
	switch info, err := os.Lstat(l.path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("make the local socket: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("make the local socket: %s is there already, and no socket", l.path)
	default:
		if c, err := (&net.Dialer{}).DialContext(ctx, "unix", short); err == nil {
			return errors.Join(fmt.Errorf("make the local socket: another daemon answers at %s: set local_socket to another place", l.path), c.Close())
		}
		if err := os.Remove(l.path); err != nil {
			return fmt.Errorf("make the local socket: %w", err)
		}
	}
	n, err := (&net.ListenConfig{}).Listen(ctx, "unix", short)
	if err != nil {
		return fmt.Errorf("make the local socket %s: %w", l.path, err)
	}
	l.net = n.(*net.UnixListener) //nolint:forcetypeassert // what "unix" is documented to be
	l.net.SetUnlinkOnClose(false) // it is removed under its own name
	if err := os.Chmod(l.path, 0o600); err != nil {
		return errors.Join(fmt.Errorf("make the local socket: %w", err), l.net.Close())
	}
	return nil
}

// privateDir makes a directory that only its owner enters.
func privateDir(dir string, where place) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of the local socket: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("make the directory of the local socket: %w", err)
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	ours := !known || int(owner.Uid) == os.Geteuid()
	if info.IsDir() && info.Mode().Perm() == 0o700 && ours {
		return nil
	}
	if where == madeHere && info.IsDir() && ours {
		return os.Chmod(dir, 0o700) //nolint:gosec // a directory: its owner has to enter it
	}
	return fmt.Errorf("%s, the directory of local_socket, has to be a directory of mode 0700 and of the daemon's user: whoever enters it becomes an administrator", dir)
}

func (l *local) release() error {
	if l.dir == nil {
		return nil
	}
	return l.dir.Close()
}

func (l *local) serve(context.Context) error {
	if err := l.server.Serve(l.net); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the local socket: %w", err)
	}
	return nil
}

func (l *local) drain(ctx context.Context) error {
	err := l.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("local requests under way were cut: %w", err), l.server.Close())
	}
	if gone := os.Remove(l.path); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return errors.Join(err, l.release())
}

type peerKey struct{}

// peer is the user at the other end of a connection, as the kernel knows him.
type peer struct {
	uid int
	err error
}

func (l *local) who(c net.Conn) peer {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return peer{err: errors.New("it is no Unix socket")}
	}
	uid, err := l.peer(u)
	return peer{uid, err}
}

// may lets in root and the daemon's own user.
func (p peer) may() error {
	if p.err != nil {
		return fault.New(fault.Denied, "unknown_peer", "the daemon cannot find out whose process this is, so it does nothing for it: %w", p.err)
	}
	if p.uid != 0 && p.uid != os.Geteuid() {
		return fault.New(fault.Denied, "not_the_operator", "only root and the user that the daemon runs as may do this, and you are the user %d", p.uid)
	}
	return nil
}

// ServeHTTP implements http.Handler.
func (l *local) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, err := l.answer(w, r)
	status, a := http.StatusOK, recoverAnswer{}
	if err != nil {
		l.log.WarnContext(r.Context(), "local request refused", "path", r.URL.Path, "err", err)
		status = localStatus(err)
		a.Code, a.Detail = fault.Code(err), err.Error()
	} else {
		a.APIKey = key.Reveal()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.MarshalWrite(w, a); err != nil {
		l.log.DebugContext(r.Context(), "answer not written", "err", err)
	}
}

func (l *local) answer(w http.ResponseWriter, r *http.Request) (config.Secret, error) {
	p, _ := r.Context().Value(peerKey{}).(peer)
	if err := p.may(); err != nil {
		return config.Secret{}, err
	}
	if r.Method != http.MethodPost || r.URL.Path != recoverPath {
		return config.Secret{}, fault.New(fault.NotFound, "no_such_path", "only POST %s is asked for here", recoverPath)
	}
	var in recoverRequest
	if err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxLocal), &in, json.RejectUnknownMembers(true)); err != nil {
		return config.Secret{}, fault.New(fault.Invalid, "invalid_request", "the request cannot be read: %v", err)
	}
	if in.Store != l.store {
		return config.Secret{}, fault.New(fault.Conflict, "another_store",
			"the daemon at %s uses another store than the configuration names: set local_socket in both to the same place", l.path)
	}
	if err := validLogin(in.User); err != nil {
		return config.Secret{}, err
	}
	by := recoverer(p.uid)
	key, err := l.recover(r.Context(), by, in.User)
	if err == nil {
		l.log.WarnContext(r.Context(), "an administrator was made on the machine itself", "user", in.User, "actor", by.String(), "uid", p.uid)
	}
	return key, err
}

// localKinds are the failures that the socket tells apart.
var localKinds = [...]struct {
	kind   error
	status int
}{
	{fault.Denied, http.StatusForbidden},
	{fault.NotFound, http.StatusNotFound},
	{fault.Conflict, http.StatusConflict},
	{fault.Stale, http.StatusPreconditionFailed},
	{fault.Invalid, http.StatusUnprocessableEntity},
	{fault.Unavailable, http.StatusServiceUnavailable},
}

func localStatus(err error) int {
	for _, k := range localKinds {
		if errors.Is(err, k.kind) {
			return k.status
		}
	}
	return http.StatusInternalServerError
}
