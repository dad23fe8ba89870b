package main

import (
	"time"

	"github.com/rollcall-id/rollcall/client"
)

// auditFilter says which entries of the audit log are wanted. The zero value lets
// everything through.
type auditFilter struct {
	Actor, Action, Target, Text string
	From, Until                 time.Time // not before, and before
}

// query is the filter for a page.
func (f *auditFilter) query(order string, p page) client.ListAuditQuery {
	return client.ListAuditQuery{
		Actor: f.Actor, Action: f.Action, Target: f.Target, Text: f.Text, From: f.From, Until: f.Until,
		Order: order, PageSize: p.size, PageToken: p.token,
	}
}

// export is the filter for an export.
func (f *auditFilter) export(after int64) client.ExportAuditQuery {
	return client.ExportAuditQuery{Actor: f.Actor, Action: f.Action, Target: f.Target, Text: f.Text, From: f.From, Until: f.Until, After: after}
}

// follow is the filter for a stream.
func (f *auditFilter) follow() client.FollowAuditQuery {
	return client.FollowAuditQuery{Actor: f.Actor, Action: f.Action, Target: f.Target, Text: f.Text, From: f.From, Until: f.Until}
}
