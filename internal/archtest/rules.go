package archtest

// module is the path that our own imports begin with.
const module = "github.com/rollcall-id/rollcall/"

// floors says where each package stands. Imports go down only: a package may import
// what stands on a lower floor, and its own parent; packages of one floor do not know
// each other. A row for a package that does not exist yet keeps its place.
var floors = map[string]int{
	"fault":            0, // the kinds of failure
	"config":           0, // the file
	"client":           1, // the client of the admin API; it knows nothing but fault
	"internal/persist": 0, // persistent maps and vectors

	"identity":        1, // users, groups, records, attributes
	"store":           1, // the contract of the revisioned state
	"store/mem":       1,
	"store/etcd":      1,
	"store/storetest": 1, // the suite that both pass

	"permissions": 2, // catalogue, grants, the check
	"audit":       2, // what an audit entry is
	"usage":       2, // what is done and touched, never by whom
	"sync/plan":   2, // what a sync would change

	"scim/schema":  1, // what a SCIM resource may hold
	"scim/filter":  2, // SCIM filters and paths
	"scim/dialect": 3, // what providers really send, made canonical

	"state":  3, // keys, commit, view
	"access": 3, // callers and their tokens

	"sync":      4, // when and whether to run
	"sync/ldap": 4, // reads directories
	"scim":      4, // accepts pushes
	"admin":     4, // the admin API
	"console":   4, // the web console

	"internal/sink": 4, // carries the audit log away

	"internal/app":  5, // wires it all
	"internal/demo": 5, // a company to try it with

	"cmd/rollcall":   6, // the one binary
	"internal/bench": 6, // what make bench runs

	"internal/clientgen": 6, // writes what of client follows from the document
}

// support is what stands beside the house. It imports what it needs; the value says
// who may import it, besides tests.
var support = map[string][]string{
	"internal/ldapserver": {"internal/demo", "internal/bench"},
	"internal/dirtest":    {"internal/bench"},
	"internal/archtest":   {},
	"internal/history":    {}, // holds tests only
}

// testOnly are packages of the house that only tests may import.
var testOnly = []string{"store/storetest"}

// anywhere marks a library that every package may use.
const anywhere = "*"

// homes says which packages may import a library: the one that hides it from the
// rest. The longest path that fits counts. Tests may use any of them, to check by
// other means what the code does.
var homes = map[string][]string{
	"github.com/go-ldap/ldap/v3":       {"sync/ldap"},
	"github.com/go-asn1-ber/asn1-ber":  {"sync/ldap", "internal/ldapserver"},
	"github.com/jcmturner/gokrb5/v8":   {"sync/ldap"}, // tickets for binds
	"cel.dev/cel-go":                   {"sync/ldap"},
	"github.com/elimity-com/scim":      {"scim"},
	"go.etcd.io":                       {"store/etcd"},
	"github.com/coreos/go-semver":      {"store/etcd"},
	"go.uber.org/zap":                  {"store/etcd"}, // etcd's logger, turned into slog
	"google.golang.org/grpc":           {"store/etcd"},
	"github.com/robfig/cron/v3":        {"sync"},
	"github.com/danielgtaylor/huma/v2": {"admin"},
	"github.com/spf13":                 {"cmd/rollcall"},
	"go.yaml.in/yaml/v3":               {"config", "cmd/rollcall"},
	"github.com/RoaringBitmap/roaring": {"state"},
	"github.com/coreos/go-systemd/v22": {"internal/app"},
	"github.com/google/uuid":           {"identity", "state", "sync/plan"},
	"github.com/coreos/go-oidc/v3":     {"access"},
	"github.com/go-jose/go-jose/v4":    {"access"},
	"github.com/cespare/xxhash/v2":     {"identity", "state", "sync/plan", "sync/ldap"},
	"github.com/go-json-experiment":    {anywhere},
	"github.com/prometheus":            {anywhere},
	"golang.org/x/net":                 {}, // the DNS server of a test
	"golang.org/x/sync":                {anywhere},
	"golang.org/x/sys":                 {"internal/app", "store/etcd", "cmd/rollcall"},
	"golang.org/x/text":                {"identity", "sync/ldap", "internal/ldapserver"},
	"golang.org/x/crypto":              {"access", "admin"},
	"golang.org/x/term":                {"cmd/rollcall"},
	"golang.org/x/time":                {"access", "admin", "scim"},
	"github.com/google/go-cmp":         {"store/storetest", "internal/dirtest"},
	"pgregory.net/rapid":               {"store/storetest"},
	"go.uber.org/goleak":               {},
	"github.com/rogpeppe/go-internal":  {},
}

// pure are the packages that decide. They take values and return values, so they
// know no file, network, process, log or clock.
var pure = []string{"identity", "permissions", "audit", "usage", "sync/plan"}

// impure is what they do without, below these paths.
var impure = []string{"os", "net", "io/fs", "log", "database", "path/filepath", "runtime", "syscall", "testing"}

// backgroundAllowed are the files and packages, besides tests and package main, that
// may start a context of their own, as for what has to be done after the one they
// were given has ended. The value is the reason.
var backgroundAllowed = map[string]string{
	"internal/dirtest":            "it is part of tests, and stops servers when their contexts have ended",
	"internal/ldapserver/conn.go": "a connection ends when it is cut or its server is closed",

	"store/etcd/log.go": "etcd logs without a context, slog wants one",
}

// topLevel are the directories of the root: those of the packages above, and these.
var topLevel = []string{"cmd", "internal", "deploy", "docs", "changelog", "tools", ".ci", ".git", ".github"}
