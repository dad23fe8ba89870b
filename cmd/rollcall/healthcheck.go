package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/fault"
)

// defaultHealth is where a daemon answers for its health that was not told otherwise.
const defaultHealth = "http://127.0.0.1:9090"

// healthTimeout is less than the container runtimes give.
const healthTimeout = 3 * time.Second

func healthcheckCommand(c *cli) *cobra.Command {
	live := false
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a daemon whether it is ready, for containers",
		Long: `Ask a daemon whether it is ready, or only alive, at the address of its health listener:
--url, by default ` + defaultHealth + `.

It ends with 0 when it is and with 1 when it is not or does not answer.`,
		Example: `  rollcall healthcheck
  rollcall healthcheck --live --url http://127.0.0.1:9091`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := "/readyz"
			if live {
				path = "/livez"
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), healthTimeout)
			defer cancel()
			h, err := askHealth(ctx, strings.TrimRight(cmp.Or(c.url, defaultHealth), "/")+path)
			if err != nil {
				c.note("rollcall: %s", c.sentence(cmd.Root(), err))
				return errNo
			}
			return answer(h.Ready, c.show(h, func(w io.Writer) { c.writeHealth(w, h) }))
		},
	}
	cmd.Flags().BoolVar(&live, "live", false, "ask only whether it is alive")
	return cmd
}

// health is what /readyz answers.
type health struct {
	Ready  bool          `json:"ready"`
	Checks []healthCheck `json:"checks,omitempty"`
}

type healthCheck struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitzero"`
}

func askHealth(ctx context.Context, address string) (*health, error) {
	if u, err := url.Parse(address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fault.New(fault.Invalid, "bad_url", "give the address of the health listener as http://host:port")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fault.New(fault.Invalid, "bad_url", "%w", err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "unreachable", "%s does not answer: is the daemon running, and is health set to this address? %w", address, unwrapURL(err))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fault.New(fault.Unavailable, "unreachable", "%s stopped answering: %w", address, err)
	}
	h := &health{}
	if json.Unmarshal(body, h) != nil || len(h.Checks) == 0 {
		h = &health{}
	}
	h.Ready = resp.StatusCode == http.StatusOK
	return h, nil
}

// unwrapURL leaves out the method and the address, which are in the sentence.
func unwrapURL(err error) error {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // http.Client returns it as it is
		return u.Err
	}
	return err
}

func (c *cli) writeHealth(w io.Writer, h *health) {
	if h.Ready {
		fmt.Fprintln(w, c.paint(green, "ok"))
	} else {
		fmt.Fprintln(w, c.paint(red, "not ready"))
	}
	for _, x := range h.Checks {
		mark := "ok     "
		if !x.OK {
			mark = "not ok "
		}
		fmt.Fprintln(w, strings.TrimRight("  "+mark+" "+printable(x.Name)+"  "+printable(x.Detail), " "))
	}
}
