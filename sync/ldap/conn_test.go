package ldap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tlv encodes one BER element, for messages of tests.
func tlv(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	n := len(body)
	switch {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, body...)
	case n < 1<<16:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, body...)
	}
	return append([]byte{tag, 0x84, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, body...)
}

func octets(s string) []byte { return tlv(tagOctets, []byte(s)) }

func attribute(name string, values ...string) []byte {
	var set [][]byte
	for _, v := range values {
		set = append(set, octets(v))
	}
	return tlv(tagSequence, octets(name), tlv(tagSet, set...))
}

func entryOp(dn string, attributes ...[]byte) []byte {
	return tlv(tagEntry, octets(dn), tlv(tagSequence, attributes...))
}

func message(id byte, op []byte, after ...[]byte) []byte {
	return tlv(tagSequence, append([][]byte{{tagInteger, 1, id}, op}, after...)...)
}

func doneOp(code byte) []byte {
	return tlv(tagDone, []byte{tagEnumerated, 1, code}, octets(""), octets(""))
}

// bounds are the default limits with another one for messages.
func bounds(message int) limits {
	l := (&Config{}).Expanded().limits()
	l.message = message
	return l
}

// wire is a connection that gives what it was made with and takes what is written.
type wire struct {
	net.Conn
	in io.Reader
}

func (w *wire) Read(p []byte) (int, error)       { return w.in.Read(p) }
func (w *wire) Write(p []byte) (int, error)      { return len(p), nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
func (w *wire) Close() error                     { return nil }

// seen collects what a handler was given.
type seen struct {
	entries []string
	broken  []string
}

func (s *seen) handler() *handler {
	return &handler{
		entry: func(e *Entry) error {
			var b strings.Builder
			b.Write(e.DN)
			for _, a := range e.Attributes {
				fmt.Fprintf(&b, " %s=%s", a.Type, bytes.Join(a.Values, []byte("|")))
			}
			s.entries = append(s.entries, b.String())
			return nil
		},
		broken: func(dn []byte, reason string) error {
			s.broken = append(s.broken, string(dn)+": "+reason)
			return nil
		},
	}
}

// read arms a search with id 7 and reads stream to its end.
func read(stream []byte, limit int, chunk func(io.Reader) io.Reader) (s seen, passed []byte, err error) {
	l := bounds(limit)
	if limit < 1<<16 {
		l.entries, l.attributes, l.values, l.dn, l.depth, l.references = 5, 3, 6, 40, 6, 4
	}
	d := newDivert(&wire{in: chunk(bytes.NewReader(stream))}, time.Minute, l)
	d.arm(s.handler())
	if _, err := d.Write(message(7, tlv(tagSearch))); err != nil {
		return s, nil, err
	}
	passed, err = io.ReadAll(readerOf(d))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return s, passed, err
}

func readerOf(d *divert) io.Reader { return struct{ io.Reader }{d} }

func whole(r io.Reader) io.Reader { return r }

func TestEntriesAreTakenOutAndTheRestPasses(t *testing.T) {
	ref := message(7, tlv(tagReference, octets("ldap://other/dc=x")))
	done := message(7, doneOp(0))
	stream := bytes.Join([][]byte{
		message(7, entryOp("cn=a", attribute("cn", "a", "b"), attribute("sn"))),
		ref,
		message(7, entryOp("cn=b", attribute("member;range=0-1", "x", "y"))),
		done,
	}, nil)
	s, passed, err := read(stream, 1<<20, whole)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"cn=a cn=a|b sn=", "cn=b member;range=0-1=x|y"}, s.entries); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if want := append(bytes.Clone(ref), done...); !bytes.Equal(passed, want) {
		t.Errorf("passed %x, want %x", passed, want)
	}
}

func TestAnEntryThatIsTooLargeIsReadPast(t *testing.T) {
	big := message(7, entryOp("cn=big", attribute("description", strings.Repeat("x", 3<<20))))
	stream := bytes.Join([][]byte{big, message(7, entryOp("cn=b")), message(7, doneOp(0))}, nil)
	s, _, err := read(stream, 1<<20, whole)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.entries) != 1 || s.entries[0] != "cn=b" {
		t.Errorf("entries = %q, want cn=b", s.entries)
	}
	if len(s.broken) != 1 || !strings.HasPrefix(s.broken[0], "cn=big: has 31457") {
		t.Errorf("broken = %q, want cn=big with its size", s.broken)
	}
}

func TestAnEntryThatCannotBeDecodedIsListed(t *testing.T) {
	bad := message(7, tlv(tagEntry, octets("cn=bad"), tlv(tagSequence, tlv(tagSet))))
	controls := message(7, entryOp("cn=c"), tlv(tagInteger, []byte{1}))
	s, _, err := read(append(append(bad, controls...), message(7, doneOp(0))...), 1<<20, whole)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.broken) != 2 || !strings.HasPrefix(s.broken[0], "cn=bad: cannot be decoded") || !strings.HasPrefix(s.broken[1], "cn=c: ") {
		t.Errorf("broken = %q", s.broken)
	}
}

