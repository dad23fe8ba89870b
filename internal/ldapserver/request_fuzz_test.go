package ldapserver

import (
	"bufio"
	"bytes"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"pgregory.net/rapid"
)

// FuzzRequest gives arbitrary messages to everything that reads them.
func FuzzRequest(f *testing.F) {
	f.Add(searchMessage(1, suffix, pagingControl(5, "cookie")))
	f.Add([]byte("\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"))
	f.Add([]byte("\x30\x06\x02\x01\x02\x50\x01\x01"))
	f.Add(filterMessage(f))
	for _, ctl := range controlSeeds() {
		f.Add(searchMessage(2, adSuffix, ctl))
	}
	f.Add(bytes.Repeat([]byte{filterNot, 0x84, 0, 0, 1, 0}, 200))
	d := small(f)
	f.Fuzz(func(t *testing.T, sent []byte) {
		m, err := readMessage(bufio.NewReader(bytes.NewReader(sent)))
		if err != nil {
			m.body = sent // the parts are to withstand anything, too
		}
		_, _ = parseBind(m.body)
		if e, err := parseAdd(m.body); err == nil {
			_, _ = storeAttributes(e.Attributes)
		}
		_, _, _ = parseModify(m.body)
		_, _, _, _ = parseRename(m.body)
		for _, c := range m.controls {
			_, _ = parsePaging(c.value)
			q := &adQuery{}
			for _, oid := range []string{oidExtendedDN, oidDirSync, oidShowDeleted} {
				_, _ = q.control(control{oid: oid, value: c.value})
			}
			_, _ = readDirSyncCookie(string(c.value))
			_, _ = parseSyncRequest(c.value)
			if rid, known, ok := parseSyncCookie(string(c.value)); ok && rid != "" && known != nil {
				inOrder(known)
			}
			_, _, _ = alternateName(string(c.value))
		}
		if r, err := parseSearch(m.body); err == nil {
			newSelection(r.attributes, 3)
			_ = r.filter.String()
			for _, s := range *d.order.Load() {
				_ = r.filter.eval(s.entry.Load())
			}
		}
	})
}

// controlSeeds are the controls of those who follow changes.
func controlSeeds() []control {
	var sync, dirSync builder
	start := sync.begin(tagSequence)
	sync.integer(tagEnumerated, 1)
	sync.octets(tagOctets, "rid=000,csn=20260301090000.000000Z#000000#001#000000")
	sync.octets(tagBoolean, "\xff")
	sync.end(start)
	start = dirSync.begin(tagSequence)
	dirSync.integer(tagInteger, dirSyncIncremental)
	dirSync.integer(tagInteger, 0)
	dirSync.octets(tagOctets, dirSyncPosition{invocation: GUID(nameUUID("x")), objects: 7, attributes: 5}.cookie())
	dirSync.end(start)
	return []control{
		{oid: oidSyncRequest, value: sync.buf},
		{oid: oidDirSync, value: dirSync.buf},
		{oid: oidExtendedDN, value: []byte("\x30\x03\x02\x01\x01")},
		{oid: "cookie", value: []byte("rid=000,csn=20260301090000.000000Z#000000#001#000000;x")},
		{oid: "name", value: []byte("<GUID=" + nameUUID("x") + ">")},
	}
}

// filterMessage is a search with a filter of every kind.
func filterMessage(f *testing.F) []byte {
	f.Helper()
	var b builder
	whole := b.begin(tagSequence)
	b.integer(tagInteger, 1)
	search := b.begin(opSearchRequest)
	b.octets(tagOctets, suffix)
	for _, tag := range []byte{tagEnumerated, tagEnumerated, tagInteger, tagInteger} {
		b.integer(tag, 0)
	}
	b.octets(tagBoolean, "\x00")
	and := b.begin(filterAnd)
	b.octets(filterPresent, "cn")
	for _, op := range []byte{filterEqual, filterGreater, filterLess, filterApprox} {
		c := b.begin(op)
		b.octets(tagOctets, "uid")
		b.octets(tagOctets, "anna")
		b.end(c)
	}
	sub := b.begin(filterSubstrings)
	b.octets(tagOctets, "cn")
	parts := b.begin(tagSequence)
	b.octets(0x80, "an")
	b.octets(0x81, "n")
	b.octets(0x82, "a")
	b.end(parts)
	b.end(sub)
	ext := b.begin(filterExtensible)
	b.octets(0x81, ruleBitAnd)
	b.octets(0x82, "userAccountControl")
	b.octets(0x83, "2")
	b.octets(0x84, "\xff")
	b.end(ext)
	b.end(and)
	attrs := b.begin(tagSequence)
	b.octets(tagOctets, "member;range=0-5")
	b.end(attrs)
	b.end(search)
	b.end(whole)
	m, err := readMessage(bufio.NewReader(bytes.NewReader(b.buf)))
	if err == nil {
		_, err = parseSearch(m.body)
	}
	if err != nil {
		f.Fatalf("the seed is not well formed: %v", err)
	}
	return b.buf
}

func TestElementsReadAsAnotherLibraryReadsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "number")
		s := string(rapid.SliceOfN(rapid.Byte(), 0, 70_000).Draw(t, "text"))
		var b builder
		outer := b.begin(tagSequence)
		b.integer(tagInteger, n)
		b.octets(tagOctets, s)
		b.end(outer)
		p, err := ber.DecodePacketErr(b.buf)
		if err != nil || len(p.Children) != 2 || p.Children[0].Value != n || p.Children[1].Data.String() != s {
			t.Fatalf("asn1-ber reads another thing: %v", err)
		}
		d := (&decoder{rest: b.buf}).inside(tagSequence)
		if got, text := d.integer(tagInteger), d.text(); got != n || text != s || d.err != nil || d.more() {
			t.Fatalf("we read another thing: %d, %v", got, d.err)
		}
	})
}

func TestNamesReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.String().Draw(t, "value")
		name, err := parseDN("cn=" + EscapeRDN(value) + ",dc=x")
		if err != nil {
			t.Fatal(err)
		}
		rdns := lowestRDN(name)
		if len(rdns) != 1 || rdns[0].value != value {
			t.Fatalf("%q was read as %q", value, rdns)
		}
		if !name.below("dc=x") || name.below("c=x") {
			t.Fatalf("%q is not below dc=x, or below c=x", name.folded)
		}
	})
}
