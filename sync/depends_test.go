package sync_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/rollcall-id/rollcall/"

// TestNoPathToAGrant reads the source of everything that a run is made of: none of it
// knows what a permission is, and of what package state can write it uses nothing but
// the changes listed here. Those write records, members of the source's own origin,
// and the source's own state: see keys.go there. Only a purge removes somebody with what he
// has been granted, by order of an administrator or by the policy of the configuration, and
// only whom his source has not had for long.
func TestNoPathToAGrant(t *testing.T) {
	writes := []string{
		"Create", "Update", "Deactivate", "ChangeMembers", "LinkRecord", "Fenced", "PutSource", "PutRun", "RemoveRuns", "Weighed",
	}
	reads := []string{
		"Approval", "Change", "DB", "HeldPlan", "KeptDone", "OrderUndo", "UndoOrder", "KeptRuns", "Run", "RunRequest", "RunState", "Snapshot", "SourceState",
		"SourceView", "Stage", "Storable", "RunQueued", "RunReading", "RunPlanning", "RunApplying", "RunHeld", "RunSucceeded",
		"RunPlanned", "RunFailed", "RunInterrupted",
	}
	purges := []string{"Purge", "PurgePlan", "OrderPurge", "PurgeOrder"}
	for _, dir := range []string{".", "plan", "ldap"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
				allowed := slices.Concat(writes, reads)
				if dir == "." && name == "purge.go" {
					allowed = slices.Concat(allowed, purges)
				}
				checkFile(t, filepath.Join(dir, name), allowed)
			}
		}
	}
}

func checkFile(t *testing.T, path string, allowed []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	usesState := false
	for _, i := range file.Imports {
		switch strings.Trim(i.Path.Value, `"`) {
		case module + "permissions", module + "access", module + "scim", module + "admin":
			t.Errorf("%s imports %s: a run has no business with permissions", path, i.Path.Value)
		case module + "state":
			usesState = true
			if i.Name != nil {
				t.Errorf("%s imports package state under another name, which hides it from this test", path)
			}
		}
	}
	if !usesState {
		return
	}
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && x.Name == "state" && !slices.Contains(allowed, s.Sel.Name) {
			t.Errorf("%s uses state.%s, which is not among what a run may use", path, s.Sel.Name)
		}
		return true
	})
}
