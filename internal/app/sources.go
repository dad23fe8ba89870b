package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/scim"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/ldap"
)

// pulled is a source of the file, made ready.
type pulled struct {
	source *ldap.Source
	spec   sync.SourceSpec
}

// makeSources makes the sources of a valid configuration.
func makeSources(c *Config, log *slog.Logger, now func() time.Time) (map[identity.SourceID]pulled, error) {
	made := map[identity.SourceID]pulled{}
	for i := range c.Sources {
		s := &c.Sources[i]
		if s.Kind == kindSCIM {
			continue
		}
		src, err := ldap.New(ldap.Options{Source: s.ID(), Config: s.LDAP, Log: log.With("source", s.Name), Now: now})
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", s.Name, err)
		}
		spec := sync.SourceSpec{ID: s.ID(), Source: src, ConfigHash: configHash(src.Config())}
		if err := s.Sync.Apply(&spec); err != nil {
			return nil, fmt.Errorf("source %s: %w", s.Name, err)
		}
		made[s.ID()] = pulled{src, spec}
	}
	return made, nil
}

// configHash changes whenever reading the same directory may give another answer:
// with bases, filters, mappings and templates, and not with addresses, credentials
// or page sizes.
func configHash(c *ldap.Config) string {
	b, err := json.Marshal(struct {
		Template string
		Users    ldap.Users
		Groups   ldap.Groups
	}{c.Template, c.Users, c.Groups}, json.Deterministic(true))
	if err != nil {
		return "" // plain values cannot fail; an empty hash only costs a full read
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// pushSources returns the sources of a valid configuration that are pushed to.
func pushSources(c *Config) []scim.Source {
	var list []scim.Source
	for i := range c.Sources {
		if s := &c.Sources[i]; s.Kind == kindSCIM {
			list = append(list, scim.Source{ID: s.ID(), Config: s.SCIM})
		}
	}
	return list
}

func specs(made map[identity.SourceID]pulled) []sync.SourceSpec {
	list := make([]sync.SourceSpec, 0, len(made))
	for _, p := range made {
		list = append(list, p.spec)
	}
	return list
}
