// Command apilint holds an OpenAPI document against the rules of speakeasy's linter, all
// of them but those listed here with the reason. It ends with 1 when one is broken.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/speakeasy-api/openapi/linter"
	"github.com/speakeasy-api/openapi/openapi"
	openapilinter "github.com/speakeasy-api/openapi/openapi/linter"
	"github.com/speakeasy-api/openapi/validation"
)

// off are the rules that do not hold here, each with the reason.
var off = map[string]string{
	"owasp-string-restricted":                 "names, reasons and ids come from directories and people: no pattern fits them",
	"owasp-string-limit":                      "it asks of answers, too, what only requests are held to; those have limits, and tests of them",
	"owasp-array-limit":                       "as owasp-string-limit",
	"owasp-integer-limit":                     "as owasp-string-limit",
	"owasp-rate-limit":                        "a refusal says Retry-After; no header counts down before it",
	"owasp-define-error-responses-401":        "what everybody may read has no credential to be wrong",
	"owasp-define-error-responses-429":        "what everybody may read is not limited by key",
	"owasp-define-error-responses-500":        "the documents are bytes in memory",
	"owasp-define-error-validation":           "the documents and their like take nothing that could be invalid",
	"owasp-protection-global-safe":            "the documents and the discovery of AuthZEN are for everybody",
	"owasp-protection-global-unsafe":          "the bootstrap has a token of its own, in its body",
	"owasp-protection-global-unsafe-strict":   "as owasp-protection-global-unsafe",
	"owasp-no-http-basic":                     "/user-info is called by systems that know nothing else; only over TLS",
	"owasp-no-credentials-in-url":             "{key} is the name of an attribute, {apiKey} and {token} are public ids",
	"owasp-no-additional-properties":          "attributes and profiles are maps by nature",
	"owasp-additional-properties-constrained": "as owasp-no-additional-properties",
	"oas3-example-missing":                    "examples stand where a shape does not explain itself",
	"style-contact-properties":                "the project has no address for mail",
	"style-license-url":                       "OpenAPI 3.1 takes an SPDX identifier instead, and not both",
	"style-operation-error-response":          "the documents have no error of their own",
	"style-no-verbs-in-path":                  "the head of the audit log is no verb",
	"style-paths-kebab-case":                  "paths are spelled as the members of bodies are",
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: apilint FILE")
		os.Exit(2)
	}
	broken, err := lint(context.Background(), os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "apilint:", err)
		os.Exit(2)
	}
	for _, b := range broken {
		fmt.Println(os.Args[1] + ": " + b.Error())
	}
	if len(broken) > 0 {
		os.Exit(1)
	}
}

// lint returns what of a document breaks a rule that is not off, and a rule that is off
// and that nothing breaks: it need not be.
func lint(ctx context.Context, name string) (broken []error, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	doc, invalid, err := openapi.Unmarshal(ctx, f)
	if err != nil {
		return nil, err
	}
	l, err := openapilinter.NewLinter(linter.NewConfig())
	if err != nil {
		return nil, err
	}
	out, err := l.Lint(ctx, linter.NewDocumentInfo(doc, name), invalid, nil)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, r := range out.Results {
		rule := ""
		if v, ok := errors.AsType[*validation.Error](r); ok {
			rule = v.Rule
		}
		if off[rule] == "" {
			broken = append(broken, r)
		}
		used[rule] = true
	}
	for rule := range off {
		if !used[rule] {
			broken = append(broken, fmt.Errorf("rule %s is off in tools/apilint, and nothing breaks it", rule))
		}
	}
	return broken, nil
}
