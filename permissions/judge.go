package permissions

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
)

// View is everything that answers depend on but the instant.
type View struct {
	Members Members
	Book    *Book
	// Names make refusals readable. Without them, ids are shown.
	Names Names
}

// Writer is who makes a local write.
type Writer struct {
	User identity.UserID
	// System marks what the installation does itself: the bootstrap, the recovery of
	// an administrator on the machine, the leader's cleaning up. It may confer anything
	// on anyone, since nobody asked for it over the network.
	System bool
	// Limit are the permissions that the key he acts with is restricted to; nil when it
	// is not. He confers nothing by what he left at home.
	Limit []Permission
}

// Judge decides whether a local write may be made, by comparing what everybody
// affected may do before and after it: whatever the path, be it a grant, a
// membership, a nesting, a link, a setting or a name that enters the catalogue. To
// raise somebody is to add to what he may do, or to what he could do if he were
// active and no setting withheld it: a directory may bring him back, and asks nobody.
//
// It returns fault.Denied, code grant_not_allowed, for a write that raises somebody
// above what the writer may confer. That is decided by the rules and by what the
// writer holds before the write: under grant_rule user_admin an effective USER_ADMIN
// confers anything, under held only what he effectively holds as well; under
// forbid_self_grant nobody raises himself. Nobody else confers anything. A write that
// raises nobody is never refused for it. The right to subscribe is no permission, so
// it does not count by itself; what a setting about subscribing masked does.
//
// It returns fault.Conflict, code exclusive_roles, when the write leaves somebody an
// administrator and a governor under admin_governor_exclusive who was not so before,
// and code last_administrator when it empties the floor of [View.Administrators].
// These two hold for the system, too: a recovery that would be refused by one is made
// with another user.
//
// Every user whose groups, grants, standing or settings the write touches has to be
// among affected, once or more often; [View.Reached], [View.Given] and
// [View.SettingsReach] find them. What syncs and pushes cause is not judged: there,
// suppression shows what would have been refused here.
func Judge(before, after View, affected iter.Seq[identity.UserID], w Writer, now time.Time) error {
	j := newJudge(before, after, w, now)
	if err := j.self(); err != nil {
		return err
	}
	if !j.anything || j.exclusive {
		for user := range affected {
			if err := j.user(user); err != nil {
				return err
			}
			if j.anything && j.both.More {
				break // nothing that could still come changes the answer
			}
		}
	}
	if len(j.both.Users) > 0 {
		return fault.New(fault.Conflict, "exclusive_roles", "%w", &j.both)
	}
	if !after.hasAdministrator() && before.hasAdministrator() {
		return fault.New(fault.Conflict, "last_administrator",
			"this would leave nobody who can administer Rollcall: first give %s and %s, without expiry, to another active local user",
			ApplicationAdmin, UserAdmin)
	}
	return nil
}

// JudgeGroups is the part of [Judge] for people who are yet to come. It returns
// fault.Denied, code grant_not_allowed, when a write adds to what the members of a
// group get by it more than the writer may confer. A group that nobody is in raises
// nobody today, but a directory may put people there, and asks nobody. Affected are
// the groups that the write gives a grant to, and those that it nests in another.
func JudgeGroups(before, after View, affected iter.Seq[identity.GroupID], w Writer, now time.Time) error {
	j := newJudge(before, after, w, now)
	if j.anything {
		return nil
	}
	for group := range affected {
		get := j.after.group(group)
		if n := get.beyond(j.before.group(group), j.confers); n >= 0 {
			return refusal(&NotConferrable{
				Group: group, Name: j.name(identity.GroupMember(group)),
				Permission: j.numbers.names[n], Rule: j.rule(),
			})
		}
	}
	return nil
}

// MayConfer returns fault.Denied, code grant_not_allowed, unless the writer may give
// these permissions to anybody but himself. It is for what confers later: a list of
// default permissions, the approval of a run that raises somebody.
func MayConfer(v View, w Writer, now time.Time, ps ...Permission) error {
	j := newJudge(v, v, w, now)
	for _, p := range ps {
		if !j.anything && !j.confers.has(j.numbers.of(p)) {
			return refusal(&NotConferrable{Permission: p, Rule: j.rule()})
		}
	}
	return nil
}

// judge is one judgment under way.
type judge struct {
	before, after *ledger
	numbers       *numbering
	writer        Writer
	rules         Settings // those that hold while the write is decided
	exclusive     bool     // after the write
	admin         bool     // the writer is an effective USER_ADMIN
	anything      bool     // and may give any permission to anybody, but perhaps himself
	confers       set      // what he may give, unless it is anything
	both          ExclusiveRoles
}

