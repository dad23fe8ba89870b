// Package admin is the admin API: what people and programs use to look at the roll,
// to change the local layer, to grant and to explain permissions, and to run sources.
//
// It owns the routes under /v1 and their JSON, which are described by the OpenAPI
// document that it serves, and the two decisions that belong to them: who may call an
// operation, and what the last administrator may not lose. It promises that nothing
// is written that the caller may not write, that a body is read in one way only
// (names are compared exactly, no name twice, no name unknown), that an error has a
// stable code and never repeats what was sent, and that a credential is shown once.
// It leaves the writing to package state, the check to package permissions, and the
// runs of sources to whoever implements [Syncer].
//
// A caller is known by an API key. What he may do is looked up with each request, in
// the snapshot that answers it: a revocation, a disable and an expiry count at once.
//
// The parts that inputs share (UserPath, PageQuery, ...) are exported because huma does
// not look into embedded types that are not.
package admin
