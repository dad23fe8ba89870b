package app

import (
	"io"
	"log/slog"
	"os"
)

// NewLogger returns the daemon's logger: JSON lines, or readable ones on a terminal.
// The level can be changed while it is used.
func NewLogger(w io.Writer, l Log, level *slog.LevelVar) *slog.Logger {
	if lv, err := l.level(); err == nil {
		level.Set(lv)
	}
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "text" || l.Format != "json" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
