package admin

import (
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/rollcall-id/rollcall/fault"
)

// Backup writes a consistent copy of everything that is stored.
type Backup func(ctx context.Context, w io.Writer) error

func (a *API) backupRoutes() {
	register(a, operation{
		id: "backup", method: http.MethodGet, path: "/v1/backup", tag: "Operation", need: setup, timeout: long, media: "application/x-tar",
		summary: "Take a copy of everything that is stored: a tar file with a manifest and a snapshot",
	}, a.takeBackup)
}

func (a *API) takeBackup(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
	if a.backup == nil {
		return nil, fault.New(fault.Unavailable, "no_backup", "this store cannot be copied while it runs: copy it with its own tools")
	}
	return &huma.StreamResponse{Body: func(out huma.Context) {
		out.SetHeader("Content-Type", "application/x-tar")
		out.SetHeader("Content-Disposition", `attachment; filename="rollcall-backup.tar"`)
		if err := a.backup(ctx, out.BodyWriter()); err != nil {
			a.log.ErrorContext(ctx, "backup failed", "request", questionOf(ctx).request, "err", err)
			// The length is not known ahead, so only a cut tells the other side.
			panic(http.ErrAbortHandler)
		}
	}}, nil
}
