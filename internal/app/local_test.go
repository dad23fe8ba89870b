package app

import (
	"os"
	"strings"
	"testing"
)

// A source allows what is put on top of it unless the file says otherwise.
func TestASourceCanBeKeptFreeOfLocalLayers(t *testing.T) {
	for text, want := range map[string][2]bool{
		"":                                     {true, true},
		"    allow_local_attributes: false\n":  {false, true},
		"    allow_local_memberships: false\n": {true, false},
		"    allow_local_attributes: true\n    allow_local_memberships: true\n": {true, true},
	} {
		file := deploy(t, "openldap.yaml")
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		line, rest, _ := strings.Cut(string(b[strings.Index(string(b), "  - name:"):]), "\n")
		head := string(b[:strings.Index(string(b), "  - name:")])
		if err := os.WriteFile(file, []byte(head+line+"\n"+text+rest), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := LoadConfig(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := &c.Sources[0]
		if got := [2]bool{allowed(s.AllowLocalAttributes), allowed(s.AllowLocalMemberships)}; got != want {
			t.Errorf("with %q: attributes and memberships allowed %v, want %v", text, got, want)
		}
	}
}
