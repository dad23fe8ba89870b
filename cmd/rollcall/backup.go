package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/rollcall-id/rollcall/client"
	"github.com/rollcall-id/rollcall/fault"
	"github.com/rollcall-id/rollcall/internal/app"
)

func backupCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Take a copy of everything that is stored, while it runs",
		Long: `Take a copy of everything that is stored, while the daemon runs, into a new file that
only you can read: it holds all personal data. The copy is read back and compared with
the digest in its manifest before the file gets its name. Only APPLICATION_ADMIN may.`,
		Example: `  rollcall backup rollcall-$(date +%F).tar`,
		Args:    c.args("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := os.Lstat(args[0]); !errors.Is(err, fs.ErrNotExist) {
				return usage("%s is there already: choose another name, an older backup is not overwritten", args[0])
			}
			api, err := c.client()
			if err != nil {
				return err
			}
			defer api.Close()
			m, err := takeBackup(cmd.Context(), api, args[0])
			if err != nil {
				return err
			}
			return c.show(m, func(w io.Writer) { writeManifest(w, "Backup in "+args[0], m) })
		},
	}
}

// takeBackup writes a backup beside the file, reads it back, and then gives it its
// name: a file of this name is a whole backup.
func takeBackup(ctx context.Context, api *client.Client, file string) (m app.Manifest, err error) {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*") // with mode 0600
	if err != nil {
		return m, usage("make the backup: %v", err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
		}
	}()
	if err := api.Backup(ctx, f); err != nil {
		return m, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return m, fmt.Errorf("read the backup back: %w", err)
	}
	m, snapshot, err := app.ReadManifest(f)
	if err == nil {
		_, err = io.Copy(io.Discard, snapshot)
	}
	if err != nil {
		return m, fault.New(fault.Unavailable, "backup_damaged", "what arrived is not a whole backup, take it again: %v", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return m, fmt.Errorf("write the backup: %w", err)
	}
	if err := os.Link(f.Name(), file); err != nil { // unlike a rename it overwrites nothing
		return m, usage("name the backup: %v", err)
	}
	return m, os.Remove(f.Name())
}

func writeManifest(w io.Writer, title string, m app.Manifest) {
	fmt.Fprintln(w, title)
	var b block
	b.add("taken", "%s by Rollcall %s", m.Created.UTC().Format("2 Jan 2006 15:04 UTC"), m.Version)
	b.add("revision", "%d", m.Rev)
	b.add("holds", "%s users, %s groups, %s grants", thousands(m.Users), thousands(m.Groups), thousands(m.Grants))
	b.add("snapshot", "%s bytes", thousands(int(m.Size)))
	b.add("sha256", "%s", m.SHA256)
	if m.Audit != nil {
		b.add("audit log", "to entry %d, %s", m.Audit.Seq, m.Audit.Hash)
	}
	b.write(w)
}

func restoreCommand(c *cli) *cobra.Command {
	dir := ""
	cmd := &cobra.Command{
		Use:   "restore FILE --dir DIR",
		Short: "Put a backup into an empty directory, to start the daemon on",
		Long: `Put a backup into an empty or missing directory, which the embedded store is then started
on (store.dir). No daemon may be running there. The backup is verified, with the audit log
in it, which has to go through the head that the manifest names; when anything fails the
directory is as it was.`,
		Example: `  rollcall restore rollcall-2026-11-25.tar --dir /var/lib/rollcall`,
		Args:    c.args("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				return usage("say where to: --dir DIR, which is empty or missing and becomes store.dir")
			}
			log := slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
			m, err := app.Restore(cmd.Context(), args[0], dir, log)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
				return usage("%v", err)
			}
			if err != nil {
				return err
			}
			return c.show(m, func(w io.Writer) {
				writeManifest(w, "Restored into "+dir, m)
				fmt.Fprintln(w, "Start the daemon on it: rollcall serve, with store.dir set to it.")
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the empty or missing `DIR`ectory")
	return cmd
}
