package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The client in the tree is the one that the document in the tree gives.
func TestTheClientIsUpToDate(t *testing.T) {
	text, err := os.ReadFile("../../docs/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	files, err := generate(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("../../client", name))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); d != "" {
			t.Errorf("client/%s is out of date; run go generate ./client\n(-want +got):\n%s", name, d)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"id": "ID", "apiKeyId": "APIKeyID", "userName": "UserName", "min_revision": "MinRevision", "listUsers": "ListUsers", "dn": "DN", "leastPeople": "LeastPeople",
	} {
		if got := goName(name); got != want {
			t.Errorf("goName(%q) = %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{"id": "id", "apiKey": "apiKey", "user": "user"} {
		if got := goArgument(name); got != want {
			t.Errorf("goArgument(%q) = %q, want %q", name, got, want)
		}
	}
}

// What it does not understand it does not guess.
func TestStrangeDocuments(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":          `{`,
		"a strange type":   `{"components":{"schemas":{"A":{"properties":{"b":{"type":"tuple"}}}}}}`,
		"a strange header": `{"paths":{"/a":{"get":{"operationId":"a","tags":["A"],"parameters":[{"name":"X-Odd","in":"header","schema":{"type":"string"}}]}}}}`,
	} {
		if _, err := generate([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
