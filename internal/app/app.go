package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/rollcall-id/rollcall/access"
	"github.com/rollcall-id/rollcall/admin"
	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/internal/sink"
	"github.com/rollcall-id/rollcall/scim"
	"github.com/rollcall-id/rollcall/state"
	"github.com/rollcall-id/rollcall/store/etcd"
	rollsync "github.com/rollcall-id/rollcall/sync"
)

// Options are what New needs. Config is required.
type Options struct {
	Config  *Config
	Log     *slog.Logger   // default: discards
	Level   *slog.LevelVar // of Log, so that a reload can change it; may be nil
	Version string
	Now     func() time.Time // default: time.Now
	// OnFatal is called when the embedded store ends the process; see etcd.Options.
	OnFatal func()
	// NoFsync makes the embedded store forgetful and fast. For tests and the demo.
	NoFsync bool
}

// App is a daemon. Make it with New, then Start it, then Stop it.
type App struct {
	log     *slog.Logger
	level   *slog.LevelVar
	version string
	now     func() time.Time
	onFatal func()
	noFsync bool
	steps   steps
	failed  chan error // the first part that ended by itself

	mu     sync.Mutex // guards config and fleet
	config *Config
	fleet  *fleet

	store   *etcd.Store
	db      *state.DB
	runner  *rollsync.Runner
	api     *admin.API
	pushes  *scim.Server
	health  *health
	metrics *prometheus.Registry
	main    *listener
	probes  *listener
	room    Room
	storms  storms
}

// New returns a daemon that is not started.
func New(o Options) (*App, error) {
	if o.Config == nil {
		return nil, errors.New("app: Options.Config is missing")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &App{
		log: o.Log, level: o.Level, version: o.Version, now: o.Now, onFatal: o.OnFatal, noFsync: o.NoFsync,
		config: o.Config, steps: steps{log: o.Log}, failed: make(chan error, 1), metrics: prometheus.NewRegistry(),
	}, nil
}

// Start starts everything in order. When a part fails, what was started before is
// stopped again. ctx bounds the start only.
func (a *App) Start(ctx context.Context) error {
	began := time.Now()
	for _, part := range []struct {
		name  string
		start func(context.Context) error
	}{
		{"store", a.startStore},
		{"state", a.startState},
		{"sources", a.startSources},
		{"api", a.startAPI},
		{"health", a.startHealth},
		{"bootstrap", a.bootstrap},
		{"local socket", a.startLocalSocket},
		{"runner", a.startRunner},
		{"listener", a.startListener},
	} {
		if err := part.start(ctx); err != nil {
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
			defer cancel()
			return errors.Join(fmt.Errorf("start %s: %w", part.name, err), a.steps.stop(stop))
		}
	}
	a.log.InfoContext(ctx, "serving", "url", a.URL(), "version", a.version, "rev", a.db.View().Now().Rev(), "took", time.Since(began))
	a.notify(daemon.SdNotifyReady)
	return nil
}

// Failed delivers the error of a part that ended by itself: then the daemon is to be
// stopped.
func (a *App) Failed() <-chan error { return a.failed }

// Stop stops everything in reverse. ctx bounds it.
func (a *App) Stop(ctx context.Context) error {
	a.notify(daemon.SdNotifyStopping)
	if a.health != nil {
		a.health.stopping.Store(true)
	}
	return a.steps.stop(ctx)
}

// notify tells systemd, when it started us.
func (a *App) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		a.log.Warn("systemd was not told", "state", state, "err", err)
	}
}

func (a *App) ended(name string, err error) {
	select {
	case a.failed <- fmt.Errorf("%s: %w", name, err):
	default:
	}
}

func (a *App) startStore(ctx context.Context) error {
	free := a.room.Keep()
	a.steps.add("memory", func(context.Context) error { free(); return nil })
	o := a.config.Store
	o.Log = a.log.With("part", "store")
	o.OnFatal, o.NoFsync = a.onFatal, a.noFsync
	s, err := etcd.Open(ctx, o)
	if err != nil {
		return err
	}
	a.store = s
	a.steps.add("store", func(context.Context) error { return s.Close() })
	a.steps.task(ctx, "store upkeep", s.Run, a.ended)
	return nil
}

func (a *App) startState(ctx context.Context) error {
	db, err := state.Open(ctx, state.Options{Store: a.store, Log: a.log.With("part", "state"), Now: a.now})
	if err != nil {
		return err
	}
	a.db = db
	a.steps.task(ctx, "view", db.Run, a.ended)
	return nil
}

func (a *App) startSources(context.Context) error {
	var err error
	if a.fleet, err = gather(a.config, a.db.View().Now(), a.log, a.now); err != nil {
		return err
	}
	keeper, err := sink.New(sink.Options{
		DB: a.db, Config: a.config.Audit, Stale: a.staleSources, Store: a.store, Log: a.log.With("part", "audit"), Now: a.now, Metrics: a.metrics,
	})
	if err != nil {
		return err
	}
	a.runner, err = rollsync.New(rollsync.Options{
		DB: a.db, Leader: a.store, Sources: specs(a.fleet.made), ReplicaID: replicaID(), Log: a.log.With("part", "sync"),
		Now: a.now, Metrics: a.metrics,
		Duties: []rollsync.Duty{
			{Name: "expiry", Run: a.db.FollowExpiry},
			{Name: "audit", Run: keeper.Run},
			{Name: "withdrawals", Run: a.db.FollowLeftGrants},
			{Name: "deleted sources", Run: a.db.FollowLeaving},
			{Name: "local layer", Run: a.followBars},
			{Name: "rules of pushed sources", Run: a.followRules},
		},
		Around: a.room.Take,
	})
	return err
}

