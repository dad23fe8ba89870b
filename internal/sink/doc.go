// Package sink keeps the audit log small and carries it away: it folds what is new
// into segments, removes what need not be kept, and writes every entry to files,
// standard output and webhooks. It is a duty of the leader.
//
// It owns the section of the configuration that says so, the form in which entries
// leave, and how a webhook is signed and guarded. It promises that each sink gets every
// entry in order, at least once: how far it is, is stored, and goes on from there after
// a failure, a restart and a change of leader. A sink that does not take anything holds
// up itself alone. It leaves to package state what the log is, and to package sync who
// leads.
//
// It stores, through package state, one cursor for each sink. A sink that is new begins
// with the oldest entry; a webhook begins with what happens from then on.
package sink
