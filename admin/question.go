package admin

import (
	"context"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/audit"
)

// question is what is known about the request that is being answered. It rides in the
// request's context, because huma hands a handler nothing else, and nowhere further.
type question struct {
	request     string // the id of the request
	instance    string // the path
	conditional bool   // If-Match was sent
	dryRun      bool   // only what would be is asked for
	caller      access.Caller
}

type questionKey struct{}

func (q question) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, questionKey{}, q)
}

func questionOf(ctx context.Context) question {
	q, _ := ctx.Value(questionKey{}).(question)
	return q
}

// actorOf returns who is asking, as the audit log names him.
func actorOf(ctx context.Context) audit.Actor {
	q := questionOf(ctx)
	return q.caller.Actor(q.request)
}
