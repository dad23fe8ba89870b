// Package access knows who is asking: the credentials that Rollcall issues, the tokens
// that an identity provider signs, how either is read from a request, the caller that
// comes out of it, and how often he may ask.
//
// It owns the form of a credential, its hash and its comparison, the Authorization
// header, the verification of OpenID Connect tokens, and the limits by key and by
// address. It promises that a credential prints nowhere, that only its hash needs to
// be stored, that comparing takes the same time wherever two hashes differ, that an
// empty credential is refused before anything is compared, that a signed token counts
// only when its issuer signed it for Rollcall and it holds now, and that what it
// remembers of who asks is bounded. Where hashes are kept is the business of package
// state; what a caller may do, of whoever is asked.
package access
