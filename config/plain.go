package config

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Plain returns a section as the maps, lists and scalars that the file would have for
// it: with the file's keys, durations as text, and secrets by their references. It is
// what an API or a log may show. v is a struct with yaml tags.
func Plain(v any) (map[string]any, error) {
	b, err := yaml.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("show the configuration: %w", err)
	}
	var out map[string]any
	if err := yaml.Unmarshal(b, &out); err != nil {
		return nil, fmt.Errorf("show the configuration: %w", err)
	}
	return out, nil
}
