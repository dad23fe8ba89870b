package admin

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/usage"
)

// Options are what an API needs. DB and Sync are required.
type Options struct {
	DB      *state.DB
	Sync    Syncer
	Log     *slog.Logger          // default: discards
	Now     func() time.Time      // default: time.Now
	Version string                // of Rollcall, for the OpenAPI document
	Metrics prometheus.Registerer // default: not counted
	Backup  Backup                // default: there is none
	Fresh   Fresh                 // default: the store always answers
	Tokens  Verifier              // of an identity provider; default: only keys count
	Limits  *access.Limiter       // default: nobody asks too often
	Usage   usage.Config          // default: nothing is counted
	// PublicURL is where callers reach this API, without a slash at the end; default: where
	// each asks.
	PublicURL string
	Pushes    Pushes       // default: nobody pushes
	Sources   SourceEditor // default: all sources are those of the file
}

// Verifier knows whom a token names that an identity provider signed.
type Verifier interface {
	// Verify is fault.Unauthenticated for a token that does not count.
	Verify(ctx context.Context, raw string) (access.Claims, error)
}

// API is the admin API as an http.Handler.
type API struct {
	db      *state.DB
	sync    Syncer
	log     *slog.Logger
	now     func() time.Time
	mux     *mux
	huma    huma.API
	metrics *metrics
	backup  Backup
	age     Fresh
	tally   *tally
	closing chan struct{} // closed when what never ends by itself is to end
	tokens  Verifier
	limits  *access.Limiter
	counter *counter // nil: nothing is counted
	used    uses
	repeats repeats
	url     string // as callers see it; "": as each asks
	pushes  Pushes
	editor  SourceEditor
}

// New returns the API.
func New(o Options) (*API, error) {
	switch {
	case o.DB == nil:
		return nil, errors.New("admin: Options.DB is missing")
	case o.Sync == nil:
		return nil, errors.New("admin: Options.Sync is missing")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Pushes == nil {
		o.Pushes = noPushes{}
	}
	if o.Sources == nil {
		o.Sources = fileOnly{}
	}
	a := &API{pushes: o.Pushes, editor: o.Sources, db: o.DB, sync: o.Sync, log: o.Log, now: o.Now, mux: newMux(), metrics: newMetrics(o.Metrics), backup: o.Backup, age: o.Fresh, tally: newTally(), closing: make(chan struct{}), tokens: o.Tokens, limits: o.Limits, url: o.PublicURL}
	a.huma = humago.New(a.mux, a.config(o.Version))
	if a.url != "" {
		a.huma.OpenAPI().Servers = []*huma.Server{{URL: a.url}}
	}
	a.routes()
	a.counter = newCounter(a, o.Usage)
	return a, a.serveDocument()
}

// config makes huma read and write as this API promises. Nothing of it is global:
// two APIs in one process do not see each other.
func (a *API) config(version string) huma.Config {
	schemas := newSchemas()
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Rollcall admin API", Version: version,
				Description: "Users, groups, attributes, permissions, grants and sources. " +
					"Errors are problem details (RFC 9457) with a stable code. " +
					"x-required-permission lists the permissions of which one suffices; " +
					"where x-self is true, everybody may ask about himself.",
				License: &huma.License{Name: "Apache 2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: schemas,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"apiKey": {Type: "http", Scheme: "bearer", Description: "An API key (rcl_pat_... of a person, rcl_app_... of a service) or, where the section oidc says so, a token that the identity provider signed"},
				},
			},
		},
		Formats:                      map[string]huma.Format{"application/json": strictJSON, "json": strictJSON},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{a.problemOf},
	}
}

// routes registers every operation.
func (a *API) routes() {
	a.bootstrapRoutes()
	a.userRoutes()
	a.groupRoutes()
	a.attributeRoutes()
	a.catalogueRoutes()
	a.grantRoutes()
	a.answerRoutes()
	a.sourceRoutes()
	a.pushRoutes()
	a.undoRoutes()
	a.runRoutes()
	a.backupRoutes()
	a.auditRoutes()
	a.accessRoutes()
	a.userInfoRoutes()
	a.effectiveRoutes()
	a.feedRoutes()
	a.usageRoutes()
	a.localRoutes()
	a.linkRoutes()
	a.describePlain()
}
