// Package archtest holds the architecture of this repository as a table, and a test
// that fails when the code strays from it.
//
// It owns the floors of the house (who may import whom), the one home of each
// library, the list of top-level directories, and a few habits that a compiler cannot
// see: no init functions, no context that nobody can cancel, a real comment on every
// package, packages that decide without touching the world. It promises that each
// finding says what is wrong and where to put it right. It changes nothing and runs
// as an ordinary test: go test ./internal/archtest.
//
// To change the architecture, change rules.go, and docs/architecture.md with it.
package archtest
