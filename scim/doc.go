// Package scim is the SCIM 2.0 endpoint (RFC 7643, 7644, 9865): identity providers push
// users and groups to it, each into a source of its own, and see only what is theirs.
//
// It owns what happens to a request between the network and the state: whose it is,
// how large and how deep it may be, which resource it means, and the answer. Writes are
// routed and checked by github.com/elimity-com/scim, after package dialect has turned
// what the provider sent into what the RFC says, and what it has let pass it is not asked
// about again (verdicts.go); queries and discovery are answered
// from memory beside it. It promises that no request ends the process, that nothing of
// one source is seen or touched through another, and that nothing pushed becomes a
// permission. How resources are stored, and that writes which come together share a
// transaction, is the business of package state.
package scim
