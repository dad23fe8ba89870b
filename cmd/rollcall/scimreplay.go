package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/audit"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/app"
	"github.com/rollcall-id/rollcall/scim"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/mem"
)

// scratch is what the source is called that a replay pushes to.
const scratch = identity.SourceID("scratch")

// replayOptions are the flags of a replay.
type replayOptions struct{ preset, config, source string }

func scimReplayCommand(c *cli) *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Try a recorded exchange on a scratch source, and compare the answers",
		Long: `Send the requests of a file to an empty source in this very process, which ends with it, and
compare the answers with those of the file. No daemon is asked and nothing is stored.
docs/scim-replay.md has the format of the file: requests as they go over the network,
each with the answer that is expected, if any.

It ends with 0 when every answer is as recorded and with 1 when one differs.`,
		Example: `  rollcall scim replay entra.http --preset entra
  rollcall scim replay okta.http --config rollcall.yaml --source okta`,
		Args: c.args("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := c.scratchConfig(&o)
			if err != nil {
				return err
			}
			all, err := c.exchangesOf(args[0])
			if err != nil {
				return err
			}
			r, err := replay(cmd.Context(), cfg, c.now, all)
			if err != nil {
				return err
			}
			return answer(r.Differing == 0, c.show(r, func(w io.Writer) { c.writeReplay(w, r) }))
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.preset, "preset", "", "the `NAME` of the provider's preset (default: "+scim.DefaultConfig().Preset+")")
	f.StringVarP(&o.config, "config", "c", "", "take knobs, schemas and types from the configuration `FILE`")
	f.StringVar(&o.source, "source", "", "the `SOURCE` of that configuration")
	return cmd
}

// scratchConfig returns how the scratch source is pushed to.
func (c *cli) scratchConfig(o *replayOptions) (scim.Config, error) {
	cfg := scim.DefaultConfig()
	if (o.config == "") != (o.source == "") {
		return cfg, usage("--config FILE and --source SOURCE go together")
	}
	if o.config != "" {
		file, err := c.loadConfig(o.config)
		if err != nil {
			return cfg, err
		}
		i := slices.IndexFunc(file.Sources, func(s app.Source) bool { return s.Name == o.source && !s.Pulled() })
		if i < 0 {
			return cfg, usage("%s has no source %q of type scim", o.config, o.source)
		}
		cfg = file.Sources[i].SCIM
	}
	if o.preset != "" {
		cfg.Preset = o.preset
	}
	return cfg, nil
}

func (c *cli) exchangesOf(file string) ([]exchange, error) {
	if file == "-" {
		return readExchanges(c.stdin, "stdin")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, usage("read the exchanges: %v", err)
	}
	defer func() { _ = f.Close() }()
	return readExchanges(f, file)
}

// replayed is what a replay came to.
type replayed struct {
	Exchanges []replayedExchange `json:"exchanges"`
	Compared  int                `json:"compared"`
	Differing int                `json:"differing"`
}

// replayedExchange is one request of it.
type replayedExchange struct {
	Line        int          `json:"line"`
	Title       string       `json:"title,omitzero"`
	Method      string       `json:"method"`
	Path        string       `json:"path"`
	Status      int          `json:"status"`
	Recorded    int          `json:"recordedStatus,omitzero"`
	Notes       []string     `json:"notes,omitempty"`
	Answer      any          `json:"answer,omitzero"`
	Differences []difference `json:"differences,omitempty"`

	text string // of the answer
}

// replay sends exchanges to an endpoint of its own.
func replay(ctx context.Context, cfg scim.Config, now func() time.Time, all []exchange) (out *replayed, err error) {
	ctx, cancel := context.WithCancel(ctx)
	db, err := state.Open(ctx, state.Options{Store: mem.New(), Now: now})
	if err != nil {
		cancel()
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- db.Run(ctx) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-ended)
	}()
	server, err := scim.New(scim.Options{DB: db, Now: now, PublicURL: "https://rollcall.example"})
	if err != nil {
		return nil, err
	}
	if err := server.Reload([]scim.Source{{ID: scratch, Config: cfg}}); err != nil {
		return nil, usage("%v", err)
	}
	token := access.New(access.KindPush)
	_, err = db.Commit(ctx, audit.Actor{Kind: audit.ActorSystem, ID: "replay"}, state.PutToken{Token: state.Token{
		ID: token.ID(), Hash: token.Hash(), Source: scratch, Name: "replay", Created: now(), Used: now(),
	}})
	if err != nil {
		return nil, err
	}
	p := &player{server: server, token: token.Reveal(), known: aliases{}}
	out = &replayed{Exchanges: []replayedExchange{}}
	for i := range all {
		done, err := p.play(ctx, &all[i])
		if err != nil {
			return nil, err
		}
		out.add(done)
	}
	return out, nil
}

