package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/client"
	"github.com/rollcall-id/rollcall/fault"
)

// followAgain is how long is waited before a stream that ended is asked for again.
const followAgain = 2 * time.Second

// followAudit shows entries as they come, up to most of them unless that is 0. A stream
// that ends is taken up where it was, for as long as the daemon takes to come back; one
// that never began is an error.
func (c *cli) followAudit(ctx context.Context, api *client.Client, f auditFilter, after string, most int) error {
	began := false
	for shown := 0; ; {
		for m, err := range api.FollowAudit(ctx, f.follow(), after) {
			if err != nil {
				if !began || !errors.Is(err, fault.Unavailable) {
					return err
				}
				c.note("The stream was cut off (%v); it is taken up again.", err)
				break
			}
			began, after = true, m.After
			if m.Entry == nil {
				continue
			}
			if err := c.writeFollowed(m.Entry); err != nil {
				return err
			}
			if shown++; shown == most {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(followAgain):
		}
	}
}

// writeFollowed writes an entry as soon as it is there: as lines of text, as a line of
// JSON, or as a document of YAML.
func (c *cli) writeFollowed(e *client.AuditEntry) error {
	var b bytes.Buffer
	switch c.output {
	case asJSON:
		if err := json.MarshalWrite(&b, e, json.Deterministic(true)); err != nil {
			return fmt.Errorf("write JSON: %w", err)
		}
		b.WriteByte('\n')
	case asYAML:
		b.WriteString("---\n")
		if err := writeYAML(&b, e); err != nil {
			return fmt.Errorf("write YAML: %w", err)
		}
	default:
		for _, row := range c.auditRows(e) {
			fmt.Fprintln(&b, printable(strings.TrimRight(strings.Join(row[:], "  "), " ")))
		}
	}
	if _, err := c.stdout.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
