package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxSecret is more than any password or key needs, and little enough that a path
// that names the wrong file does no harm.
const maxSecret = 64 << 10

// SecretRef says where a secret is to be found. In the file it is a mapping with
// exactly one key; a literal secret is refused:
//
//	password: {file: /etc/rollcall/ldap-password}   # readable by its owner or group only
//	password: {env: LDAP_PASSWORD}
//	password: {credential: ldap-password}           # systemd's LoadCredential=
type SecretRef struct {
	File       string `yaml:"file,omitempty"`
	Env        string `yaml:"env,omitempty"`
	Credential string `yaml:"credential,omitempty"`
}

// byReference is said to those who write a secret itself into the file. It does not
// repeat what they wrote.
const byReference = "secrets are given by reference: write {file: /path}, {env: NAME} or {credential: name} instead of the secret"

// IsZero reports whether nothing is referred to.
func (r SecretRef) IsZero() bool { return r == SecretRef{} }

// String returns the reference, which is no secret.
func (r SecretRef) String() string {
	switch {
	case r.File != "":
		return "file " + r.File
	case r.Env != "":
		return "env " + r.Env
	case r.Credential != "":
		return "credential " + r.Credential
	}
	return "none"
}

// Validate reports a reference that names more than one place. Decoding a document
// calls it; an absent reference is for the owner of the section to judge.
func (r SecretRef) Validate(p *Problems) {
	set := 0
	for _, s := range []string{r.File, r.Env, r.Credential} {
		if s != "" {
			set++
		}
	}
	if set > 1 {
		p.Add("", "give exactly one of file, env and credential")
	}
	if strings.ContainsAny(r.Credential, `/\`) || r.Credential == ".." {
		p.Add("credential", "a credential is named as in LoadCredential=name:path, without a slash")
	}
}

// Resolve reads the secret, without the line break that ends it. It reads anew on
// each call, so that a secret can be changed while the daemon runs.
func (r SecretRef) Resolve() (Secret, error) {
	switch {
	case r.File != "":
		return readSecret(r.File, refuseWorldReadable)
	case r.Env != "":
		text := trimLine(os.Getenv(r.Env))
		if text == "" {
			return Secret{}, fmt.Errorf("the environment variable %s is not set or empty: set it for the daemon, or refer to another", r.Env)
		}
		return NewSecret(text), nil
	case r.Credential != "":
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return Secret{}, fmt.Errorf("no credential %q: systemd gave none; put LoadCredential=%s:/path/to/it into the unit", r.Credential, r.Credential)
		}
		// systemd keeps the directory to the service alone, so modes say nothing.
		return readSecret(filepath.Join(dir, filepath.Base(r.Credential)), anyMode)
	}
	return Secret{}, fmt.Errorf("no secret is referred to: give file, env or credential")
}

func anyMode(string, os.FileMode) error { return nil }

func refuseWorldReadable(path string, mode os.FileMode) error {
	if mode.Perm()&0o004 != 0 {
		return fmt.Errorf("the secret file %s can be read by everyone (mode %04o): chmod o-rwx %s", path, mode.Perm(), path)
	}
	return nil
}

func readSecret(path string, allowed func(string, os.FileMode) error) (Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return Secret{}, fmt.Errorf("read secret: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	switch {
	case err != nil:
		return Secret{}, fmt.Errorf("read secret: %w", err)
	case !info.Mode().IsRegular():
		return Secret{}, fmt.Errorf("the secret %s is not a regular file", path)
	case info.Size() > maxSecret:
		return Secret{}, fmt.Errorf("the secret file %s is over %d KiB: is it the right file?", path, maxSecret>>10)
	}
	if err := allowed(path, info.Mode()); err != nil {
		return Secret{}, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if err != nil {
		return Secret{}, fmt.Errorf("read secret: %w", err)
	}
	text := trimLine(string(b))
	if text == "" {
		return Secret{}, fmt.Errorf("the secret file %s is empty", path)
	}
	return NewSecret(text), nil
}

// trimLine removes the one line break that an editor or echo puts at the end.
func trimLine(s string) string { return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r") }
