// Package config reads the one file that an installation is described in.
//
// It owns the loading of YAML with its line numbers, the overrides from the
// environment, the strict decoding of a section into a struct, the list of
// problems, and secrets that are given by reference. It promises that every problem
// is reported, not only the first, each with its file, line and path and with what
// to do; that a key nobody knows is refused; and that a secret is never printed.
//
// It leaves the meaning to others: each package declares the struct of its own
// section with its defaults, and a Validate method that adds to a [Problems]. This
// package imports none of them. Package internal/app puts the sections together.
package config
