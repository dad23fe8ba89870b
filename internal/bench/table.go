package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// table is what was measured.
type table struct {
	scale int
	large bool
	began time.Time
	load  string
	rows  []row
	notes []string
}

// row is one line of it.
type row struct {
	what, floor, ours, ratio, bar string
	met                           bool
}

func newTable(scale int) *table { return &table{scale: scale, began: time.Now(), load: load()} }

func (t *table) add(r row) {
	t.rows = append(t.rows, r)
	fmt.Fprintf(os.Stderr, "%s: floor %s, ours %s, ratio %s, bar %s: %s\n", r.what, r.floor, r.ours, r.ratio, r.bar, yes(r.met))
}

func (t *table) note(format string, args ...any) {
	n := fmt.Sprintf(format, args...)
	t.notes = append(t.notes, n)
	fmt.Fprintln(os.Stderr, "  "+n)
}

func yes(met bool) string {
	if met {
		return "yes"
	}
	return "**no**"
}

// ratio adds a row of times in seconds.
func (t *table) ratio(what string, p pairs, bar float64) {
	f, o := median(p.floor), median(p.ours)
	t.add(row{what, secs(p.floor), secs(p.ours), fmt.Sprintf("%.2f", o/f), fmt.Sprintf("at most %.1f x", bar), o/f <= bar})
}

// write prints the table in Markdown.
func (t *table) write(w io.Writer) {
	title, command := "Benchmarks", "make bench"
	if t.large {
		title, command = "Benchmarks of a large directory", "make bench-large"
	}
	fmt.Fprintf(w, "# %s\n\nWritten by `%s` on %s: %s; Go %s; Linux %s.\n", title, command,
		t.began.UTC().Format("2006-01-02"), machine(), strings.TrimPrefix(runtime.Version(), "go"), kernel())
	fmt.Fprintf(w, "The directory is OpenLDAP's slapd on the same machine, with %s users, %s groups and %s\nmemberships; etcd writes with fsync. ",
		thousands(t.scale), thousands(t.scale/10), thousands(t.scale/10*membersOf))
	fmt.Fprint(w, "Times are medians of three (seven where it is short), floor and ours in turn, each in a process\nof its own; in brackets the fastest and the slowest. ")
	fmt.Fprintf(w, "The load average was %s before and %s after: the benchmark alone makes about two,\nand times of a machine that others use as well are worth as much as their ratios.\n\n", t.load, load())
	fmt.Fprint(w, "| what | floor | ours | ratio | bar | met |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, r := range t.rows {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", r.what, r.floor, r.ours, r.ratio, r.bar, yes(r.met))
	}
	fmt.Fprintln(w)
	for _, n := range t.notes {
		fmt.Fprintf(w, "- %s\n", n)
	}
}

// pairs are times of the same work, floor and ours in turn.
type pairs struct{ floor, ours []float64 }

func (p *pairs) add(floor, ours float64) {
	p.floor, p.ours = append(p.floor, floor), append(p.ours, ours)
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

func secs(v []float64) string {
	return fmt.Sprintf("%.2f s (%.2f-%.2f)", median(v), slices.Min(v), slices.Max(v))
}

func machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for l := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	memory := ""
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kb int
		if _, err := fmt.Sscanf(string(b), "MemTotal: %d kB", &kb); err == nil {
			memory = fmt.Sprintf(", %.0f GiB", float64(kb)/(1<<20))
		}
	}
	return fmt.Sprintf("%s, %d cores%s", model, runtime.NumCPU(), memory)
}

// load returns the load average of the last minute.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

func kernel() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
