// Package app puts the daemon together: configuration, store, state, sources, runner,
// API, listeners. It starts them in order, reloads what can be reloaded while they
// run, and stops them in reverse, each step named and the whole bounded.
//
// It owns the wiring, the file's sections as a whole, the listeners with their
// certificates, health and metrics, the first start's token, backup and restore. It
// promises that nothing is left half-started when a start fails, and that after Stop
// no goroutine of its making is left. What the parts do is their own business; flags,
// signals and exit codes are those of cmd/rollcall.
package app
