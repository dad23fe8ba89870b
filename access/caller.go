package access

import (
	"net/http"
	"strings"

	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/permissions"
)

// Caller is who makes a request: a person, known by an API key of his.
type Caller struct {
	User   identity.UserID
	Name   string // the login name, as it is now
	Source identity.SourceID
	Kind   Kind
	Token  string // public id of the credential
	// Limit, when there is any, is all that the credential may be used for, whatever its
	// user may do.
	Limit []permissions.Permission
	// By, when set, is who really makes the request: he is answered as User.
	By *Caller
}

// Real returns who makes the request, whoever he is answered as.
func (c Caller) Real() Caller {
	if c.By != nil {
		return *c.By
	}
	return c
}

// Actor returns the caller as the audit log names him: who really makes the request.
// request ties the entries of one request together.
func (c Caller) Actor(request string) audit.Actor {
	c = c.Real()
	return audit.Actor{Kind: audit.ActorUser, ID: c.User.String(), Name: c.Name, Key: c.Token, Request: request}
}

// maxCredential is far more than one of our credentials has, and maxBearer more than
// any token of an identity provider: what is longer is not looked at.
const (
	maxCredential = 512
	maxBearer     = 8 << 10
)

// FromHeader returns the credential of a request. It is fault.Unauthenticated when
// there is none, when there is more than one, and when it is not one of ours: an
// empty bearer is refused here, before anything could be compared with it.
func FromHeader(h http.Header) (Credential, error) {
	text, err := Bearer(h)
	if err != nil {
		return Credential{}, err
	}
	if len(text) > maxCredential {
		return Credential{}, badHeader()
	}
	return Parse(text)
}

// Bearer returns what a request presents to show who makes it: one of our credentials
// or, where [Signed] says so, a token that an identity provider signed. It is
// fault.Unauthenticated when there is nothing, or not exactly one thing.
func Bearer(h http.Header) (string, error) {
	values := h.Values("Authorization")
	switch {
	case len(values) == 0:
		return "", fault.New(fault.Unauthenticated, "no_credential",
			"send an API key in the header Authorization: Bearer <key>")
	case len(values) > 1 || len(values[0]) > maxBearer:
		return "", badHeader()
	}
	// RFC 9110 §11.1: the scheme is compared without regard to case.
	scheme, text, ok := strings.Cut(values[0], " ")
	text = strings.TrimSpace(text)
	if !ok || !strings.EqualFold(scheme, "Bearer") || text == "" {
		return "", badHeader()
	}
	return text, nil
}

func badHeader() error {
	return fault.New(fault.Unauthenticated, "bad_credential",
		"send exactly one header Authorization: Bearer <key>")
}

// Signed reports whether text has the form of a signed token: three parts with dots
// between them (RFC 7515 §3.1). No credential of ours has a dot.
func Signed(text string) bool { return strings.Count(text, ".") == 2 }
