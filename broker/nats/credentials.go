package nats

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

func splitURLs(s string) []string {
	var urls []string
	for u := range strings.SplitSeq(s, ",") {
		if u = strings.TrimSpace(u); u == "" {
			continue
		}
		if !strings.Contains(u, "://") {
			u = "nats://" + u
		}
		urls = append(urls, u)
	}
	return urls
}

// checkURLs refuses addresses that would be taken for others than were meant,
// and of which a part of a password might then be shown as a host. Its error
// shows nothing of them: what cannot be read may hold a secret anywhere.
func (c Config) checkURLs() error {
	if len(splitURLs(c.URL)) == 0 {
		return errors.New("URL has no address; want one like nats://127.0.0.1:4222")
	}
	bare := false // an address before had no credentials
	for i, text := range splitURLs(c.URL) {
		u, err := url.Parse(text)
		const escape = "; in a user, password or token write special characters as %2F (/), %40 (@), %3A (:), %2C (,), %3F (?), %23 (#)"
		name := fmt.Sprintf("URL (address %d)", i+1)
		switch {
		case err != nil || u.Hostname() == "":
			return errors.New(name + " is unreadable; want one like nats://127.0.0.1:4222" + escape)
		case u.Scheme != "nats" && u.Scheme != "tls" && u.Scheme != "ws" && u.Scheme != "wss":
			return errors.New(name + " has an unknown scheme; want nats://, tls://, ws:// or wss://" + escape)
		case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
			return errors.New(name + " goes on after its port; want one like nats://127.0.0.1:4222" + escape)
		case bare && u.User != nil && !strings.Contains(strings.Split(c.URL, ",")[i], "://"):
			return errors.New(name + " looks like the rest of a password with a comma" + escape)
		}
		bare = bare || u.User == nil
	}
	return nil
}

// withoutSecrets is what may be shown of an address that checkURLs takes.
func withoutSecrets(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return "nats://(unreadable address)"
	}
	return u.Scheme + "://" + u.Host
}

func (c Config) checkCredentials() error {
	var errs []error
	var kinds []string
	kind := func(name string, fields ...string) {
		if strings.Join(fields, "") != "" {
			kinds = append(kinds, name)
		}
	}
	kind("a user", c.User, c.Password, c.PasswordFile)
	kind("a token", c.Token, c.TokenFile)
	kind("an NKey", c.NKey, c.NKeyFile)
	kind("a JWT", c.Creds, c.CredsFile)
	if len(kinds) > 1 {
		errs = append(errs, fmt.Errorf("the credentials are %s; choose one", strings.Join(kinds, " and ")))
	}
	for _, f := range []struct{ name, value, file string }{
		{"Password", c.Password, c.PasswordFile}, {"Token", c.Token, c.TokenFile}, {"NKey", c.NKey, c.NKeyFile}, {"Creds", c.Creds, c.CredsFile},
	} {
		if f.value != "" && f.file != "" {
			errs = append(errs, fmt.Errorf("both %s and %sFile; choose one", f.name, f.name))
		}
	}
	if c.User == "" && (c.Password != "" || c.PasswordFile != "") {
		errs = append(errs, errors.New("a password without User"))
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		errs = append(errs, errors.New("CertFile and KeyFile belong together; set both, or one file for both"))
	}
	return errors.Join(errs...)
}

// credentials sets what the connection is made with. Files are read once now,
// to see that they are good, and anew for each connection. Errors show nothing
// of what is in them, and no file name that is a secret by mistake.
func (c Config) credentials() natsgo.Option {
	return func(o *natsgo.Options) error {
		switch {
		case c.User != "":
			return c.userInfo(o)
		case c.Token != "" || c.TokenFile != "":
			return c.token(o)
		case c.NKey != "" || c.NKeyFile != "":
			return c.nkey(o)
		case c.Creds != "" || c.CredsFile != "":
			return c.jwt(o)
		}
		// Servers of a cluster that are found later have no credentials in
		// their addresses.
		for _, text := range splitURLs(c.URL) {
			if u, err := url.Parse(text); err == nil && u.User != nil {
				if password, ok := u.User.Password(); ok {
					o.User, o.Password = u.User.Username(), password
				} else {
					o.Token = u.User.Username()
				}
				break
			}
		}
		return nil
	}
}

