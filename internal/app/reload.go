package app

import (
	"context"
	"reflect"
	"slices"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/rollcall-id/rollcall/store/etcd"
)

// Reload takes over a new, valid configuration: sources with their schedules and
// limits, the log level. It logs what else differs and needs a restart, and returns
// those keys. When it returns an error nothing has changed.
func (a *App) Reload(ctx context.Context, next *Config) (needRestart []string, err error) {
	a.notify(daemon.SdNotifyReloading)
	defer a.notify(daemon.SdNotifyReady)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.takeOver(ctx, next); err != nil {
		return nil, err
	}
	if level, err := next.Log.level(); err == nil && a.level != nil {
		a.level.Set(level)
	}
	needRestart = restartKeys(a.config, next)
	if len(needRestart) > 0 {
		a.log.WarnContext(ctx, "reloaded, but some changes need a restart", "keys", needRestart)
	}
	kept := *a.config
	kept.Sources, kept.Log.Level = next.Sources, next.Log.Level
	a.config = &kept
	a.log.InfoContext(ctx, "configuration reloaded", "sources", len(next.Sources))
	return needRestart, nil
}

// restartKeys names the keys that differ and are read at the start only.
func restartKeys(have, next *Config) []string {
	var keys []string
	for key, differs := range map[string]bool{
		"listen":               have.Listen != next.Listen,
		"tls":                  have.TLS != next.TLS,
		"allow_plaintext":      have.AllowPlaintext != next.AllowPlaintext,
		"health":               have.Health != next.Health,
		"store":                !sameStore(have.Store, next.Store),
		"public_url":           have.PublicURL != next.PublicURL,
		"local_socket":         have.LocalSocket != next.LocalSocket,
		"log.format":           have.Log.Format != next.Log.Format,
		"max_staleness":        have.MaxStaleness != next.MaxStaleness,
		"bootstrap_token_file": have.BootstrapToken != next.BootstrapToken,
		"audit":                !reflect.DeepEqual(have.Audit, next.Audit),
		"oidc":                 !reflect.DeepEqual(have.OIDC, next.OIDC),
		"limits":               have.Limits != next.Limits,
		"usage":                have.Usage != next.Usage,
		"secrets":              !reflect.DeepEqual(have.Secrets, next.Secrets),
	} {
		if differs {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func sameStore(a, b etcd.Options) bool {
	return a.Dir == b.Dir && a.Quota == b.Quota && a.Compaction == b.Compaction && a.DebugSocket == b.DebugSocket &&
		slices.Equal(a.Endpoints, b.Endpoints) && a.TLS == b.TLS && a.Username == b.Username && a.Password == b.Password && a.Prefix == b.Prefix
}