func (r *replayed) add(x replayedExchange) {
	r.Exchanges = append(r.Exchanges, x)
	if x.Recorded != 0 {
		r.Compared++
	}
	if len(x.Differences) > 0 {
		r.Differing++
	}
}

// player sends one exchange after the other.
type player struct {
	server *scim.Server
	token  string
	known  aliases
}

func (p *player) play(ctx context.Context, x *exchange) (replayedExchange, error) {
	path := p.known.in(x.path)
	done := replayedExchange{Line: x.line, Title: x.title, Method: x.method, Path: path, Recorded: x.status}
	r, err := http.NewRequestWithContext(ctx, x.method, "https://rollcall.example"+scim.Prefix+string(scratch)+path, strings.NewReader(p.known.in(x.body)))
	if err != nil {
		return done, usage("the request of line %d: %v", x.line, err)
	}
	for name, values := range x.header {
		for _, v := range values {
			r.Header.Add(name, p.known.in(v))
		}
	}
	r.Header.Set("Authorization", "Bearer "+p.token)
	r.Header.Set("X-Request-Id", "line-"+strconv.Itoa(x.line))
	if x.body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/scim+json")
	}
	w := &answered{header: http.Header{}}
	p.server.ServeHTTP(w, r)
	done.Status, done.text = w.status, w.body.String()
	if log, _ := p.server.Requests(scratch); len(log) > 0 && log[0].Request == r.Header.Get("X-Request-Id") {
		done.Notes = log[0].Notes
	}
	if w.body.Len() > 0 && json.Unmarshal(w.body.Bytes(), &done.Answer) != nil {
		done.Answer = done.text
	}
	if x.status == 0 {
		return done, nil
	}
	if x.status != w.status {
		done.Differences = append(done.Differences, difference{"status", strconv.Itoa(x.status), strconv.Itoa(w.status)})
	}
	return done, p.compare(x, &done)
}

// compare compares bodies where one was recorded.
func (p *player) compare(x *exchange, done *replayedExchange) error {
	if x.expects == "" {
		return nil
	}
	var recorded any
	if err := json.Unmarshal([]byte(x.expects), &recorded); err != nil {
		return usage("the answer to the request of line %d is not JSON: %v", x.line, err)
	}
	p.known.learn(recorded, done.Answer)
	var here any // as it would have been recorded here
	if err := json.Unmarshal([]byte(p.known.in(x.expects)), &here); err != nil {
		return usage("the answer to the request of line %d: %v", x.line, err)
	}
	done.Differences = append(done.Differences, compare("$", here, done.Answer)...)
	return nil
}

// answered is an answer that is kept.
type answered struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answered) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answered) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answered) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (c *cli) writeReplay(w io.Writer, r *replayed) {
	for i := range r.Exchanges {
		x := &r.Exchanges[i]
		mark := c.paint(green, "as recorded")
		switch {
		case x.Recorded == 0:
			mark = "answered"
		case len(x.Differences) > 0:
			mark = c.paint(red, "DIFFERS")
		}
		title := ""
		if x.Title != "" {
			title = "  # " + x.Title
		}
		fmt.Fprintf(w, "%s %s  %d  %s%s\n", x.Method, printable(x.Path), x.Status, mark, printable(title))
		for _, n := range x.Notes {
			fmt.Fprintf(w, "  changed first  %s\n", printable(n))
		}
		if x.text != "" {
			fmt.Fprintf(w, "  answer         %s\n", printable(x.text))
		}
		for _, d := range x.Differences {
			fmt.Fprintf(w, "  %s: recorded %s, answered %s\n", c.paint(red, printable(d.Where)), printable(d.Recorded), printable(d.Answered))
		}
	}
	if r.Compared > 0 {
		fmt.Fprintf(w, "%d of %d recorded answers are the same.\n", r.Compared-r.Differing, r.Compared)
	}
}
