package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/etcd"
)

// recoverer acts when somebody on the machine itself makes an administrator: the user
// there whose process it was.
func recoverer(uid int) audit.Actor {
	return audit.Actor{Kind: audit.ActorSystem, ID: "uid/" + strconv.Itoa(uid), Name: "recovery"}
}

// recoveredKeyLife is how long the key works that a recovery prints: long enough to make
// another one.
const recoveredKeyLife = 7 * 24 * time.Hour

// Recovered says how an administrator was made.
type Recovered struct {
	APIKey config.Secret
	// Running says that the daemon did it; else its store was opened while it was stopped.
	Running bool
}

// RecoverAdmin makes a local user an administrator and returns an API key for that user.
// A local user of that name is enabled again and given what is missing; his other keys
// stay as they are. The daemon that runs with the configuration does it, asked through
// its local socket; when none runs, the store is opened here, unless it is a cluster:
// who may do that is not decided on this machine. The audit log says which user of the
// machine it was.
func RecoverAdmin(ctx context.Context, c *Config, name string) (Recovered, error) {
	if err := validLogin(name); err != nil {
		return Recovered{}, err
	}
	path := c.localPath()
	if path != "" {
		key, err := askLocal(ctx, path, recoverRequest{User: name, Store: storeName(c.Store)})
		if !errors.Is(err, errNobody) {
			return Recovered{APIKey: key, Running: true}, err
		}
	}
	if c.Store.Dir == "" {
		return Recovered{}, noDaemon(path)
	}
	key, err := recoverStopped(ctx, c, name)
	if fault.Code(err) == "store_locked" {
		err = fault.New(fault.Conflict, "store_locked", "%w; if that is the daemon, it does not answer at its local socket (%s): "+
			"stop it, or set local_socket as in its configuration", err, cmp.Or(path, "off"))
	}
	return Recovered{APIKey: key}, err
}

func noDaemon(path string) error {
	if path == "" {
		return fault.New(fault.Conflict, "no_local_socket",
			"the store is a cluster, so a running daemon has to make the administrator, and local_socket is off: set it, restart the daemon, and try again")
	}
	return fault.New(fault.Unavailable, "no_daemon",
		"the store is a cluster, so a running daemon has to make the administrator, and none answers at %s: start one on this machine, with local_socket as in this configuration", path)
}

func recoverStopped(ctx context.Context, c *Config, name string) (config.Secret, error) {
	if err := storeIsThere(c.Store.Dir); err != nil {
		return config.Secret{}, err
	}
	s, err := etcd.Open(ctx, c.Store)
	if err != nil {
		return config.Secret{}, fmt.Errorf("open the store: %w", err)
	}
	key, err := openedIn(ctx, s, c.Store.Log, name)
	return key, errors.Join(err, s.Close())
}

func validLogin(name string) error {
	bad := func(r rune) bool { return r == '/' || !unicode.IsPrint(r) }
	if name == "" || len(name) > 128 || strings.TrimSpace(name) != name || strings.ContainsFunc(name, bad) {
		return fault.New(fault.Invalid, "invalid_user_name", "%q is no login name: 1 to 128 characters that print, without a slash", name)
	}
	return nil
}

// storeIsThere keeps an administrator from being made in a new and empty store because
// the directory was mistyped, and a store from holding files that its daemon cannot
// read.
func storeIsThere(dir string) error {
	info, err := os.Stat(filepath.Join(dir, "member"))
	if err != nil {
		return fault.New(fault.Invalid, "no_store", "there is no store in %s: look at store.dir in the configuration: %w", dir, err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return fault.New(fault.Denied, "not_the_owner",
			"the store in %s is of the user %d, and what another one writes there its daemon could not read: run this as that user, or while the daemon runs", dir, owner.Uid)
	}
	return nil
}

func openedIn(ctx context.Context, s *etcd.Store, log *slog.Logger, name string) (_ config.Secret, err error) {
	db, err := state.Open(ctx, state.Options{Store: s, Log: log})
	if err != nil {
		return config.Secret{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }() // a write returns once the view has it
	defer func() {
		cancel()
		if ran := <-ended; ran != nil && !errors.Is(ran, context.Canceled) {
			err = errors.Join(err, ran)
		}
	}()
	return recoverIn(ctx, db, recoverer(os.Getuid()), name, time.Now())
}

// recoverIn makes the administrator, in one transaction with what the audit log says of
// it.
func recoverIn(ctx context.Context, db *state.DB, by audit.Actor, name string, now time.Time) (config.Secret, error) {
	key := access.New(access.KindKey)
	_, err := db.Decide(ctx, by, func(snap *state.Snapshot) ([]state.Change, error) {
		return recovering(snap, by, name, &key, now.UTC().Truncate(time.Millisecond))
	})
	if err != nil {
		return config.Secret{}, err
	}
	return key.Secret(), nil
}

// recovering decides what is missing for a local user to be an administrator.
func recovering(snap *state.Snapshot, by audit.Actor, name string, key *access.Credential, now time.Time) ([]state.Change, error) {
	var cs []state.Change
	u := localUser(snap, name)
	id := identity.NewUserID()
	switch {
	case u == nil:
		r := &identity.Record{Source: identity.Local, Key: identity.Key(id.String()), Name: name, Profile: map[string]string{}}
		cs = append(cs, state.Create{Member: identity.UserMember(id), Record: r})
	case u.Record.Profile["kind"] == "service":
		return nil, fault.New(fault.Conflict, "is_a_service", "%s is a service, and an administrator is a person: choose another name", name)
	default:
		id = u.ID
		if u.Local.Disabled != nil {
			cs = append(cs, state.Enable{User: id})
		}
	}
	for _, p := range []permissions.Permission{permissions.ApplicationAdmin, permissions.UserAdmin} {
		if g := missing(snap, by, identity.UserMember(id), p, now); g != nil {
			cs = append(cs, state.PutGrant{Grant: *g})
		}
	}
	return append(cs, state.PutToken{Token: state.Token{
		ID: key.ID(), Hash: key.Hash(), User: id, Name: "recovery", By: by.String(), Created: now, Expires: now.Add(recoveredKeyLife),
	}}), nil
}

func localUser(snap *state.Snapshot, name string) *identity.User {
	for _, id := range snap.FindUsers(string(identity.Local) + "/" + name) {
		if u, _, ok := snap.User(id); ok && u.Record.Source == identity.Local {
			return u
		}
	}
	return nil
}

// missing returns the grant without end that somebody lacks, or nil.
func missing(snap *state.Snapshot, by audit.Actor, m identity.Member, p permissions.Permission, now time.Time) *permissions.Grant {
	id := permissions.GrantID(identity.NewUserID().String())
	for _, g := range snap.Book().Of(m) {
		if g.Permission != p {
			continue
		}
		if g.Expires.IsZero() {
			return nil
		}
		id = g.ID // its end is taken away
	}
	return &permissions.Grant{
		ID: id, Permission: p, Subject: m, By: by.String(), At: now, Reason: "recovered on the machine itself",
		Origin: identity.OriginBootstrap,
	}
}
