package main

import (
	"errors"
	"io"
	"os"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rollcall-id/rollcall/client"
	"github.com/rollcall-id/rollcall/internal/app"
)

// keptHead reads the head of the audit log that a file holds: a backup, its manifest, or
// what rollcall audit head wrote as JSON, each after the other; the last one counts.
func keptHead(name string) (client.AuditHead, error) {
	f, err := os.Open(name)
	if err != nil {
		return client.AuditHead{}, usage("read the head of the audit log: %v", err)
	}
	defer func() { _ = f.Close() }()
	if m, _, err := app.ReadManifest(f); err == nil {
		if m.Audit == nil {
			return client.AuditHead{}, usage("%s is a backup of an older version, which holds no head of the audit log", name)
		}
		return client.AuditHead{Seq: m.Audit.Seq, Revision: int64(m.Audit.Rev), Hash: m.Audit.Hash.String()}, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return client.AuditHead{}, usage("read the head of the audit log: %v", err)
	}
	return lastHead(name, jsontext.NewDecoder(f))
}

// lastHead reads one value after the other.
func lastHead(name string, d *jsontext.Decoder) (last client.AuditHead, err error) {
	for {
		var v struct {
			client.AuditHead
			Audit *client.AuditHead `json:"audit"` // of a manifest
		}
		err := json.UnmarshalDecode(d, &v)
		switch {
		case errors.Is(err, io.EOF) && last.Seq > 0:
			return last, nil
		case err != nil:
			return last, usage("%s holds no head of the audit log: neither what rollcall audit head -o json writes nor a backup", name)
		}
		if last = v.AuditHead; v.Audit != nil {
			last = *v.Audit
		}
	}
}
