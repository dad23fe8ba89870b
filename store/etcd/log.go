package etcd

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc/grpclog"
)

// slogCore hands what etcd logs to a slog.Handler. etcd's Info is our Debug: it
// tells of each step of each start. While the store starts or stops everything short
// of fatal is: what goes wrong then is returned as an error, and the rest are
// warnings about listeners we do not have and things that are being taken away.
type slogCore struct {
	h     slog.Handler
	quiet *atomic.Bool
}

// newZap returns the logger for etcd. onFatal is called before the process ends.
func newZap(log *slog.Logger, quiet *atomic.Bool, onFatal func()) *zap.Logger {
	core := &slogCore{h: log.Handler().WithAttrs([]slog.Attr{slog.String("component", "etcd")}), quiet: quiet}
	return zap.New(core, zap.WithFatalHook(fatalHook{onFatal}))
}

// fatalHook ends the process, as etcd expects: it would go on after a return, on a
// state that it just declared broken.
type fatalHook struct{ before func() }

// OnWrite implements zapcore.CheckWriteHook.
func (f fatalHook) OnWrite(*zapcore.CheckedEntry, []zapcore.Field) {
	defer os.Exit(1) // also when before panics
	if f.before != nil {
		f.before()
	}
}

func (c *slogCore) level(l zapcore.Level) slog.Level {
	switch {
	case l > zapcore.ErrorLevel:
		return slog.LevelError
	case l <= zapcore.InfoLevel || c.quiet.Load():
		return slog.LevelDebug
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelError
}

// Enabled implements zapcore.Core.
func (c *slogCore) Enabled(l zapcore.Level) bool {
	return l >= zapcore.InfoLevel && c.h.Enabled(context.Background(), c.level(l))
}

// With implements zapcore.Core.
func (c *slogCore) With(f []zapcore.Field) zapcore.Core {
	return &slogCore{h: c.h.WithAttrs(attrs(f)), quiet: c.quiet}
}

// Check implements zapcore.Core.
func (c *slogCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) && !firstStart(e.Message) {
		return ce.AddCore(e, c)
	}
	return ce
}

// firstStart reports a complaint that etcd 3.7 makes whenever a new store starts,
// about then or a moment later: what it misses comes with the first commit.
func firstStart(message string) bool {
	return message == "Failed to detect schema version" || message == "failed to update storage version"
}

// Write implements zapcore.Core.
func (c *slogCore) Write(e zapcore.Entry, f []zapcore.Field) error {
	r := slog.NewRecord(e.Time, c.level(e.Level), e.Message, e.Caller.PC)
	r.AddAttrs(attrs(f)...)
	return c.h.Handle(context.Background(), r)
}

// Sync implements zapcore.Core.
func (c *slogCore) Sync() error { return nil }

func attrs(fields []zapcore.Field) []slog.Attr {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	out := make([]slog.Attr, 0, len(enc.Fields))
	for k, v := range enc.Fields {
		out = append(out, slog.Any(k, v))
	}
	slices.SortFunc(out, func(a, b slog.Attr) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// quietGRPC stops gRPC from writing to stderr by itself. Its errors reach us as
// errors of calls. gRPC has one logger in a process and wants it set before use.
var quietGRPC = sync.OnceFunc(func() {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
})
