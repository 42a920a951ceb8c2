package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/nats-io/nkeys"
)

// maxSecret is how many bytes a file with a password or a token may have.
const maxSecret = 64 << 10

// maxFile is how many bytes the other files may have. The authorities of a
// system take some 200 KB.
const maxFile = 8 << 20

// readSecrets puts the password and the token that stand in files in their
// places too, and looks at the other files that the settings name: whether they
// are what they should be is known before there is a connection.
func (a *app) readSecrets(s *settings) error {
	for _, f := range []struct {
		name  string
		file  string
		into  *string           // nil: the adapter reads the file
		check func(string) bool // of what it holds; nil: anything goes
		wants string
	}{
		{name: "password-file", file: s.PasswordFile, into: &s.Password},
		{name: "token-file", file: s.TokenFile, into: &s.Token},
		{name: "creds", file: s.Creds, check: isCreds, wants: `a user's JWT and its seed, as "nsc generate creds" writes them`},
		{name: "nkey", file: s.NKey, check: isSeed, wants: "the seed of a user's NKey, which begins with SU"},
		{name: "tls-ca", file: s.TLSCA, check: hasCertificate, wants: "the certificates (PEM) of the authorities to trust"},
		{name: "tls-cert", file: s.TLSCert, check: hasCertificate, wants: "the client's certificate (PEM)"},
		{name: "tls-key", file: s.TLSKey},
	} {
		if f.file == "" {
			continue
		}
		limit := int64(maxSecret)
		if f.into == nil {
			limit = maxFile
		}
		text, err := readFile(f.file, limit)
		if err != nil && looksSecret(f.file) {
			var path *os.PathError
			if errors.As(err, &path) {
				err = path.Err // without the name
			}
		}
		if err != nil {
			return hinted(fmt.Errorf("read the %s of the broker: %w", f.name, err),
				flagOrFile(f.name)+" and "+variable(f.name)+" name a file that this user may read")
		}
		if f.name != "tls-ca" && f.name != "tls-cert" {
			a.warnIfOpen(f.file)
		}
		if f.check != nil && !f.check(text) {
			return hinted(fmt.Errorf("the %s of the broker, %s, does not hold what it should", f.name, f.file),
				flagOrFile(f.name)+" and "+variable(f.name)+" name a file with "+f.wants)
		}
		if f.into == nil {
			continue
		}
		*f.into = strings.TrimSpace(text)
		if *f.into == "" {
			return hinted(fmt.Errorf("%s is empty", f.file), "it has the secret and nothing else")
		}
	}
	if s.TLSCert != "" {
		if _, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey); err != nil {
			return hinted(fmt.Errorf("the certificate %s and the key %s cannot be used together: %w", s.TLSCert, s.TLSKey, err),
				"--tls-cert and --tls-key name a certificate and the key that was made with it (PEM)")
		}
	}
	return nil
}

func hasCertificate(text string) bool { return x509.NewCertPool().AppendCertsFromPEM([]byte(text)) }

func isSeed(text string) bool {
	pair, err := nkeys.ParseDecoratedNKey([]byte(strings.TrimSpace(text)))
	if err != nil {
		return false
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	return err == nil && nkeys.IsValidPublicUserKey(public)
}

func isCreds(text string) bool {
	jwt, err := nkeys.ParseDecoratedJWT([]byte(text))
	if err != nil || strings.Count(jwt, ".") != 2 {
		return false
	}
	pair, err := nkeys.ParseDecoratedUserNKey([]byte(text))
	if err != nil {
		return false
	}
	pair.Wipe()
	return true
}

// looksSecret tells that somebody gave a secret in place of the name of a file.
func looksSecret(file string) bool {
	return strings.HasPrefix(file, "SU") && len(file) > 50 || strings.HasPrefix(file, "eyJ") ||
		strings.Contains(file, "-----BEGIN") || strings.Contains(file, "\n")
}

// readFile reads a file of at most limit bytes.
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
	if int64(len(b)) > limit {
		return "", errors.New(path + " is too large")
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
		a.warn("everybody on this machine can read the secret in "+path, "chmod o-r "+path)
	}
}
