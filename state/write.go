package state

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A first run writes every object of a directory, and reflection takes half of the
// time that it spends on each. So objects are written by hand, byte for byte as
// encoding their struct would write them.

// append adds the stored form of an object to b.
func (o *storedObject) append(b []byte) ([]byte, error) {
	w := writer{b: append(b, `{"v":`...)}
	w.b = strconv.AppendInt(w.b, int64(o.V), 10)
	w.field("src", string(o.Source))
	w.field("key", string(o.Key))
	w.field("name", o.Name)
	if o.Hash != 0 {
		w.b = fmt.Appendf(w.b, `,"hash":"%016x"`, uint64(o.Hash))
	}
	if o.Disabled != "" {
		w.field("off", string(o.Disabled))
	}
	w.instant("exp", o.Expires)
	w.instant("gone", o.Missing)
	if o.Members != (generation{}) {
		w.b = fmt.Appendf(w.b, `,"mem":{"gen":%d,"n":%d}`, o.Members.Gen, o.Members.Buckets)
	}
	if len(o.Terms) > 0 {
		w.name("terms")
		w.list(o.Terms)
	}
	if o.Size != 0 {
		w.b = fmt.Appendf(w.b, `,"size":%d`, o.Size)
	}
	w.instant("made", o.Created)
	w.instant("mod", o.Pushed)
	if o.External != "" {
		w.field("ext", o.External)
	}
	w.instant("lock", o.Locked)
	if o.DN != "" {
		w.field("dn", o.DN)
	}
	if len(o.Profile) > 0 {
		w.b = append(w.b, `,"prof":`...)
		object(&w, o.Profile, w.text)
	}
	if len(o.Attrs) > 0 {
		w.b = append(w.b, `,"attr":`...)
		object(&w, o.Attrs, w.list)
	}
	if len(o.Loose) > 0 {
		w.b = append(w.b, `,"loose":`...)
		w.list(o.Loose)
	}
	w.instant("since", o.Since)
	if o.Link != nil {
		w.name("link")
		b, err := json.Marshal(o.Link, json.Deterministic(true))
		if err != nil {
			return nil, err
		}
		w.b = append(w.b, b...)
	}
	if len(o.Body) > 0 {
		w.name("raw")
		w.b = append(w.b, o.Body...)
	}
	return append(w.b, '}'), w.err
}

// writer appends JSON and keeps the first error.
type writer struct {
	b   []byte
	err error
}

func (w *writer) text(s string) {
	var err error
	if w.b, err = jsontext.AppendQuote(w.b, s); err != nil && w.err == nil {
		w.err = err
	}
}

func (w *writer) name(name string) {
	w.b = append(w.b, `,"`...)
	w.b = append(w.b, name...)
	w.b = append(w.b, `":`...)
}

func (w *writer) field(name, value string) {
	w.name(name)
	w.text(value)
}

func (w *writer) instant(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	w.name(name)
	w.b = append(w.b, '"')
	var err error
	if w.b, err = t.AppendText(w.b); err != nil && w.err == nil {
		w.err = err
	}
	w.b = append(w.b, '"')
}

func (w *writer) list(list []string) {
	w.b = append(w.b, '[')
	for i, s := range list {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.text(s)
	}
	w.b = append(w.b, ']')
}

// object writes a map in the order of its keys.
func object[M ~map[string]V, V any](w *writer, m M, value func(V)) {
	var few [16]string
	keys := slices.AppendSeq(few[:0], maps.Keys(m))
	slices.Sort(keys)
	w.b = append(w.b, '{')
	for i, k := range keys {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.text(k)
		w.b = append(w.b, ':')
		value(m[k])
	}
	w.b = append(w.b, '}')
}
