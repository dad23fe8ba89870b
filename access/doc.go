// Package access knows who is asking: the credentials that Rollcall issues, how they
// are read from a request, and the caller that comes out of it.
//
// It owns the form of a credential, its hash and its comparison, and the
// Authorization header. It promises that a credential prints nowhere, that only its
// hash needs to be stored, that comparing takes the same time wherever two hashes
// differ, and that an empty credential is refused before anything is compared. Where
// hashes are kept is the business of package state; what a caller may do, of whoever
// is asked.
package access
