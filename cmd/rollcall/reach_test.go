package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// verbless are the operations of the API that no verb reaches, and why.
var verbless = map[string]string{
	"accessConfiguration":  forPrograms,
	"accessEvaluation":     forPrograms,
	"accessEvaluations":    forPrograms,
	"accessSearchAction":   forPrograms,
	"accessSearchResource": forPrograms,
	"accessSearchSubject":  forPrograms,
	"userInfo":             "It is whoami in the form of OpenID Connect.",
	"listEffective":        "It is a copy of all answers for programs that keep one; permissions, who-can and users --mine answer people.",
	"listOperations":       document,
	"openAPI":              document,
	"openAPIAsYAML":        document,
	"reportTouches":        "It is for the console; a command line is counted by what it asks.",
	"putGroupMember":       membership,
	"putUserMember":        membership,
	"deleteGroupMember":    membership,
	"deleteUserMember":     membership,
}

const (
	forPrograms = "It is rollcall can, why and who-can in the form of AuthZEN, for programs."
	document    = "It is the document of the API, which is in the tree, too."
	membership  = "group add and group remove do it with changeMembers, for one or many."
)

// Every operation of the API is reached by a verb, or stands in the list with the reason.
func TestEveryOperationHasAVerb(t *testing.T) {
	called := calledMethods(t)
	excused := map[string]bool{}
	for id := range verbless {
		excused[id] = true
	}
	operations := operationIDs(t)
	for _, id := range operations {
		method := strings.ToUpper(id[:1]) + id[1:]
		reached := called[method] || called[method+"All"]
		switch {
		case reached && excused[id]:
			t.Errorf("%s is reached by a verb: take it out of verbless", id)
		case !reached && !excused[id]:
			t.Errorf("no verb calls %s of the client: make one, or say in verbless why there is none", method)
		}
		delete(excused, id)
	}
	for id := range excused {
		t.Errorf("verbless names %s, which is no operation", id)
	}
	if len(operations) < 100 {
		t.Errorf("the document has %d operations", len(operations))
	}
}

// operationIDs reads the document of the API.
func operationIDs(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("../../docs/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			ID string `json:"operationId"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, methods := range doc.Paths {
		for _, o := range methods {
			ids = append(ids, o.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// calledMethods returns the names of what this package, but for its tests, takes of any
// value: the methods of the client among them.
func calledMethods(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	called := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if of, ok := s.X.(*ast.Ident); !ok || of.Name != "client" { // a type of the package may have the name
					called[s.Sel.Name] = true
				}
			}
			return true
		})
	}
	return called
}
