package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/client"
	"github.com/rollcall-id/rollcall/fault"
)

// followAgain is how long is waited before a stream that ended is asked for again.
const followAgain = 2 * time.Second

// followAudit shows entries of the log as they come, up to most of them unless that is 0.
func (c *cli) followAudit(ctx context.Context, api *client.Client, f auditFilter, after string, most int) error {
	return follow(ctx, c, after, most, func(after string) iter.Seq2[client.Followed[client.AuditEntry], error] {
		return api.FollowAudit(ctx, f.follow(), after)
	}, c.auditLines)
}

func (c *cli) auditLines(e *client.AuditEntry) []string {
	var lines []string
	for _, row := range c.auditRows(e) {
		lines = append(lines, strings.Join(row[:], "  "))
	}
	return lines
}

// follow shows what a stream brings, as it comes, up to most of it unless that is 0; of
// what has no lines nothing is shown. A stream that ends is taken up where it was, for as
// long as the daemon takes to come back; one that never began is an error.
func follow[T any](
	ctx context.Context, c *cli, after string, most int,
	from func(after string) iter.Seq2[client.Followed[T], error], lines func(*T) []string,
) error {
	began := false
	for shown := 0; ; {
		for m, err := range from(after) {
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
			text := lines(m.Entry)
			if len(text) == 0 {
				continue
			}
			if err := c.writeFollowed(m.Entry, text); err != nil {
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
func (c *cli) writeFollowed(e any, lines []string) error {
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
		for _, line := range lines {
			fmt.Fprintln(&b, printable(strings.TrimRight(line, " ")))
		}
	}
	if _, err := c.stdout.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}