func TestWhatEndsAConnection(t *testing.T) {
	for name, stream := range map[string][]byte{
		"not LDAP":             []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"indefinite length":    {tagSequence, 0x80, tagInteger, 1, 7},
		"length of 5 bytes":    {tagSequence, 0x85, 0, 0, 0, 0, 1, 0},
		"another id":           message(9, entryOp("cn=a")),
		"no id":                tlv(tagSequence, octets("x")),
		"large result":         message(7, tlv(tagDone, octets(strings.Repeat("x", 2<<20)))),
		"large, another id":    message(9, entryOp("cn=a", attribute("x", strings.Repeat("x", 8<<20)))),
		"good bye":             message(0, tlv(tagExtended, []byte{tagEnumerated, 1, 52}, octets(""), octets("shutting down"))),
		"ends in a header":     {tagSequence},
		"ends in a message":    message(7, entryOp("cn=a"))[:9],
		"ends in a large one":  message(7, entryOp("cn=a", attribute("x", strings.Repeat("x", 8<<20))))[:5<<20],
		"negative message id":  tlv(tagSequence, []byte{tagInteger, 1, 0xff}, entryOp("cn=a")),
		"message id too large": tlv(tagSequence, []byte{tagInteger, 6, 1, 1, 1, 1, 1, 1}, entryOp("cn=a")),
	} {
		t.Run(name, func(t *testing.T) {
			var s seen
			d := newDivert(&wire{in: bytes.NewReader(stream)}, time.Minute, bounds(4<<20))
			d.arm(s.handler())
			if _, err := d.Write(message(7, tlv(tagSearch))); err != nil {
				t.Fatal(err)
			}
			if n, err := d.Read(make([]byte, 100)); err == nil || d.err() == nil {
				t.Errorf("Read = %d, %v, err() = %v, want errors", n, err, d.err())
			}
			if len(s.entries) > 0 {
				t.Errorf("entries = %q, want none", s.entries)
			}
		})
	}
}

func TestAHandlersErrorEndsTheConnection(t *testing.T) {
	stop := errors.New("enough")
	d := newDivert(&wire{in: bytes.NewReader(message(7, entryOp("cn=a")))}, time.Minute, bounds(1<<20))
	d.arm(&handler{entry: func(*Entry) error { return stop }})
	if _, err := d.Write(message(7, tlv(tagSearch))); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(make([]byte, 10)); !errors.Is(err, stop) || !errors.Is(d.err(), stop) {
		t.Errorf("Read = %v, err() = %v, want %v", err, d.err(), stop)
	}
}

func TestASilentServerIsGivenUp(t *testing.T) {
	client, server := net.Pipe()
	defer func() { _ = server.Close() }()
	go func() { _, _ = io.Copy(io.Discard, server) }()
	d := newDivert(client, time.Millisecond, bounds(1<<20))
	if _, err := d.Write(message(7, tlv(tagSearch))); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(make([]byte, 10)); err == nil || !strings.Contains(err.Error(), "sent nothing for 1ms") {
		t.Errorf("Read = %v, want that the server sent nothing", err)
	}
}

func FuzzConn(f *testing.F) {
	f.Add(bytes.Join([][]byte{message(7, entryOp("cn=a", attribute("cn", "a"))), message(7, doneOp(0))}, nil))
	f.Add(message(7, entryOp("cn=big", attribute("d", strings.Repeat("x", 5000)))))
	f.Add(message(9, entryOp("cn=a")))
	f.Add([]byte{tagSequence, 0x80, 0, 0})
	f.Add(message(7, tlv(tagReference, octets("ldap://x/"))))
	f.Add(message(7, tlv(tagDone, []byte{tagEnumerated, 1, 10}, octets(""), octets(""), tlv(tagReferrals, octets("a"), octets("b")))))
	f.Add(message(7, doneOp(0), nested(7)))
	f.Add(bytes.Repeat(message(7, entryOp("cn=a", attribute("a", "1", "2"), attribute("b"))), 6))
	f.Fuzz(func(t *testing.T, stream []byte) {
		// A message is judged alike however it comes in, with limits that are met.
		s, passed, err := read(stream, 4096, whole)
		s1, passed1, err1 := read(stream, 4096, oneByte)
		if (err == nil) != (err1 == nil) || !bytes.Equal(passed, passed1) || !cmp.Equal(s.entries, s1.entries) {
			t.Fatalf("read at once: %q %x %v\nbyte by byte: %q %x %v", s.entries, passed, err, s1.entries, passed1, err1)
		}
		for rest := passed; len(rest) > 0; {
			var msg []byte
			if msg, rest, err = want(tagSequence, rest); err != nil {
				t.Fatalf("passed on a piece of a message: %x", passed)
			}
			if _, tag, _, _, err := messageHead(msg); err != nil || tag == tagEntry {
				t.Fatalf("passed on %x", msg)
			}
		}
	})
}

func oneByte(r io.Reader) io.Reader { return &slow{r} }

type slow struct{ io.Reader }

func (s *slow) Read(p []byte) (int, error) { return s.Reader.Read(p[:min(1, len(p))]) }

func FuzzDecode(f *testing.F) {
	f.Add(entryOp("cn=a", attribute("cn", "a", "b"), attribute("sn"))[2:])
	f.Add(entryOp("", attribute("", ""))[2:])
	f.Add([]byte{tagOctets, 0x84, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, op []byte) {
		d := decoder{limits: bounds(1 << 20)}
		e, err := d.decode(op)
		if err != nil {
			return
		}
		size := len(e.DN)
		for _, a := range e.Attributes {
			size += len(a.Type)
			for _, v := range a.Values {
				size += len(v)
			}
		}
		if size > len(op) {
			t.Fatalf("decoded %d bytes out of %d", size, len(op))
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	op := entryOp("uid=u1,ou=people,dc=example,dc=org", attribute("uid", "u1"), attribute("cn", "Ann Lee"), attribute("sn", "Lee"),
		attribute("givenName", "Ann"), attribute("mail", "ann@example.org"), attribute("telephoneNumber", "+1 555 1"), attribute("title", "x"),
		attribute("employeeNumber", "1"), attribute("departmentNumber", "2"), attribute("entryUUID", "b"), attribute("modifyTimestamp", "20260101000000Z"))
	_, v, _, _ := element(op)
	d := decoder{limits: bounds(1 << 20)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.decode(v); err != nil {
			b.Fatal(err)
		}
	}
}
