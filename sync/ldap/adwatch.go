package ldap

import (
	"context"
	"errors"
	"fmt"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"
)

// A domain controller says that an object changed to whoever asked for it with the
// notification control (MS-ADTS §3.1.1.3.4.1.9), from when it was asked on. What
// changed between the position and then is looked for on a second connection once the
// first has asked.

func (d *dirSync) wait(ctx context.Context, r *reading, since position, ready func()) error {
	return r.notified(ctx, since, ready)
}

func (u *usn) wait(ctx context.Context, r *reading, since position, ready func()) error {
	return r.notified(ctx, since, ready)
}

var errNotAsked = errors.New("the server was not asked")

// notified waits for a notification.
func (r *reading) notified(ctx context.Context, since position, ready func()) error {
	p, err := decodeDomainPosition(since)
	if err != nil {
		return err
	}
	contexts := r.contexts()
	if len(contexts) != 1 {
		return fmt.Errorf("the bases lie in %d naming contexts", len(contexts))
	}
	if r.c.root.service != p.server {
		return nil // a read will find out what the other controller knows
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	asked, over, looked := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		select {
		case <-asked:
		case <-over:
			looked <- errNotAsked
			return
		}
		err := r.unchangedSince(ctx, contexts[0], p)
		if err == nil {
			r.c.conn.patient()
			ready()
		}
		looked <- err
		if err != nil {
			_ = r.c.raw.Close()
		}
	}()
	err = r.askToHear(ctx, contexts[0], p, func() { close(asked) })
	close(over)
	cancel()
	found := <-looked
	switch {
	case errors.Is(err, errWoken), errors.Is(found, errWoken):
		return nil
	case found != nil && !errors.Is(found, errNotAsked) && !errors.Is(found, context.Canceled):
		return found
	case err == nil:
		return errors.New("the server ended the watch")
	}
	return fmt.Errorf("watch %s: %w", contexts[0], err)
}

// askToHear asks to be notified, and returns with errWoken once it is.
func (r *reading) askToHear(ctx context.Context, base string, p *domainPosition, asked func()) error {
	g := region{
		base: base, scope: goldap.ScopeWholeSubtree, filter: "(objectClass=*)", attrs: []string{"objectClass"},
		with: append(p.deleted(), goldap.NewControlString(goldap.ControlTypeMicrosoftNotification, true, "")),
	}
	aside := r.ignoresComputers()
	_, err := r.c.search(ctx, g.request(), &handler{
		entry: func(e *Entry) error {
			if aside && hasClass(e, "computer") {
				return nil
			}
			return errWoken
		},
		broken: func([]byte, string) error { return errWoken },
		sent:   asked,
	})
	return err
}

// ignoresComputers reports whether computers are nobody's business here: they change
// more often than people, and look like them to a domain.
func (r *reading) ignoresComputers() bool {
	return !strings.Contains(strings.ToLower(r.users.where.Filter+r.groups.where.Filter), "computer")
}

func hasClass(e *Entry, class string) bool {
	for _, c := range e.Get("objectClass") {
		if equalFoldASCII(c, class) {
			return true
		}
	}
	return false
}

// unchangedSince returns errWoken when something has changed since a position.
func (r *reading) unchangedSince(ctx context.Context, base string, p *domainPosition) error {
	c, err := r.s.open(ctx, r.c.url)
	if err != nil {
		return err
	}
	defer c.close()
	filter := fmt.Sprintf("(uSNChanged>=%d)", p.usn+1)
	if r.ignoresComputers() {
		filter = "(&" + filter + "(!(objectClass=computer)))"
	}
	g := region{base: base, scope: goldap.ScopeWholeSubtree, filter: filter, attrs: []string{"1.1"}, with: p.deleted()}
	request := g.request()
	request.SizeLimit = 1
	_, err = c.search(ctx, request, &handler{
		entry:  func(*Entry) error { return errWoken },
		broken: func([]byte, string) error { return errWoken },
	})
	if err != nil && !errors.Is(err, errWoken) {
		return fmt.Errorf("look for what changed below %s: %w", base, err)
	}
	return err
}

// deleted asks for deleted objects as well, where the account sees them.
func (p *domainPosition) deleted() []goldap.Control {
	if p.blind {
		return nil
	}
	return []goldap.Control{goldap.NewControlString(oidShowDeleted, true, "")}
}
