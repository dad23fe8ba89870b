package ldap

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-id/rollcall/identity"
)

// How the values of some attributes are written. LDAP says of no value what it is;
// these are known by their attribute's name.

// keyForm says how the values of a key attribute become keys, and back.
type keyForm uint8

const (
	keyText  keyForm = iota // as it stands, lower case: entryUUID, nsUniqueId
	keyGUID                 // Active Directory's 16 bytes, the first three fields little-endian
	keyBytes                // 16 bytes in order: eDirectory's GUID
)

func keyFormOf(attribute string) keyForm {
	switch strings.ToLower(attribute) {
	case "objectguid":
		return keyGUID
	case "guid":
		return keyBytes
	}
	return keyText
}

var errKey = errors.New("its lasting key cannot be read")

// key reads a key from the one value of its attribute.
func (f keyForm) key(values [][]byte) (identity.Key, error) {
	if len(values) != 1 {
		return "", fmt.Errorf("%w: the attribute has %d values", errKey, len(values))
	}
	v := values[0]
	if f == keyText {
		return textKey(v)
	}
	if len(v) != 16 {
		return "", fmt.Errorf("%w: it has %d bytes, not 16", errKey, len(v))
	}
	var u [16]byte
	copy(u[:], v)
	if f == keyGUID {
		swapGUID(&u)
	}
	return identity.Key(dashed(u)), nil
}

func textKey(v []byte) (identity.Key, error) {
	if len(v) == 0 || len(v) > 128 {
		return "", fmt.Errorf("%w: it has %d bytes", errKey, len(v))
	}
	var buf [128]byte
	out := buf[:0]
	for _, c := range v {
		if c <= ' ' || c > '~' {
			return "", fmt.Errorf("%w: it is no printable text", errKey)
		}
		out = append(out, lower(c))
	}
	return identity.Key(out), nil
}

// filterValue writes a key as the value of an equality in a filter (RFC 4515).
func (f keyForm) filterValue(k identity.Key) string {
	if f == keyText {
		return escapeFilter(string(k))
	}
	b, err := hex.DecodeString(strings.ReplaceAll(string(k), "-", ""))
	if err != nil || len(b) != 16 {
		return escapeFilter(string(k))
	}
	if f == keyGUID {
		swapGUID((*[16]byte)(b))
	}
	var out strings.Builder
	for _, c := range b {
		fmt.Fprintf(&out, `\%02x`, c)
	}
	return out.String()
}

func escapeFilter(s string) string {
	var out strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '*' || c == '(' || c == ')' || c == '\\' || c < ' ' || c > '~':
			fmt.Fprintf(&out, `\%02x`, c)
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// swapGUID turns Active Directory's order of bytes into the written one, and back.
func swapGUID(u *[16]byte) {
	slices.Reverse(u[0:4])
	slices.Reverse(u[4:6])
	slices.Reverse(u[6:8])
}

func dashed(u [16]byte) string {
	var b [36]byte
	hex.Encode(b[0:8], u[0:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:36], u[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// valueForm says how the values of an attribute are written.
type valueForm uint8

const (
	formText valueForm = iota
	formGUID
	formSID
)

func valueFormOf(attribute string) valueForm {
	switch strings.ToLower(attribute) {
	case "objectguid", "ms-ds-consistencyguid", "msds-consistencyguid":
		return formGUID
	case "objectsid", "sidhistory":
		return formSID
	}
	return formText
}

// text writes one value, or says why it cannot be written.
func (f valueForm) text(v []byte) (string, error) {
	switch f {
	case formGUID:
		if len(v) != 16 {
			return base64.StdEncoding.EncodeToString(v), nil
		}
		u := [16]byte(v)
		swapGUID(&u)
		return dashed(u), nil
	case formSID:
		s, err := sidText(v)
		return s, err
	}
	if !utf8.Valid(v) {
		return "", errors.New("is not text in UTF-8")
	}
	return string(v), nil
}

// sidText writes a security identifier (MS-DTYP 2.4.2).
func sidText(v []byte) (string, error) {
	if len(v) < 8 || len(v) != 8+4*int(v[1]) || v[0] != 1 {
		return "", errors.New("is no security identifier")
	}
	var authority uint64
	for _, c := range v[2:8] {
		authority = authority<<8 | uint64(c)
	}
	b := strconv.AppendUint([]byte("S-1-"), authority, 10)
	for at := 8; at < len(v); at += 4 {
		b = strconv.AppendUint(append(b, '-'), uint64(binary.LittleEndian.Uint32(v[at:])), 10)
	}
	return string(b), nil
}

// loginName checks what is to be a name. A name is shown, compared, typed and sent
// to other systems, so it holds nothing that cannot be seen.
func loginName(values [][]byte) (string, error) {
	if len(values) == 0 || len(values[0]) == 0 {
		return "", errors.New("has no name")
	}
	v := values[0]
	if !utf8.Valid(v) {
		return "", errors.New("has a name that is not text in UTF-8")
	}
	for _, r := range string(v) {
		switch {
		case r == 0:
			return "", errors.New("has a NUL character in its name")
		case unicode.IsControl(r):
			return "", fmt.Errorf("has a control character (%U) in its name", r)
		case r == '\u2028' || r == '\u2029' || r == '\ufeff' || unicode.Is(unicode.Bidi_Control, r):
			return "", fmt.Errorf("has a character that cannot be seen (%U) in its name", r)
		}
	}
	s := strings.TrimSpace(string(v))
	if s == "" {
		return "", errors.New("has a name of spaces only")
	}
	if len(s) > 256 {
		return "", fmt.Errorf("has a name of %d bytes", len(s))
	}
	return s, nil
}

// lastYear is the last one that a time may lie in to be stored (RFC 3339 §5.6).
const lastYear = 9999

// instant reads when an account ends. Zero: never, or so late that it cannot be stored.
func instant(format string, v []byte) (time.Time, error) {
	t, err := written(format, v)
	if err != nil || t.Year() > lastYear {
		return time.Time{}, err
	}
	return t, nil
}

// written reads a time in one of the forms of the configuration.
func written(format string, v []byte) (time.Time, error) {
	switch format {
	case formatFiletime:
		n, err := strconv.ParseInt(string(v), 10, 64)
		// Both mean never: MS-ADTS, accountExpires.
		if err != nil || n <= 0 || n == 1<<63-1 {
			return time.Time{}, err
		}
		// 100 ns since 1601-01-01.
		return time.Unix(n/10_000_000-11_644_473_600, n%10_000_000*100).UTC(), nil
	case formatDays:
		n, err := strconv.ParseInt(string(v), 10, 32)
		if err != nil || n <= 0 {
			return time.Time{}, err // shadow(5): none, or not set
		}
		return time.Unix(n*86400, 0).UTC(), nil
	}
	t, err := generalizedTime(string(v))
	if err == nil && t.Before(firstInstant()) {
		t = firstInstant()
	}
	return t, err
}

// firstInstant is what an end before any calendar becomes, which a zero time would turn
// into no end at all.
func firstInstant() time.Time { return time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC) }

// generalizedTime reads the forms of RFC 4517 §3.3.13 that directories write.
func generalizedTime(s string) (time.Time, error) {
	for _, layout := range []string{
		"20060102150405Z", "20060102150405.999999999Z", "20060102150405-0700", "200601021504Z", "2006010215Z",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no generalized time", clip(s, 40))
}

// clip shortens a text from the directory for a message, and makes it printable.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '\ufffd'
		}
		return r
	}, s)
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
