package sync_test

import (
	"context"
	"fmt"
	gosync "sync"
	"testing"
	"time"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/store/mem"
	"github.com/rollcall-id/rollcall/sync"
)

// load is many sources, and what reads of them hold at the same time.
type load struct {
	mu            gosync.Mutex
	holds         map[identity.SourceID]int
	few, many     int // reads that hold more than 1,000, and 25,000 entries
	mostFew, most int
}

func (c *load) hold(id identity.SourceID, entries int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holds[id] = entries
	c.few, c.many = 0, 0
	for _, n := range c.holds {
		if n > 1000 {
			c.few++
		}
		if n > 25_000 {
			c.many++
		}
	}
	c.mostFew, c.most = max(c.mostFew, c.few), max(c.most, c.many)
}

// source reads so many entries in so many pages, a page a second, and then does last.
func (c *load) source(id identity.SourceID, entries, pages int, last func(context.Context) error) sync.SourceSpec {
	src := &script{}
	src.set(func(ctx context.Context, r sync.PullRequest) (*identity.Observation, error) {
		defer c.hold(id, 0)
		for page := range pages {
			n := (page + 1) * entries / pages
			time.Sleep(time.Second)
			r.Progress(sync.Progress{Stage: "users", Users: n, Pages: page + 1})
			c.hold(id, n)
		}
		if err := last(ctx); err != nil {
			return nil, err
		}
		return &identity.Observation{Source: id, Proof: proven}, ctx.Err()
	})
	return sync.SourceSpec{ID: id, Source: src, ConfigHash: "c"}
}

func ends(context.Context) error { return nil }

func hangs(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

// startAll begins a run of each source at once.
func startAll(t *testing.T, h *house, specs []sync.SourceSpec) {
	t.Helper()
	if err := h.Reload(specs); err != nil {
		t.Fatal(err)
	}
	h.start()
	for _, s := range specs {
		if _, err := h.Start(t.Context(), s.ID, "root"); err != nil {
			t.Fatal(err)
		}
	}
}

// What many sources hold at the same time is bounded, and each has its turn.
func TestMemoryDoesNotGrowWithTheSources(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := &load{holds: map[identity.SourceID]int{}}
		var specs []sync.SourceSpec
		for i := range 40 {
			specs = append(specs, c.source(identity.SourceID(fmt.Sprintf("s%d", i)), 20_000, 20, ends))
		}
		h := build(t, mem.New())
		startAll(t, h, specs)
		defer h.stop()
		sleep(2 * time.Hour)
		for _, s := range specs {
			if st := h.Status(s.ID); st.LastProven.IsZero() {
				t.Errorf("source %s has not had its turn: %+v", s.ID, st)
			}
		}
		if c.mostFew != 8 {
			t.Errorf("%d reads held over 1,000 entries at once, want 8", c.mostFew)
		}
	})
}

// Directories that do not answer, or are huge, hold up none that is not.
func TestSourcesDoNotDisturbEachOther(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := &load{holds: map[identity.SourceID]int{}}
		var specs []sync.SourceSpec
		add := func(name string, n, entries, pages int, last func(context.Context) error) {
			for i := range n {
				specs = append(specs, c.source(identity.SourceID(fmt.Sprintf("%s%d", name, i)), entries, pages, last))
			}
		}
		add("silent", 20, 0, 1, hangs)
		add("huge", 12, 30_000, 30, hangs)
		add("small", 20, 900, 1, ends)
		add("medium", 20, 20_000, 20, ends)
		h := build(t, mem.New())
		startAll(t, h, specs)
		defer h.stop()
		sleep(time.Hour)
		waiting := 0
		for _, s := range specs {
			hangs := s.ID[0] == 's' && s.ID[1] == 'i' || s.ID[0] == 'h'
			if done := !h.Status(s.ID).LastProven.IsZero(); done == hangs {
				t.Errorf("source %s: done is %t", s.ID, done)
			}
			if _, p, live := h.Live(s.ID); live && p.Stage == sync.StageWaiting {
				waiting++
			}
		}
		if waiting != 10 || c.most != 2 {
			t.Errorf("%d runs are shown as waiting, and %d reads hold over 25,000 entries: want 10 and 2 of the huge ones", waiting, c.most)
		}
	})
}
