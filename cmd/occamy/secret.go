package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// maxSecret is how many bytes a file with a password or a token may have.
const maxSecret = 64 << 10

// readSecrets puts the password and the token that stand in files in their
// places too, and looks at the other files that the settings name.
func (a *app) readSecrets(s *settings) error {
	for _, f := range []struct {
		name string
		file string
		into *string // nil: the adapter reads the file
	}{
		{"password-file", s.PasswordFile, &s.Password},
		{"token-file", s.TokenFile, &s.Token},
		{"creds", s.Creds, nil},
		{"nkey", s.NKey, nil},
		{"tls-ca", s.TLSCA, nil},
		{"tls-cert", s.TLSCert, nil},
		{"tls-key", s.TLSKey, nil},
	} {
		if f.file == "" {
			continue
		}
		limit := int64(maxSecret)
		if f.into == nil {
			limit = 0 // that it can be opened is enough
		}
		text, err := readFile(f.file, limit)
		if err != nil {
			return hinted(fmt.Errorf("read the %s of the broker: %w", f.name, err),
				flagOrFile(f.name)+" and "+variable(f.name)+" name a file that this user may read")
		}
		if f.name != "tls-ca" && f.name != "tls-cert" {
			a.warnIfOpen(f.file)
		}
		if f.into == nil {
			continue
		}
		*f.into = strings.TrimSpace(text)
		if *f.into == "" {
			return hinted(fmt.Errorf("%s is empty", f.file), "it has the secret and nothing else")
		}
	}
	return nil
}

// readFile reads a file of at most limit bytes; with a limit of zero it only
// tries whether there is something to read.
func readFile(path string, limit int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return "", err
	}
	if limit > 0 && int64(len(b)) > limit {
		return "", errors.New(path + " is too large for a secret")
	}
	return string(b), nil
}

// warnIfOpen tells that a file with a secret in it may be read by everybody on
// the machine. It is no error: the secrets that orchestrators mount often are
// so, in a container where nobody else is.
func (a *app) warnIfOpen(path string) {
	if runtime.GOOS == "windows" {
		return // which has other permissions
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o004 != 0 {
		a.note("warning: everybody on this machine can read the secret in "+path, "chmod o-r "+path)
	}
}