func newJudge(before, after View, w Writer, now time.Time) *judge {
	numbers := newNumbering()
	j := &judge{
		before: newLedger(before, numbers, now), after: newLedger(after, numbers, now), numbers: numbers,
		writer: w, rules: before.Book.Settings(), exclusive: after.Book.Settings().AdminGovernorExclusive,
	}
	j.authority()
	return j
}

// authority works out what the writer may confer.
func (j *judge) authority() {
	if j.anything = j.writer.System; j.anything {
		return
	}
	held := slices.Clone(j.before.abilities(j.writer.User).may)
	if j.writer.Limit != nil {
		limit := set{}
		for _, p := range j.writer.Limit {
			limit = limit.with(j.numbers.of(p))
		}
		held = held.and(limit)
	}
	if j.admin = held.has(builtInIndex(UserAdmin)); j.admin {
		j.anything, j.confers = j.rules.GrantRule == GrantRuleUserAdmin, held
	}
}

// rule names the setting that keeps the writer from conferring.
func (j *judge) rule() Setting {
	if j.admin {
		return SettingGrantRule
	}
	return ""
}

// self keeps the writer from raising himself where that is forbidden. He is looked
// at even when nobody thought him affected.
func (j *judge) self() error {
	if !j.rules.ForbidSelfGrant || j.writer.System {
		return nil
	}
	if p, raised := j.raised(j.writer.User, nil); raised {
		return j.refuse(j.writer.User, p, SettingForbidSelfGrant)
	}
	return nil
}

// user looks at one of those affected.
func (j *judge) user(user identity.UserID) error {
	if !j.anything {
		if p, raised := j.raised(user, j.confers); raised {
			return j.refuse(user, p, j.rule())
		}
	}
	if j.exclusive {
		j.exclude(user)
	}
	return nil
}

// raised returns a permission that the write gives to the user and that is not
// among those that may be given.
func (j *judge) raised(user identity.UserID, confers set) (Permission, bool) {
	after := j.after.abilities(user)
	if after.granted.beyond(confers) < 0 {
		return "", false
	}
	before := j.before.abilities(user)
	n := after.may.beyond(before.may, confers)
	if n < 0 {
		n = after.granted.beyond(before.granted, confers)
	}
	if n < 0 {
		return "", false
	}
	return j.numbers.names[n], true
}

// exclude notes a user whom the write makes an administrator and a governor.
func (j *judge) exclude(user identity.UserID) {
	if !j.after.abilities(user).both {
		return
	}
	if j.before.settings.AdminGovernorExclusive && j.before.abilities(user).both {
		return // a directory did, and GOVERNANCE is suppressed
	}
	j.both.add(j.after, user)
}

// NotConferrable is the cause of a refusal, code grant_not_allowed.
type NotConferrable struct {
	User       identity.UserID  // who would be raised; zero: a group, or whoever it may be
	Group      identity.GroupID // whose members would be
	Name       string           // of the one or the other; "" when no names were at hand
	Permission Permission
	// Rule is the setting that stands against it; "" when the writer is no user
	// administrator at all.
	Rule Setting
}

// Error returns a sentence for the writer.
func (e *NotConferrable) Error() string {
	to := ""
	switch {
	case !e.User.IsZero():
		to = " to " + nameOr(e.Name, Ref{identity.UserMember(e.User)})
	case !e.Group.IsZero():
		to = " to the members of " + nameOr(e.Name, Ref{identity.GroupMember(e.Group)})
	}
	p := printable(string(e.Permission))
	switch e.Rule {
	case SettingForbidSelfGrant:
		return fmt.Sprintf("%s is on, and this would give %s to yourself: ask another user administrator", e.Rule, p)
	case SettingGrantRule:
		return fmt.Sprintf("%s is %s, and you do not hold %s yourself: ask a user administrator who does to give it%s",
			e.Rule, GrantRuleHeld, p, to)
	}
	return fmt.Sprintf("this would give %s%s, which only a user administrator may: ask one", p, to)
}

func (j *judge) refuse(user identity.UserID, p Permission, rule Setting) error {
	return refusal(&NotConferrable{User: user, Name: j.name(identity.UserMember(user)), Permission: p, Rule: rule})
}

func refusal(e *NotConferrable) error { return fault.New(fault.Denied, "grant_not_allowed", "%w", e) }

// name returns what people call a user or a group, "" when nobody told.
func (j *judge) name(m identity.Member) string {
	n := j.after.view.Names
	if n == nil {
		return ""
	}
	if g, ok := m.Group(); ok {
		name, _ := n.GroupName(g)
		return name
	}
	u, _ := m.User()
	return n.UserName(u)
}
