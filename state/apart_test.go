package state

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store/mem"
)

// shove makes okta have a record of somebody, of somebody new, or of nobody, change it,
// move it, or lose it; or it is gone for good.
func (h *history) shove(t *rapid.T) {
	key := identity.Key(rapid.SampledFrom([]string{
		"0193a000-0000-7000-8000-00000000000b", "0193a000-0000-7000-8000-00000000000a", "no-uuid",
	}).Draw(t, "key"))
	r := shoved(string(key), string(key)+rapid.SampledFrom([]string{"", "-b"}).Draw(t, "name"), rapid.SampledFrom([]string{"", "x" + string(key)}).Draw(t, "external"))
	u := rapid.SampledFrom(h.users).Draw(t, "user")
	s := h.d.View().Now()
	have, known := s.PushedUser("okta", key)
	if !known {
		h.shoveNew(t, u, r)
		return
	}
	owner, _ := have.Member.User()
	var c Change
	switch rapid.IntRange(0, 6).Draw(t, "do") {
	case 6:
		c = TakePlace{User: u, Source: "okta", Key: key}
	case 0, 1:
		c = Update{Member: have.Member, Record: r, Apart: ApartTaken}
	case 2:
		c = Deactivate{Member: have.Member, Source: "okta"}
	case 3:
		if have.Place == Owning && s.Shared(have.Member) {
			return // the endpoint keeps whom others have, too
		}
		c = Delete{Member: have.Member, Source: "okta"}
	default:
		c = h.move(t, &have, owner, u)
	}
	h.may(t, c)
}

func (h *history) shoveNew(t *rapid.T, u identity.UserID, r *identity.Record) {
	fresh := identity.NewUserID()
	switch rapid.IntRange(0, 2).Draw(t, "new") {
	case 0:
		h.may(t, Create{Member: identity.UserMember(fresh), Record: r})
	case 1:
		h.may(t, KeepApart{Holder: fresh, Record: r, Why: ApartAmbiguous})
	case 2:
		h.may(t, LinkRecord{User: u, Record: r, Rule: "the test", Bars: rapid.Bool().Draw(t, "bars")})
	}
}

// move brings a record to another user, or to nobody.
func (h *history) move(t *rapid.T, have *Pushed, owner, u identity.UserID) Change {
	switch have.Place {
	case Nobodys:
		if rapid.Bool().Draw(t, "own") {
			return OwnApart{Holder: owner, Source: "okta"}
		}
		return JoinApart{Holder: owner, Source: "okta", User: u}
	case Owning:
		if full, _, _ := h.d.View().Now().User(owner); len(full.Linked) > 0 {
			return ChangeOwner{User: owner, To: full.Linked[0].Record.Source}
		}
		return Merge{Into: u, From: owner}
	}
	switch rapid.IntRange(0, 2).Draw(t, "leave") {
	case 0:
		return Unlink{User: owner, Source: "okta"}
	case 1:
		return Unlink{User: owner, Source: "okta", New: identity.NewUserID()}
	}
	return ChangeOwner{User: owner, To: "okta"}
}

// may decides something that may be refused.
func (h *history) may(t *rapid.T, c Change) {
	_, err := h.d.Decide(t.Context(), admin, func(*Snapshot) ([]Change, error) { return []Change{c}, nil })
	if err != nil && !errors.Is(err, fault.Conflict) && !errors.Is(err, fault.Exists) && !errors.Is(err, fault.NotFound) && !errors.Is(err, fault.Invalid) {
		t.Fatalf("%T: %v", c, err)
	}
}

// dumpPushed writes what a source has pushed, and by what it is found.
func dumpPushed(b *strings.Builder, s *Snapshot, source identity.SourceID) {
	line := func(p Pushed) string {
		return fmt.Sprintf("%s of %s %q place=%d gone=%v off=%v rev=%d ext=%q body=%s", p.Key, p.Member, p.Name, p.Place, p.Gone, p.Off, p.Rev, p.External(), p.Body)
	}
	var lines []string
	for h := range s.UserHandles() {
		p, ok := s.PushedUserAt(source, h)
		if !ok {
			continue
		}
		l := "pushed " + line(p)
		byKey, found := s.PushedUser(source, p.Key)
		l += fmt.Sprintf(" key=%v", found && byKey.Key == p.Key)
		l += fmt.Sprintf(" name=%v", finds(s.UsersNamed(source, p.Name), p.Handle))
		for _, term := range termsOf(p.raw) {
			l += fmt.Sprintf(" term=%v", finds(s.UsersByTerm(source, term), p.Handle))
		}
		lines = append(lines, l)
	}
	slices.Sort(lines)
	var order []string
	for h := range s.PushedUsers(source) {
		order = append(order, s.PushedIDAt(source, h).String())
	}
	fmt.Fprintf(b, "\n%s\norder %v\ncounts %+v", strings.Join(lines, "\n"), order, s.Counts()[source])
}