func (c Config) userInfo(o *natsgo.Options) error {
	if c.PasswordFile == "" {
		o.User, o.Password = c.User, c.Password
		return nil
	}
	if _, err := readSecret("PasswordFile", c.PasswordFile); err != nil {
		return err
	}
	o.UserInfo = func() (string, string) {
		password, _ := readSecret("", c.PasswordFile) // an empty one is refused
		return c.User, password
	}
	return nil
}

func (c Config) token(o *natsgo.Options) error {
	if c.TokenFile == "" {
		o.Token = c.Token
		return nil
	}
	if _, err := readSecret("TokenFile", c.TokenFile); err != nil {
		return err
	}
	for _, text := range splitURLs(c.URL) {
		if u, err := url.Parse(text); err == nil && u.User != nil {
			return errors.New("TokenFile and credentials in the URL; choose one")
		}
	}
	o.TokenHandler = func() string {
		token, _ := readSecret("", c.TokenFile) // as above
		return token
	}
	return nil
}

func (c Config) nkey(o *natsgo.Options) error {
	read := func() (nkeys.KeyPair, error) {
		seed, name := c.NKey, "NKey"
		if c.NKeyFile != "" {
			var err error
			name = "NKeyFile"
			if seed, err = readSecret(name, c.NKeyFile); err != nil {
				return nil, err
			}
		}
		pair, err := nkeys.ParseDecoratedNKey([]byte(seed))
		if err != nil {
			return nil, errors.New(name + " is no seed of an NKey; want one that begins with SU")
		}
		return pair, nil
	}
	pair, err := read()
	if err != nil {
		return err
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil || !nkeys.IsValidPublicUserKey(public) {
		return errors.New("the NKey is not that of a user; want a seed that begins with SU")
	}
	return natsgo.Nkey(public, func(nonce []byte) ([]byte, error) {
		pair, err := read()
		if err != nil {
			return nil, err
		}
		defer pair.Wipe()
		return pair.Sign(nonce)
	})(o)
}

func (c Config) jwt(o *natsgo.Options) error {
	read := func() ([]byte, error) {
		if c.CredsFile == "" {
			return []byte(c.Creds), nil
		}
		text, err := readSecret("CredsFile", c.CredsFile)
		return []byte(text), err
	}
	parse := func() (jwt string, pair nkeys.KeyPair, err error) {
		text, err := read()
		if err != nil {
			return "", nil, err
		}
		if jwt, err = nkeys.ParseDecoratedJWT(text); err == nil {
			pair, err = nkeys.ParseDecoratedUserNKey(text)
		}
		if err != nil || strings.Count(jwt, ".") != 2 {
			return "", nil, errors.New("the credentials are not a user's JWT and its seed; want what \"nsc generate creds\" writes")
		}
		return jwt, pair, nil
	}
	_, pair, err := parse()
	if err != nil {
		return err
	}
	pair.Wipe()
	return natsgo.UserJWT(func() (string, error) {
		jwt, pair, err := parse()
		if err == nil {
			pair.Wipe()
		}
		return jwt, err
	}, func(nonce []byte) ([]byte, error) {
		_, pair, err := parse()
		if err != nil {
			return nil, err
		}
		defer pair.Wipe()
		return pair.Sign(nonce)
	})(o)
}

// readSecret returns what a file holds, without the space around it.
func readSecret(field, file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		if !looksSecret(file) {
			return "", fmt.Errorf("%s %q: %w", field, file, err)
		}
		return "", fmt.Errorf("%s: %w; want the name of a file", field, err)
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", fmt.Errorf("%s %q is empty", field, file)
	}
	return secret, nil
}

// looksSecret: somebody gave a secret where the name of a file was wanted.
func looksSecret(s string) bool {
	return strings.HasPrefix(s, "SU") && len(s) > 50 || strings.HasPrefix(s, "eyJ") || strings.Contains(s, "-----BEGIN") || strings.Contains(s, "\n")
}
