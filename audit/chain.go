package audit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/store"
)

// Hash is a link of the chain: SHA-256 over the link before it and a [Line]. The zero
// Hash is the one before the first line.
type Hash [sha256.Size]byte

// Next returns the link of a line that follows.
func (h Hash) Next(line []byte) Hash {
	d := sha256.New()
	d.Write(h[:])
	d.Write(line)
	return Hash(d.Sum(nil))
}

// String returns the hash in hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("a hash has %d hexadecimal digits, not %d", hex.EncodedLen(len(h)), len(b))
	}
	_, err := hex.Decode(h[:], b)
	return err
}

// Line returns the one form of an entry that is hashed: its number, its revision, its
// id, and its bytes exactly as they were stored with the change. Bytes that are not
// one line of JSON, which only somebody else can have put there, stand in base64; and
// when the entry was written again after it was made, it says at which revision.
func Line(seq uint64, rev, written store.Revision, id string, stored []byte) []byte {
	b := make([]byte, 0, len(stored)+len(id)+64)
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"rev":`...)
	b = strconv.AppendInt(b, int64(rev), 10)
	b = append(b, `,"id":`...)
	b = quote(b, id)
	if written != rev {
		b = strconv.AppendInt(append(b, `,"rewritten":`...), int64(written), 10)
	}
	if oneLine(stored) {
		b = append(append(b, `,"entry":`...), stored...)
	} else {
		b = quote(append(b, `,"raw":`...), base64.StdEncoding.EncodeToString(stored))
	}
	return append(b, '}')
}

func quote(b []byte, s string) []byte {
	q, err := jsontext.AppendQuote(b, s)
	if err != nil { // s is not UTF-8
		q, _ = jsontext.AppendQuote(b, fmt.Sprintf("%x", s)) // digits always are
	}
	return q
}

func oneLine(stored []byte) bool {
	for _, c := range stored {
		if c == '\n' || c == '\r' {
			return false
		}
	}
	return jsontext.Value(stored).IsValid()
}

// Head is where the chain ends: the number and the link of its last entry. Kept
// somewhere else, it proves later that nothing up to it was changed or cut off.
type Head struct {
	Seq  uint64         `json:"seq" doc:"Of the last entry; entries are counted from 1"`
	Rev  store.Revision `json:"revision"`
	Hash Hash           `json:"hash"`
}

// Add returns the head after one more line.
func (h Head) Add(rev store.Revision, line []byte) Head {
	return Head{Seq: h.Seq + 1, Rev: rev, Hash: h.Hash.Next(line)}
}