func finds(all func(func(Pushed) bool), handle uint32) bool {
	for p := range all {
		if p.Handle == handle {
			return true
		}
	}
	return false
}

// A record whose provider takes it away while somebody puts it into a group leaves no
// membership to the user that it was linked to, nor to nobody.
func TestARecordThatLeavesLeavesItsGroups(t *testing.T) {
	u, g := identity.NewUserID(), identity.NewGroupID()
	m := identity.UserMember(u)
	add := func(s *Snapshot) ([]Change, error) {
		if p, ok := s.PushedUser("okta", "k"); !ok || p.Gone {
			return nil, nil
		}
		return []Change{ChangeMembers{Group: g, Origin: "okta", Add: []identity.Member{m}}}, nil
	}
	leave := func(s *Snapshot) ([]Change, error) {
		var cs []Change
		for h := range s.OwnGroups("okta", m) {
			cs = append(cs, ChangeMembers{Group: s.GroupID(h), Origin: "okta", Remove: []identity.Member{m}})
		}
		return append(cs, Deactivate{Member: m, Source: "okta"}), nil
	}
	for name, first := range map[string][]Change{
		"of a user":  {Create{Member: m, Record: record("c", "ann")}, LinkRecord{User: u, Record: shoved("k", "ann", "")}},
		"of nobody":  {KeepApart{Holder: u, Record: shoved("k", "ann", ""), Why: ApartNoUser}},
		"of its own": {Create{Member: m, Record: shoved("k", "ann", "")}},
	} {
		for order, decide := range map[string][]func(*Snapshot) ([]Change, error){"put there first": {add, leave}, "leaves first": {leave, add}} {
			t.Run(name+", "+order, func(t *testing.T) {
				s := mem.New()
				func() {
					d := open(t, s)
					defer d.stop()
					for _, c := range first {
						d.push(t, c)
					}
					group := &identity.Record{Source: "okta", Key: "g1", Name: "all", Pushed: &identity.Pushed{Body: []byte(`{}`)}}
					d.push(t, Create{Member: identity.GroupMember(g), Record: group, Members: 10})
				}()
				held := newGate(s)
				d := open(t, held)
				defer d.stop()
				if err := errors.Join(queued(t, d, held, func() {}, decide...)...); err != nil {
					t.Fatal(err)
				}
				if set := d.View().Now().groupSlot(g).own; set.len() != 0 {
					t.Errorf("%d members are left", set.len())
				}
			})
		}
	}
}

// When a record was pushed is for its provider to read: moving it changes neither that nor
// since when there is its user.
func TestMovingARecordKeepsWhenItWasMade(t *testing.T) {
	d := open(t, mem.New())
	defer d.stop()
	ann, okta := identity.NewUserID(), identity.NewUserID()
	d.push(t, Create{Member: identity.UserMember(okta), Record: shoved(okta.String(), "ann", "")})
	time.Sleep(2 * time.Millisecond)
	d.push(t, Create{Member: identity.UserMember(ann), Record: record("c", "ann")})
	made := func() (string, time.Time) {
		s := d.View().Now()
		p, _ := s.PushedUser("okta", identity.Key(okta.String()))
		u, _, ok := s.User(ann)
		if !ok {
			t.Fatal("the user is gone")
		}
		return p.Created, u.Created
	}
	pushed, user := made()
	if at, err := time.Parse(time.RFC3339, pushed); err != nil || at.Equal(user) {
		t.Fatalf("both were made at %s", pushed)
	}
	for _, c := range []Change{
		Merge{Into: ann, From: okta},
		ChangeOwner{User: ann, To: "okta"},
		ChangeOwner{User: ann, To: "corp"},
		ChangeOwner{User: ann, To: "okta"},
		Update{Member: identity.UserMember(ann), Record: shoved(okta.String(), "renamed", "")},
		ChangeOwner{User: ann, To: "corp"},
	} {
		if _, err := d.Decide(t.Context(), admin, func(*Snapshot) ([]Change, error) { return []Change{c}, nil }); err != nil {
			t.Fatalf("%T: %v", c, err)
		}
		if p, u := made(); p != pushed || !u.Equal(user) {
			t.Errorf("after %T the record is of %s, not %s, and the user of %v, not %v", c, p, pushed, u, user)
		}
	}
}

