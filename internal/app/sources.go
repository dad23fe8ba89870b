package app

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rollcall-id/rollcall/identity"
	"github.com/rollcall-id/rollcall/sync"
	"github.com/rollcall-id/rollcall/sync/ldap"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// pulled is a source that is read on a schedule, made ready.
type pulled struct {
	source *ldap.Source
	spec   sync.SourceSpec
}

// makeSource makes a source of a valid configuration that is pulled.
func makeSource(s *Source, log *slog.Logger, now func() time.Time) (pulled, error) {
	o := ldap.Options{Source: s.ID(), Config: s.LDAP, Log: log.With("source", s.Name), Now: now}
	if s.Stored {
		o.Dial = outward().DialContext
	}
	src, err := ldap.New(o)
	if err != nil {
		return pulled{}, fmt.Errorf("source %s: %w", s.Name, err)
	}
	spec := sync.SourceSpec{ID: s.ID(), Source: src, ConfigHash: configHash(src.Config(), &s.Sync)}
	if err := s.Sync.Apply(&spec); err != nil {
		return pulled{}, fmt.Errorf("source %s: %w", s.Name, err)
	}
	return pulled{src, spec}, nil
}

// configHash changes whenever reading the same directory may give another answer:
// with bases, filters, mappings and templates, and not with addresses, credentials
// or page sizes. It changes, too, with whom the records join.
func configHash(c *ldap.Config, s *sync.Config) string {
	var link *linking
	if !s.Link.IsZero() || s.Use == plan.UseAttributes {
		link = &linking{s.Link, s.Use}
	}
	b, err := json.Marshal(struct {
		Template string
		Users    ldap.Users
		Groups   ldap.Groups
		Link     *linking `json:",omitzero"`
	}{c.Template, c.Users, c.Groups, link}, json.Deterministic(true))
	if err != nil {
		return "" // plain values cannot fail; an empty hash only costs a full read
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// linking is what of a configuration says whom records join.
type linking struct {
	Link plan.Rule
	Use  string
}

func specs(made map[identity.SourceID]pulled) []sync.SourceSpec {
	list := make([]sync.SourceSpec, 0, len(made))
	for _, p := range made {
		list = append(list, p.spec)
	}
	return list
}
