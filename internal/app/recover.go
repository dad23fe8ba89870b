package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
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

// recoverer acts when somebody on the machine itself makes an administrator.
var recoverer = audit.Actor{Kind: audit.ActorSystem, ID: "recover-admin", Name: "recover-admin"}

// recoveredKeyLife is how long the key works that a recovery prints: long enough to make
// another one.
const recoveredKeyLife = 7 * 24 * time.Hour

// RecoverAdmin makes a local user an administrator in the store that c names, while no
// daemon uses it, and returns an API key for that user. A local user of that name is
// enabled again and given what is missing; his other keys stay as they are. Whoever may
// open the store may do it, and the audit log says so.
func RecoverAdmin(ctx context.Context, c *Config, name string) (config.Secret, error) {
	if err := validLogin(name); err != nil {
		return config.Secret{}, err
	}
	if err := storeIsThere(c.Store.Dir); err != nil {
		return config.Secret{}, err
	}
	s, err := etcd.Open(ctx, c.Store)
	if err != nil {
		return config.Secret{}, fmt.Errorf("open the store: %w", err)
	}
	key, err := recoverIn(ctx, s, c.Store.Log, name)
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
// the directory was mistyped.
func storeIsThere(dir string) error {
	if dir == "" { // a cluster
		return nil
	}
	if _, err := os.Stat(filepath.Join(dir, "member")); err != nil {
		return fault.New(fault.Invalid, "no_store", "there is no store in %s: look at store.dir in the configuration: %w", dir, err)
	}
	return nil
}

func recoverIn(ctx context.Context, s *etcd.Store, log *slog.Logger, name string) (_ config.Secret, err error) {
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
	key := access.New(access.KindKey)
	_, err = db.Decide(ctx, recoverer, func(snap *state.Snapshot) ([]state.Change, error) {
		return recovering(snap, name, &key, time.Now().UTC().Truncate(time.Millisecond))
	})
	if err != nil {
		return config.Secret{}, err
	}
	return key.Secret(), nil
}

// recovering decides what is missing for a local user to be an administrator.
func recovering(snap *state.Snapshot, name string, key *access.Credential, now time.Time) ([]state.Change, error) {
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
		if g := missing(snap, identity.UserMember(id), p, now); g != nil {
			cs = append(cs, state.PutGrant{Grant: *g})
		}
	}
	return append(cs, state.PutToken{Token: state.Token{
		ID: key.ID(), Hash: key.Hash(), User: id, Name: "recovery", By: recoverer.String(), Created: now, Expires: now.Add(recoveredKeyLife),
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
func missing(snap *state.Snapshot, m identity.Member, p permissions.Permission, now time.Time) *permissions.Grant {
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
		ID: id, Permission: p, Subject: m, By: recoverer.String(), At: now, Reason: "recovered on the machine itself",
		Origin: identity.OriginBootstrap,
	}
}
