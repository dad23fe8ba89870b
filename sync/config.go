package sync

import (
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-id/rollcall/config"
	"github.com/rollcall-id/rollcall/sync/plan"
)

// Config is the part of a source's configuration that says when it is read and how
// much a run may change. How it is read is beside it, in the section's other keys.
type Config struct {
	// Enabled, when false, keeps the source from being read, by schedule or by hand.
	// What was read before stays. The default is true.
	Enabled bool `yaml:"enabled"`
	// Schedule is a cron expression of five fields, "@hourly", or "@every 15m". The
	// value "manual" means: only when somebody asks.
	Schedule string `yaml:"schedule"`
	// Follow has the directory say when something changes, and runs then, besides the
	// schedule. A directory that cannot is read by the schedule alone. The default is
	// false.
	Follow bool `yaml:"follow"`
	// Timezone is where the schedule's hours are. The default is UTC.
	Timezone string `yaml:"timezone"`
	// Jitter puts the source off by up to a minute, always by the same, so that
	// sources with one schedule do not all start at once. The default is true.
	Jitter bool `yaml:"jitter"`
	// Prove is when a run compares everything that the directory has with the roll, and
	// not only what changed: a schedule like the one above, in the same time zone. The
	// first run after each such instant does it. The default is "@daily"; "manual" means
	// only when somebody asks, or when the directory's own account of its changes breaks.
	Prove string `yaml:"prove"`
	// FirstRun is "apply" (a source without users is filled without asking) or "ask".
	// When set it stands above the one in limits.
	FirstRun string `yaml:"first_run"`
	// Use is "users", the default, or "attributes": the records never make a user, they
	// only add to those that they join.
	Use string `yaml:"use"`
	// Link says which users of another source the records join.
	Link plan.Rule `yaml:"link"`
	// PurgeAfter is how long the source must not have had a user or a group until it may be
	// purged: removed for good. The default, 0, is never. PurgeAtMost is how many one purge
	// removes at most; the default is 500. Purge is a schedule like the one above, or
	// "manual", the default: only an administrator who was shown whom.
	PurgeAfter  time.Duration `yaml:"purge_after"`
	PurgeAtMost int           `yaml:"purge_at_most"`
	Purge       string        `yaml:"purge"`
	// Protected are users whom no run deactivates or renames, by login name or by the key
	// of the source: accounts that the installation hangs on. What the source itself says of
	// an account, that it is disabled or has expired, is applied to them as to everybody.
	Protected []string `yaml:"protected"`
	// Limits say how much a run may change before a person has to look.
	Limits plan.Limits `yaml:"limits"`
}

// leastGrace is the least that purge_after may be.
const leastGrace = 24 * time.Hour

// Manual is the value of Config.Schedule for a source without a schedule.
const Manual = "manual"

// DefaultConfig returns what holds where nothing is configured.
func DefaultConfig() Config {
	return Config{Enabled: true, Schedule: "0 * * * *", Prove: "@daily", Jitter: true, PurgeAtMost: 500, Purge: Manual, Limits: plan.DefaultLimits()}
}

// Validate reports everything that is wrong with the configuration.
func (c *Config) Validate(p *config.Problems) {
	if c.Schedule != Manual {
		if _, err := ParseSchedule(c.Schedule, ""); err != nil {
			p.Add("schedule", "%v", err)
		}
	}
	if c.Prove != Manual {
		if _, err := ParseSchedule(c.Prove, ""); err != nil {
			p.Add("prove", "%v", err)
		}
	}
	if _, err := loadZone(c.Timezone); err != nil {
		p.Add("timezone", "%v", err)
	}
	switch c.FirstRun {
	case "", plan.FirstRunApply, plan.FirstRunAsk:
	default:
		p.Add("first_run", "%q is neither %q nor %q", c.FirstRun, plan.FirstRunApply, plan.FirstRunAsk)
	}
	if c.FirstRun == plan.FirstRunApply && c.Limits.FirstRun == plan.FirstRunAsk {
		p.Add("first_run", "it says %q and limits.first_run says %q; leave one of them out", c.FirstRun, c.Limits.FirstRun)
	}
	c.validatePurge(p)
	for i, name := range c.Protected {
		if strings.TrimSpace(name) == "" {
			p.Add(fmt.Sprintf("protected[%d]", i), "name a user, by login name or by key")
		}
	}
	c.Limits.Validate(p.In("limits").Add)
	plan.ValidateRule(c.Link, c.Use, p.Add)
}

func (c *Config) validatePurge(p *config.Problems) {
	if c.PurgeAfter < 0 || c.PurgeAfter > 0 && c.PurgeAfter < leastGrace {
		p.Add("purge_after", "%v is less than a day: leave it out to purge nobody, or give who is missing by mistake the time to return, such as 2160h", c.PurgeAfter)
	}
	if c.Purge != Manual {
		if _, err := ParseSchedule(c.Purge, ""); err != nil {
			p.Add("purge", "%v", err)
		} else if c.PurgeAfter == 0 {
			p.Add("purge", "nobody would be purged: say after what time in purge_after, such as 2160h")
		}
	}
	if c.PurgeAtMost < 1 {
		p.Add("purge_at_most", "%d is nobody: leave purge_after out to purge nobody", c.PurgeAtMost)
	}
}

// Apply puts a valid configuration into the description of a source.
func (c *Config) Apply(spec *SourceSpec) error {
	spec.Disabled, spec.NoJitter, spec.Limits, spec.Follow = !c.Enabled, !c.Jitter, c.Limits, c.Follow
	spec.Protected = c.Protected
	spec.PurgeAfter, spec.PurgeAtMost = c.PurgeAfter, c.PurgeAtMost
	spec.Link, spec.Use = c.Link, c.Use
	if c.FirstRun != "" {
		spec.Limits.FirstRun = c.FirstRun
	}
	var err error
	if spec.Prove, err = c.schedule(c.Prove); err != nil {
		return err
	}
	if spec.Purge, err = c.schedule(c.Purge); err != nil {
		return err
	}
	spec.Schedule, err = c.schedule(c.Schedule)
	return err
}

func (c *Config) schedule(expr string) (*Schedule, error) {
	if expr == Manual {
		return nil, nil
	}
	return ParseSchedule(expr, c.Timezone)
}
