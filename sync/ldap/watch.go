package ldap

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
)

var _ sync.Waiter = (*Source)(nil)

// watcher is a follower whose directory says when something changes.
type watcher interface {
	follower
	// wait blocks until something changed since the position, and returns nil then.
	wait(ctx context.Context, r *reading, since position, ready func()) error
}

// Wait implements [sync.Waiter]. It uses a connection of its own.
func (s *Source) Wait(ctx context.Context, since identity.Cursor, ready func()) error {
	var from cursor
	if err := json.Unmarshal([]byte(since), &from); err != nil || from.V != 1 {
		return errors.New("the cursor was written by another version")
	}
	if from.Late == lateReads {
		return nil
	}
	c, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer c.close()
	c.over.Stop() // a watch has no end, unlike a read
	r := newReading(s, sync.PullRequest{})
	r.over(c)
	way, ok := r.way(from.Way).(watcher)
	if !ok {
		return fmt.Errorf("changes are read by %s, which says nothing by itself", from.Way)
	}
	return way.wait(ctx, r, from.At, ready)
}

// errWoken ends the connection of a watch that has seen something.
var errWoken = errors.New("something changed")

// wait implements watcher, by the refreshAndPersist mode (RFC 4533 §3.4) over all that
// is in the naming context. The refresh tells what has happened since the position.
func (w syncrepl) wait(ctx context.Context, r *reading, since position, ready func()) error {
	if w.of389 {
		return errors.New("the cookies of this server hold for one filter only")
	}
	contexts := r.contexts()
	if len(contexts) != 1 {
		return fmt.Errorf("the bases lie in %d naming contexts", len(contexts))
	}
	g := region{base: contexts[0], scope: goldap.ScopeWholeSubtree, filter: "(objectClass=*)", attrs: []string{"1.1"}}
	receive := &handler{
		entry:  func(*Entry) error { return errWoken },
		broken: func([]byte, string) error { return errWoken },
		interim: func(op []byte) error {
			done, err := refreshDone(op)
			switch {
			case err != nil:
				return err
			case !done:
				return errWoken
			}
			r.c.conn.patient()
			ready()
			return nil
		},
	}
	newest := ""
	for _, cookie := range since {
		newest = max(newest, cookie)
	}
	_, err := r.c.search(ctx, g.request(goldap.NewControlSyncRequest(goldap.SyncRequestModeRefreshAndPersist, []byte(newest), false)), receive)
	switch {
	case errors.Is(err, errWoken):
		return nil
	case err == nil:
		return errors.New("the server ended the watch")
	}
	return fmt.Errorf("watch %s: %w", g.base, err)
}

// The tags of the Sync Info messages that end a refresh (RFC 4533 §2.5).
const (
	tagRefreshDelete  = 0xa1
	tagRefreshPresent = 0xa2
)

// refreshDone reports whether an intermediate response ends the refresh without having
// named anything: in a set of UUIDs or a new cookie something has happened.
func refreshDone(op []byte) (bool, error) {
	for len(op) > 0 {
		tag, v, rest, err := element(op)
		if err != nil {
			return false, fmt.Errorf("an intermediate response: %w", err)
		}
		op = rest
		if tag != tagResponseValue {
			continue
		}
		tag, _, _, err = element(v)
		if err != nil {
			return false, fmt.Errorf("a Sync Info message: %w", err)
		}
		return tag == tagRefreshDelete || tag == tagRefreshPresent, nil
	}
	return false, nil
}
