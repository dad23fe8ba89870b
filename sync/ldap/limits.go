package ldap

import (
	"fmt"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/fault"
)

// limits bound what a server may make one connection take. They are there for servers
// that are broken or hostile: each is far above what a directory needs.
type limits struct {
	message    int // bytes of one message
	entries    int // of one connection
	attributes int // of one entry
	values     int // of one entry, over all attributes
	dn         int // bytes
	depth      int // of elements within elements
	references int // of one connection, and referrals of results with them
}

func (c *Config) limits() limits {
	return limits{
		message: c.MaxMessageBytes, entries: c.MaxEntries, attributes: c.MaxAttributes, values: c.MaxValues,
		dn: c.MaxDNBytes, depth: c.MaxDepth, references: c.MaxReferrals,
	}
}

// tooMuch is a limit that ends the read. It names the setting that raises it.
func tooMuch(setting, format string, args ...any) error {
	return fault.New(fault.Unavailable, "ldap_limit", "%s; if that is right, raise %s", fmt.Sprintf(format, args...), setting)
}

func (c *Config) validateLimits(p *config.Problems) {
	for _, l := range []struct {
		at          string
		got         int
		least, most int
	}{
		{"max_message_bytes", c.MaxMessageBytes, 64 << 10, 1 << 30},
		{"max_entries", c.MaxEntries, 1, 1 << 30},
		{"max_attributes", c.MaxAttributes, 16, 1 << 20},
		{"max_values", c.MaxValues, 1000, 1 << 28},
		{"max_dn_bytes", c.MaxDNBytes, 256, 1 << 20},
		{"max_depth", c.MaxDepth, 8, 1000},
		{"max_referrals", c.MaxReferrals, 1, 1 << 20},
	} {
		if l.got < l.least || l.got > l.most {
			p.Add(l.at, "must be between %d and %d", l.least, l.most)
		}
	}
}

// nesting returns how deep elements lie within elements in a message, or stops counting
// above most. It does not recurse, whatever the message says.
func nesting(b []byte, most int) int {
	deepest := 0
	ends := make([]int, 0, 16) // of the elements that are open
	for at := 0; at < len(b); {
		for len(ends) > 0 && at >= ends[len(ends)-1] {
			ends = ends[:len(ends)-1]
		}
		tag, value, _, err := element(b[at:])
		if err != nil {
			return deepest // whoever decodes it will say so
		}
		whole := headerSize(b[at:]) + len(value)
		if tag&constructed == 0 {
			at += whole
			continue
		}
		ends = append(ends, at+whole)
		if deepest = max(deepest, len(ends)); deepest > most {
			return deepest
		}
		at += whole - len(value)
	}
	return deepest
}

// constructed marks an element that holds others (X.690 §8.1.2.5).
const constructed = 0x20

func headerSize(b []byte) int {
	if b[1] < 0x80 {
		return 2
	}
	return 2 + int(b[1]&0x7f)
}

// count counts one more entry.
func (d *divert) count() error {
	if d.entries.Add(1) > int64(d.limits.entries) {
		return tooMuch("max_entries", "the server sent more than %d entries in one read", d.limits.entries)
	}
	return nil
}

// taken returns how many entries have come.
func (d *divert) taken() int { return int(d.entries.Load()) }

// refer counts what leads to other servers: the URLs of a search reference (RFC 4511
// §4.5.3) and those of a result (§4.1.10). It returns how many have come.
func (d *divert) refer(tag byte, op []byte) int {
	list := op
	if tag == tagDone {
		list = referralsOf(op)
	} else if tag != tagReference {
		return d.pointers
	}
	for len(list) > 0 {
		_, _, rest, err := element(list)
		if err != nil {
			break // go-ldap will say so
		}
		d.pointers++
		list = rest
	}
	return d.pointers
}

// referralsOf returns the referrals of a result, which come after code, DN and text.
func referralsOf(op []byte) []byte {
	for range 3 {
		var err error
		if _, _, op, err = element(op); err != nil {
			return nil
		}
	}
	list, _, err := want(tagReferrals, op)
	if err != nil {
		return nil
	}
	return list
}
