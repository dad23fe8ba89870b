// Command clientgen writes the part of package client that follows from the OpenAPI
// document: a type for each shape, and a method for each operation. It reads
// docs/openapi.json and writes client/shapes_gen.go and client/operations_gen.go; run it by
// go generate ./client. How a request is sent, repeated and read is written by hand there.
//
// It understands what package admin puts into the document, and stops at anything else.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(".."); err != nil {
		fmt.Fprintln(os.Stderr, "clientgen:", err)
		os.Exit(1)
	}
}

// run reads and writes below the root of the tree.
func run(root string) error {
	text, err := os.ReadFile(filepath.Join(root, "docs", "openapi.json"))
	if err != nil {
		return err
	}
	files, err := generate(text)
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(root, "client", name), content, 0o644); err != nil { //nolint:gosec // source is for everybody
			return err
		}
	}
	return nil
}