// A user whose linked record goes is not told to be gone.
func TestTheFeedKeepsWhoIsUnlinked(t *testing.T) {
	d := open(t, mem.New())
	defer d.stop()
	ann := identity.NewUserID()
	d.push(t, Create{Member: identity.UserMember(ann), Record: record("c", "ann")})
	d.push(t, LinkRecord{User: ann, Record: shoved("k", "ann", "")})
	at := d.View().Now().Rev()
	d.push(t, Delete{Member: identity.UserMember(ann), Source: "okta"})
	changes, _, _ := d.View().Changes(at, 10)
	if len(changes) != 1 || changes[0].Member != identity.UserMember(ann) || changes[0].Removed {
		t.Errorf("the feed says %+v", changes)
	}
	if _, _, ok := d.View().Now().User(ann); !ok {
		t.Error("the user is gone with the record")
	}
}

// Who asks for a record that is nobody's as for a user is told what it is.
func TestNobodyIsNoUser(t *testing.T) {
	d := open(t, mem.New())
	defer d.stop()
	holder := identity.NewUserID()
	d.push(t, KeepApart{Holder: holder, Record: shoved("k", "ann", ""), Why: ApartAmbiguous})
	s := d.View().Now()
	for text, told := range map[string]bool{"okta/ann": true, "okta/k": true, "ann": false, holder.String(): false} {
		if _, err := s.OneUser(text); fault.Code(err) != "user_not_found" || strings.Contains(err.Error(), "nobody") != told {
			t.Errorf("OneUser(%q) = %v", text, err)
		}
	}
	if _, ok := s.Subject(holder); ok {
		t.Error("a record that is nobody's is somebody to permissions")
	}
	for row := range s.Users(identity.UserID{}, time.Now()) {
		t.Errorf("%s is listed", row.Name)
	}
}

// A replica that puts somebody into a group while another one removes his record decides
// again.
func TestAMembershipRestsOnTheRecord(t *testing.T) {
	s := mem.New()
	d, other := open(t, s), open(t, s)
	defer d.stop()
	defer other.stop()
	u, g := identity.NewUserID(), identity.NewGroupID()
	m := identity.UserMember(u)
	d.push(t, Create{Member: m, Record: record("c", "ann")})
	d.push(t, LinkRecord{User: u, Record: shoved("k", "ann", "")})
	group := &identity.Record{Source: "okta", Key: "g1", Name: "all", Pushed: &identity.Pushed{Body: []byte(`{}`)}}
	rev := d.push(t, Create{Member: identity.GroupMember(g), Record: group, Members: 10})
	if _, err := other.View().AtLeast(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	decided := 0
	_, err := d.Push(t.Context(), pusher, func(s *Snapshot) ([]Change, error) {
		if decided++; decided == 1 { // when the other replica is about to
			other.push(t, Deactivate{Member: m, Source: "okta"})
		}
		if p, _ := s.PushedUser("okta", "k"); p.Gone {
			return nil, nil
		}
		return []Change{ChangeMembers{Group: g, Origin: "okta", Add: []identity.Member{m}}}, nil
	})
	if set := d.View().Now().groupSlot(g).own; err != nil || set.len() != 0 || decided < 2 {
		t.Errorf("decided %d times, %v: %d members are in the group", decided, err, set.len())
	}
}

// No source keeps out who was made here, whatever its rule says of others.
func TestALinkedRecordKeepsNobodyOutWhoWasMadeHere(t *testing.T) {
	d := open(t, mem.New())
	defer d.stop()
	root, ann := identity.NewUserID(), identity.NewUserID()
	d.commit(t, admin, Create{Member: identity.UserMember(root), Record: &identity.Record{Source: identity.Local, Key: identity.Key(root.String()), Name: "root"}})
	d.push(t, Create{Member: identity.UserMember(ann), Record: record("c", "ann")})
	off := func(key string) *identity.Record {
		r := shoved(key, key, "")
		r.Disabled, r.Expires = identity.ReasonDisabled, time.Unix(1, 0)
		return r
	}
	d.push(t, LinkRecord{User: root, Record: off("k1"), Bars: true})
	d.push(t, LinkRecord{User: ann, Record: off("k2"), Bars: true})
	for name, want := range map[identity.UserID]identity.Reason{root: identity.Active, ann: identity.ReasonDisabled} {
		s := d.View().Now()
		u, _, _ := s.User(name)
		sub, _ := s.Subject(name)
		if got := u.Status(time.Now()); got != want || sub.Inactive(time.Now()) != want {
			t.Errorf("%s is %q, and %q to permissions, want %q", u.Record.Name, got, sub.Inactive(time.Now()), want)
		}
	}
	d.push(t, Deactivate{Member: identity.UserMember(root), Source: "okta"})
	if u, _, _ := d.View().Now().User(root); u.Status(time.Now()) != identity.Active {
		t.Errorf("the source has lost his record, and he is %q", u.Status(time.Now()))
	}
}
