package main

import (
	"bytes"
	"context"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
	"github.com/rollcall-id/rollcall/state"
)

// secondSource is what else the scripts about linking read.
var secondSource = admin.Source{ID: "hr", Kind: "ldap", AllowLocalAttributes: true, AllowLocalMemberships: true}

// linked puts people on the roll whom a second source knows, too.
func linked(ts *testscript.TestScript, _ bool, _ []string) {
	w := of(ts)
	w.source.mu.Lock()
	w.source.more = append(w.source.more, secondSource)
	w.source.mu.Unlock()
	lee, bo, pay := userID(20), userID(21), groupID(20)
	numbered := func(source identity.SourceID, login, name, number string) *identity.Record {
		r := person(source, login, name, login+"@example.com")
		r.Attributes = identity.Attributes{"number": {number}, "department": {"of " + string(source)}}
		return r
	}
	payroll := team("Payroll", "site", "Linz")
	payroll.Source = "hr"
	for _, cs := range [][]state.Change{
		{state.PutSource{Source: "hr", State: state.SourceState{LastRun: "20261125-084500-000-bbbb"}}},
		{state.Update{Member: identity.UserMember(userID(1)), Record: numbered("corp", "ann", "Ann Müller", "1")}},
		{state.Create{Member: identity.UserMember(lee), Record: numbered("hr", "a.mueller", "Müller, Ann", "1")}},
		{state.Create{Member: identity.UserMember(bo), Record: numbered("hr", "b.oneil", "O'Neil, Bob", "2")}},
		{
			state.Create{Member: identity.GroupMember(pay), Record: payroll, Members: 1},
			state.ChangeMembers{Group: pay, Origin: "hr", Add: []identity.Member{identity.UserMember(lee)}},
		},
		{state.PutGrant{Grant: permissions.Grant{
			ID: permissions.GrantID(userID(120).String()), Permission: permissions.Audit, Subject: identity.GroupMember(pay), By: "user:root",
			At: start, Reason: "CHG-7", Origin: "local", Acknowledged: true,
		}}},
	} {
		ts.Check(w.commit(cs...))
	}
}

var aDigest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// digest keeps the digest that a command shows in a variable.
func digest(ts *testscript.TestScript, _ bool, args []string) {
	var stdout, stderr bytes.Buffer
	c := newCLI(strings.NewReader(""), &stdout, &stderr, []string{"ROLLCALL_URL=" + ts.Getenv("ROLLCALL_URL"), "ROLLCALL_TOKEN=" + ts.Getenv("ROLLCALL_TOKEN")})
	c.now = clock
	c.run(context.Background(), args)
	found := aDigest.FindString(stdout.String())
	if found == "" {
		ts.Fatalf("rollcall %s shows no digest:\n%s%s", strings.Join(args, " "), stdout.String(), stderr.String())
	}
	ts.Setenv("DIGEST", found)
}
