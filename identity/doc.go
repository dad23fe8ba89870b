// Package identity is the model of the roll: users, groups, what sources say of
// them, the local layer on top, and how both become what holds in the end.
//
// It owns the words (ids, sources, records, origins, attributes), the merging of
// attributes with their origin, the closure of group nesting, and the observation
// that a read of a source returns. It promises to be pure: values in, values out,
// no clock, no log, no input or output. What is stored, and how, is the business
// of package state; who may do what, of package permissions.
package identity
