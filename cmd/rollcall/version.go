package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is what this is a build of. A release is tagged with it.
const version = "0.1.0-dev"

// build describes the binary.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitzero"` // of the source
	Time     string `json:"time,omitzero"`     // of that revision
	Modified bool   `json:"modified,omitzero"` // the source differed from it
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func versionCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			return c.show(b, func(w io.Writer) {
				fmt.Fprintf(w, "rollcall %s\n", b.Version)
				var facts block
				facts.add("revision", "%s", b.Revision)
				facts.add("time", "%s", b.Time)
				facts.add("go", "%s %s", b.Go, b.Platform)
				facts.write(w)
			})
		},
	}
}
