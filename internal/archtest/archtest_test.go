package archtest

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func TestTheHouseStands(t *testing.T) {
	found, err := check(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// TestFindings shows that each rule finds what it is for, and no more.
func TestFindings(t *testing.T) {
	const doc = "// Package x owns something.\n//\n// It promises a thing.\n// It leaves the rest.\n"
	file := func(pkg, body string) string {
		return strings.ReplaceAll(doc, " x ", " "+pkg+" ") + "package " + pkg + "\n" + body
	}
	for name, tc := range map[string]struct {
		files map[string]string
		want  string // of the one finding; "" for none
	}{
		"down is allowed":               {files: map[string]string{"state/a.go": file("state", `import _ "`+module+`identity"`)}},
		"up is not":                     {files: map[string]string{"identity/a.go": file("identity", `import _ "`+module+`state"`)}, want: "above it"},
		"sideways is not":               {files: map[string]string{"scim/a.go": file("scim", `import _ "`+module+`sync"`)}, want: "beside it"},
		"a child knows its parent":      {files: map[string]string{"sync/ldap/a.go": file("ldap", `import _ "`+module+`sync"`)}},
		"a parent not its child":        {files: map[string]string{"sync/a.go": file("sync", `import _ "`+module+`sync/ldap"`)}, want: "beside it"},
		"a test may look sideways":      {files: map[string]string{"sync/a.go": file("sync", ""), "sync/a_test.go": "package sync_test\nimport _ \"" + module + "sync/ldap\""}},
		"a test may not look up":        {files: map[string]string{"store/a.go": file("store", ""), "store/a_test.go": "package store\nimport _ \"" + module + "state\""}, want: "is a test of that package"},
		"support is for tests":          {files: map[string]string{"sync/a.go": file("sync", `import _ "`+module+`internal/dirtest"`)}, want: "internal/dirtest is for"},
		"a suite is for tests":          {files: map[string]string{"store/mem/a.go": file("mem", `import _ "`+module+`store/storetest"`)}, want: "is for tests"},
		"a library at home":             {files: map[string]string{"store/etcd/a.go": file("etcd", `import _ "go.etcd.io/etcd/client/v3"`)}},
		"a library away from home":      {files: map[string]string{"state/a.go": file("state", `import _ "go.etcd.io/etcd/client/v3"`)}, want: "only, not in state"},
		"a library nobody chose":        {files: map[string]string{"state/a.go": file("state", `import _ "example.com/left-pad"`)}, want: "has no home"},
		"a package without a floor":     {files: map[string]string{"internal/util/a.go": file("util", "")}, want: "without a floor"},
		"a directory of its own":        {files: map[string]string{"pkg/README": ""}, want: "a top-level directory"},
		"a log in what decides":         {files: map[string]string{"permissions/a.go": file("permissions", `import _ "log/slog"`)}, want: "only decides"},
		"a clock in what decides":       {files: map[string]string{"permissions/a.go": file("permissions", "import \"time\"\nvar _ = time.Now")}, want: "asks no clock"},
		"a context nobody can cancel":   {files: map[string]string{"sync/a.go": file("sync", "import \"context\"\nvar _ = context.Background()")}, want: "cannot be canceled"},
		"but in a test":                 {files: map[string]string{"sync/a.go": file("sync", ""), "sync/a_test.go": "package sync\nimport \"context\"\nvar _ = context.Background()"}},
		"an init function":              {files: map[string]string{"sync/a.go": file("sync", "func init() {}")}, want: "an init function"},
		"a method called init is none":  {files: map[string]string{"sync/a.go": file("sync", "type t int\nfunc (t) init() {}")}},
		"no package comment":            {files: map[string]string{"sync/a.go": "package sync"}, want: "no package comment"},
		"two package comments":          {files: map[string]string{"sync/a.go": file("sync", ""), "sync/b.go": file("sync", "")}, want: "keep one"},
		"a short package comment":       {files: map[string]string{"sync/a.go": "// Package sync syncs.\npackage sync"}, want: "too short"},
		"another package's comment":     {files: map[string]string{"sync/a.go": strings.ReplaceAll(file("plan", ""), "package plan", "package sync")}, want: "begins with"},
		"a command is not a package":    {files: map[string]string{"cmd/rollcall/a.go": file("main", "")}, want: "begins with \"Command rollcall \""},
		"testdata and modules are else": {files: map[string]string{"tools/go.mod": "", "tools/a.go": "x", "sync/testdata/a.go": "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{}
			for path, content := range tc.files {
				root[path] = &fstest.MapFile{Data: []byte(content)}
			}
			found, err := check(root)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case tc.want == "" && len(found) > 0:
				t.Errorf("check = %q, want nothing", found)
			case tc.want != "" && (len(found) != 1 || !strings.Contains(found[0], tc.want)):
				t.Errorf("check = %q, want one finding with %q", found, tc.want)
			}
		})
	}
}

// TestRulesAreInOrder keeps the tables from contradicting each other.
func TestRulesAreInOrder(t *testing.T) {
	for dir := range support {
		if _, ok := floors[dir]; ok {
			t.Errorf("%s is both on a floor and support", dir)
		}
	}
	for _, list := range [][]string{pure, testOnly} {
		for _, dir := range list {
			if _, ok := floors[dir]; !ok {
				t.Errorf("%s has a rule but no floor", dir)
			}
		}
	}
	for name, reason := range backgroundAllowed {
		if _, err := os.Stat("../../" + name); err != nil || reason == "" {
			t.Errorf("%s may use context.Background, but is not there or has no reason: %v", name, err)
		}
	}
}
