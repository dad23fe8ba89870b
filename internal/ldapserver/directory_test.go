package ldapserver

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNamesAreComparedFolded(t *testing.T) {
	equal := [][2]string{
		{"cn=Ann,dc=x", "CN = ann , DC = X"},
		{`cn=a\,b,dc=x`, `cn=a\2cb,dc=x`},
		{`cn=\ a,dc=x`, `cn=\20a,dc=x`},
		{"uid=a+cn=b,dc=x", "CN=B + UID=A,dc=x"},
		{"cn=a  b", "cn=A b"},
		{"cn=jürgen", `cn=j\c3\bcRGEN`},
	}
	for _, pair := range equal {
		a, errA := parseDN(pair[0])
		b, errB := parseDN(pair[1])
		if errA != nil || errB != nil || a.folded != b.folded {
			t.Errorf("%q is %q and %q is %q; %v %v", pair[0], a.folded, pair[1], b.folded, errA, errB)
		}
	}
	for _, bad := range []string{"x", "=x", "cn=a,,dc=x", "cn=a,", `cn=a\`, `cn=a\zz`, "c n=a"} {
		if d, err := parseDN(bad); err == nil {
			t.Errorf("%q was read as %q", bad, d.folded)
		}
	}
}

func TestWritesKeepTheOperationalAttributes(t *testing.T) {
	now := clock()
	d, err := NewDirectory(DirectoryOptions{Suffixes: []string{suffix}, Seed: 5, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	operational := func(name string) []string {
		e, ok := d.Lookup(name)
		if !ok {
			t.Fatalf("%s does not exist", name)
		}
		return []string{e.First("entryUUID"), e.First("createTimestamp"), e.First("modifyTimestamp"), e.First("entryCSN")}
	}
	must(d.Put(Entry{DN: suffix, Attributes: []Attribute{Attr("objectClass", "domain")}}))
	must(d.Put(Entry{DN: "ou=a," + suffix, Attributes: []Attribute{Attr("objectClass", "organizationalUnit")}}))
	must(d.Put(Entry{DN: "cn=x,ou=a," + suffix, Attributes: []Attribute{Attr("objectClass", "person"), Attr("sn", "x")}}))
	born := operational("cn=x,ou=a," + suffix)
	now = now.Add(time.Hour)
	must(d.Put(Entry{DN: "cn=x,ou=a," + suffix, Attributes: []Attribute{Attr("objectClass", "person"), Attr("sn", "y"), Attr("cn", "x")}}))
	put := operational("cn=x,ou=a," + suffix)
	must(d.Modify("cn=x,ou=a,"+suffix, Change{ReplaceValues, "sn", []string{"z"}}))
	modified := operational("cn=x,ou=a," + suffix)
	must(d.Rename("ou=a,"+suffix, "ou=b", ""))
	below := operational("cn=x,ou=b," + suffix)
	must(d.Rename("cn=x,ou=b,"+suffix, "cn=w", suffix))
	moved := operational("cn=w," + suffix)

	csn := func(count int) string { return fmt.Sprintf("20260301100000.000000Z#%06x#001#000000", count) }
	want := [][]string{
		{born[0], "20260301090000Z", "20260301090000Z", "20260301090000.000000Z#000002#001#000000"},
		{born[0], "20260301090000Z", "20260301100000Z", csn(0)},
		{born[0], "20260301090000Z", "20260301100000Z", csn(1)},
		{born[0], "20260301090000Z", "20260301100000Z", csn(1)}, // only the unit was renamed
		{born[0], "20260301090000Z", "20260301100000Z", csn(3)},
	}
	if diff := cmp.Diff(want, [][]string{born, put, modified, below, moved}); diff != "" {
		t.Errorf("operational attributes (-want +got):\n%s", diff)
	}
	must(d.Delete("cn=w," + suffix))
	if _, ok := d.Lookup("cn=w," + suffix); ok || d.Len() != 2 {
		t.Errorf("after the deletion, %d entries are left", d.Len())
	}
}

func TestDeletedEntriesLeaveNoHoles(t *testing.T) {
	d := many(t, 5000)
	for i := range 4000 {
		if err := d.Delete(fmt.Sprintf("uid=u%06d,%s", i, suffix)); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(*d.order.Load()); got > 3000 {
		t.Errorf("1001 entries take %d slots", got)
	}
	if got := len(slices.Collect(d.All())); got != 1001 || d.Len() != 1001 {
		t.Errorf("%d entries are left, Len says %d, want 1001", got, d.Len())
	}
}

func TestReadersAndWritersDoNotMeet(t *testing.T) {
	d := many(t, 300)
	s := start(t, d)
	var writers sync.WaitGroup
	stop := make(chan struct{})
	for w := range 3 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				name := fmt.Sprintf("uid=w%d-%d,%s", w, i, suffix)
				errs := []error{
					d.Add(Entry{DN: name, Attributes: []Attribute{Attr("objectClass", "person"), Attr("sn", "w")}}),
					d.Modify(name, Change{AddValues, "mail", []string{"m@x"}}),
					d.Rename(name, fmt.Sprintf("uid=r%d-%d", w, i), ""),
					d.Delete(fmt.Sprintf("uid=r%d-%d,%s", w, i, suffix)),
				}
				for _, err := range errs {
					if err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	for range 5 {
		out, code := client(t, s.URL(), "-b", suffix, "-E", "pr=50/noprompt", "(objectClass=inetOrgPerson)", "uid")
		if got := len(names(out)); got != 300 || code != 0 {
			t.Errorf("%d of 300 steady entries were seen, exit %d", got, code)
		}
	}
	close(stop)
	writers.Wait()
}

func TestStartNamesWhatIsMissing(t *testing.T) {
	for _, o := range []Options{
		{},
		{Directory: small(t), LDAPS: true},
		{Directory: small(t), Accounts: map[string]string{"x": ""}},
		{Directory: small(t), Writers: []string{"x"}},
		{Directory: small(t), Addr: "127.0.0.1:nowhere"},
	} {
		if _, err := Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), " ") {
			t.Errorf("Start(%+v) = %v", o, err)
		}
	}
}