// staleSources returns the sources of which no read was proven for three intervals.
func (a *App) staleSources() []identity.SourceID {
	a.mu.Lock()
	defer a.mu.Unlock()
	var stale []identity.SourceID
	for id := range a.fleet.made {
		if a.runner.Status(id).Stale {
			stale = append(stale, id)
		}
	}
	return stale
}

func replicaID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "rollcall"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}

func (a *App) startAPI(ctx context.Context) error {
	o := admin.Options{
		DB: a.db, Sync: &syncer{app: a}, Log: a.log.With("part", "admin"), Now: a.now, Version: a.version, Metrics: a.metrics,
		Backup: a.backup, PublicURL: a.config.publicURL(), Fresh: func() (time.Time, bool) { return a.health.age() },
		Limits: access.NewLimiter(a.config.Limits, a.now), Usage: a.config.Usage, Pushes: pushes{a}, Sources: sourceEditor{a},
	}
	if err := a.makePushes(o.Limits); err != nil {
		return err
	}
	if a.config.OIDC.Enabled() {
		tokens, err := access.NewOIDC(a.config.OIDC, a.now)
		if err != nil {
			return err
		}
		o.Tokens = tokens
	}
	var err error
	if a.api, err = admin.New(o); err != nil {
		return err
	}
	// These write what requests have left; they end after the last request.
	a.steps.task(ctx, "refusals", a.api.RunAudit, a.ended)
	a.steps.task(ctx, "usage", a.api.CountUsage, a.ended)
	a.storms.room = &a.room
	a.steps.task(ctx, "memory of pushes", a.storms.watch, a.ended)
	return nil
}

func (a *App) makePushes(limits *access.Limiter) (err error) {
	a.pushes, err = scim.New(scim.Options{
		DB: a.db, Log: a.log.With("part", "scim"), Now: a.now, Limits: limits, Fresh: a.fresh, PublicURL: a.config.publicURL(),
	})
	if err != nil {
		return err
	}
	return a.pushes.Reload(a.fleet.pushed())
}

// fresh reports whether decisions may rest on what is remembered.
func (a *App) fresh() bool {
	_, tooOld := a.health.age()
	return !tooOld
}

func (a *App) backup(ctx context.Context, w io.Writer) error {
	return writeBackup(ctx, a.store, a.db, a.version, a.now(), w)
}

func (a *App) startHealth(ctx context.Context) error {
	a.health = &health{store: a.store, now: a.now, bound: a.config.MaxStaleness, leading: a.runner.Leading, view: a.db.View()}
	a.health.probe(ctx)
	for _, c := range []prometheus.Collector{
		newRollMetrics(a.health, a.db.View()),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := a.metrics.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
	}
	a.steps.task(ctx, "health", a.health.Run, a.ended)
	if a.config.Health == healthOff {
		return nil
	}
	l, err := listen(ctx, "health", a.config.Health, ServerTLS{}, a.health.handler(a.metrics), a.log)
	if err != nil {
		return err
	}
	a.probes = l
	a.serve(ctx, l)
	return nil
}

func (a *App) serve(ctx context.Context, l *listener) {
	a.steps.task(ctx, l.name, l.serve, a.ended)
	a.steps.add(l.name+" requests", l.drain)
}

func (a *App) startRunner(ctx context.Context) error {
	a.steps.task(ctx, "runner", a.runner.Run, a.ended)
	a.steps.task(ctx, "stored sources", a.followSources, a.ended)
	return nil
}

func (a *App) startListener(ctx context.Context) error {
	l, err := listen(ctx, "api", a.config.Listen, a.config.TLS, a, a.log)
	if err != nil {
		return err
	}
	a.main = l
	a.serve(ctx, l)
	a.steps.add("streams", func(context.Context) error {
		a.api.EndStreams()
		return nil
	})
	return nil
}

// bootstrap writes the token of the first start to a file that only its owner reads.
func (a *App) bootstrap(ctx context.Context) error {
	token, created, err := a.api.EnsureBootstrap(ctx)
	if err != nil || !created {
		return err
	}
	file := a.config.bootstrapFile()
	if file == "" {
		a.log.WarnContext(ctx, "there is no administrator yet, and nowhere to put the token that makes one: set bootstrap_token_file and start again")
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("write the bootstrap token: %w", err)
	}
	if err := os.WriteFile(file, []byte(token.Reveal()+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the bootstrap token: %w", err)
	}
	a.log.InfoContext(ctx, "there is no administrator yet: rollcall bootstrap --token-file FILE --user NAME makes one", "file", file)
	return nil
}

// URL returns where the admin API is.
func (a *App) URL() string {
	scheme := "http"
	if a.config.TLS.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + a.main.net.Addr().String()
}

// HealthURL returns where health and metrics are, or "" when they are off.
func (a *App) HealthURL() string {
	if a.probes == nil {
		return ""
	}
	return "http://" + a.probes.net.Addr().String()
}
