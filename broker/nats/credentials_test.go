package nats_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/embedded"
	"github.com/occamy-go/occamy/broker/nats/internal/natsd"
)

// file writes a secret as people do, with a newline at its end.
func file(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// key is the public key and the seed of an NKey.
func key(t testing.TB, create func() (nkeys.KeyPair, error)) (pair nkeys.KeyPair, public, seed string) {
	t.Helper()
	pair, err := create()
	if err != nil {
		t.Fatal(err)
	}
	public, err = pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return pair, public, string(text)
}

// operator is a NATS server in operator mode, and creds what lets a user in.
func operator(t testing.TB) (s *server.Server, creds, revoked string) {
	t.Helper()
	op, opKey, _ := key(t, nkeys.CreateOperator)
	sys, sysKey, _ := key(t, nkeys.CreateAccount)
	acc, accKey, _ := key(t, nkeys.CreateAccount)
	user, userKey, userSeed := key(t, nkeys.CreateUser)
	_, deniedKey, deniedSeed := key(t, nkeys.CreateUser)
	_, _ = sys, user

	encode := func(claims jwt.Claims, signer nkeys.KeyPair) string {
		text, err := claims.Encode(signer)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	account := jwt.NewAccountClaims(accKey)
	account.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	account.RevokeAt(deniedKey, time.Now().Add(time.Hour))
	resolver := &server.MemAccResolver{}
	for public, text := range map[string]string{
		sysKey: encode(jwt.NewAccountClaims(sysKey), op),
		accKey: encode(account, op),
	} {
		if err := resolver.Store(public, text); err != nil {
			t.Fatal(err)
		}
	}
	s = natsd.Start(t, &server.Options{
		StoreDir: t.TempDir(), TrustedKeys: []string{opKey}, SystemAccount: sysKey, AccountResolver: resolver,
	})
	decorate := func(public, seed string) string {
		text, err := jwt.FormatUserConfig(encode(jwt.NewUserClaims(public), acc), []byte(seed))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return s, decorate(userKey, userSeed), decorate(deniedKey, deniedSeed)
}

// Each kind of credentials lets a server and a client work, as a value and as a
// file; wrong ones are refused at once, with a word on what to do.
func TestCredentials(t *testing.T) {
	_, public, seed := key(t, nkeys.CreateUser)
	_, _, stranger := key(t, nkeys.CreateUser)
	withJWT, creds, revoked := operator(t)
	user := natsd.Start(t, &server.Options{StoreDir: t.TempDir(), Username: "u", Password: "p4ss/word"})
	token := natsd.Start(t, &server.Options{StoreDir: t.TempDir(), Authorization: "t0ken"})
	nkey := natsd.Start(t, &server.Options{StoreDir: t.TempDir(), Nkeys: []*server.NkeyUser{{Nkey: public}}})
	inURL := func(s *server.Server, userinfo string) string {
		return strings.Replace(s.ClientURL(), "nats://", "nats://"+userinfo+"@", 1)
	}

	for _, c := range []struct {
		name   string
		server *server.Server
		cfg    nats.Config
		advice string // empty: it works
	}{
		{"password", user, nats.Config{User: "u", Password: "p4ss/word"}, ""},
		{"password in a file", user, nats.Config{User: "u", PasswordFile: file(t, "p4ss/word")}, ""},
		{"password in the URL", user, nats.Config{URL: inURL(user, "u:p4ss%2Fword")}, ""},
		{"no credentials", user, nats.Config{}, "none are set: set User and Password, Token, NKey or Creds"},
		{"wrong password", user, nats.Config{User: "u", Password: "wr0ng"}, "does not take User and Password"},
		{"wrong password in a file", user, nats.Config{User: "u", PasswordFile: file(t, "wr0ng")}, "does not take User and Password"},
		{"wrong password in the URL", user, nats.Config{URL: inURL(user, "u:wr0ng")}, "does not take the credentials in the URL"},

		{"token", token, nats.Config{Token: "t0ken"}, ""},
		{"token in a file", token, nats.Config{TokenFile: file(t, "t0ken")}, ""},
		{"token in the URL", token, nats.Config{URL: inURL(token, "t0ken")}, ""},
		{"wrong token", token, nats.Config{Token: "wr0ng"}, "does not take Token"},

		{"NKey", nkey, nats.Config{NKey: seed}, ""},
		{"NKey in a file", nkey, nats.Config{NKeyFile: file(t, seed)}, ""},
		{"another's NKey", nkey, nats.Config{NKey: stranger}, "does not take NKey"},
		{"NKey where none are known", user, nats.Config{NKey: seed}, "knows no NKeys"},

		{"JWT", withJWT, nats.Config{Creds: creds}, ""},
		{"JWT in a file", withJWT, nats.Config{CredsFile: file(t, creds)}, ""},
		{"revoked JWT", withJWT, nats.Config{CredsFile: file(t, revoked)}, "does not take Creds"},
		{"no JWT", withJWT, nats.Config{}, "none are set"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cfg.URL == "" {
				c.cfg.URL = c.server.ClientURL()
			}
			if c.advice == "" {
				works(t, c.cfg, strings.ReplaceAll(c.name, " ", "-"))
				return
			}
			_, err := nats.Open(within(t), c.cfg)
			if err == nil || !strings.Contains(err.Error(), c.advice) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v; want an error on one line that says %q", err, c.advice)
			}
			showsNone(t, err, "p4ss", "wr0ng", "t0ken", seed, stranger, "eyJ")
		})
	}
}

// works: a request goes all the way.
func works(t *testing.T, cfg nats.Config, id string) {
	t.Helper()
	b := open(t, cfg)
	c := consume(t, b, 1, "k")
	submit(t, b, "k", id)
	ack(t, c.next(t))
	if err := c.stop(); err != nil {
		t.Errorf("Consume: %v", err)
	}
}

func showsNone(t *testing.T, err error, secrets ...string) {
	t.Helper()
	if err == nil {
		return
	}
	for _, secret := range secrets {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("it shows %q: %v", secret, err)
		}
	}
}

// A password that is changed in its file is used for the next connection.
func TestASecretIsReadAnew(t *testing.T) {
	dir, secret := t.TempDir(), file(t, "old")
	first := startServer(t, embedded.Config{Dir: dir, User: "u", Password: "old"})
	port := portOf(t, first)
	b := open(t, nats.Config{URL: first.URL(), User: "u", PasswordFile: secret})
	submit(t, b, "k", "r1")
	stopServer(t, first)
	if err := os.WriteFile(secret, []byte("new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	startServer(t, embedded.Config{Dir: dir, Port: port, User: "u", Password: "new"})
	submit(t, b, "k", "r2")
}

// Whatever is wrong with an address or a secret, no error shows it, nor does
// the name, nor what is told in the background.
func TestNothingShowsASecret(t *testing.T) {
	_, _, seed := key(t, nkeys.CreateUser)
	const word = "s3cr3t"
	refusing := natsd.Start(t, &server.Options{Username: "u", Password: "p"})
	host := strings.TrimPrefix(refusing.ClientURL(), "nats://")

	for name, cfg := range map[string]nats.Config{
		"refused password":          {URL: "nats://u:" + word + "@" + host},
		"refused token":             {URL: word + "@" + host},
		"password with a slash":     {URL: "nats://u:1/" + word + "@" + host},
		"password with a hash":      {URL: "nats://u:1#" + word + "@" + host},
		"password with a question":  {URL: "nats://u:1?" + word + "@" + host},
		"password with a comma":     {URL: "nats://u:" + word + "," + word + "@" + host},
		"number with a comma":       {URL: "nats://u:1234,5678" + word + "@" + host},
		"password with a percent":   {URL: "nats://u:%zz" + word + "@" + host},
		"password with a space":     {URL: "nats://u:a " + word + "@" + host},
		"password with a control":   {URL: "nats://u:a\x01" + word + "@" + host},
		"password with a bracket":   {URL: "nats://u:[" + word + "@" + host},
		"token and no host":         {URL: "nats://" + word + "@"},
		"token as the host":         {URL: "nats://:" + word},
		"other scheme":              {URL: "http://u:" + word + "@" + host},
		"mixed schemes":             {URL: "nats://u:" + word + "@" + host + ",ws://u:" + word + "@" + host},
		"path":                      {URL: "nats://" + host + "/?password=" + word},
		"unknown host":              {URL: "nats://u:" + word + "@host.invalid:1"},
		"nobody there":              {URL: "nats://u:" + word + "@127.0.0.1:1"},
		"user and token":            {User: word, Token: word},
		"password, no user":         {Password: word},
		"two passwords":             {User: "u", Password: word, PasswordFile: word},
		"bad NKey":                  {NKey: "SU" + word},
		"seed as the name of files": {NKeyFile: seed},
		"JWT as the name of a file": {CredsFile: "eyJ" + word},
		"bad NKey in a file":        {NKeyFile: file(t, "SU"+word)},
		"bad creds":                 {Creds: word},
		"bad creds in a file":       {CredsFile: file(t, "-----BEGIN NATS USER JWT-----\n"+word+"\n------END NATS USER JWT------")},
		"bad key file":              {CertFile: file(t, word), KeyFile: file(t, word)},
		"bad CA file":               {CAFile: file(t, word)},
		"bad prefix":                {Prefix: "a.b", Password: word},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			check := func(err error) {
				mu.Lock()
				defer mu.Unlock()
				showsNone(t, err, word, seed, "5678", "1234")
			}
			cfg.OnError = check
			cfg.Options = []natsgo.Option{natsgo.Timeout(time.Second)}
			ctx, cancel := timeout(300 * time.Millisecond)
			defer cancel()
			b, err := nats.Open(ctx, cfg)
			if err == nil {
				t.Error("it is taken")
				_ = b.Close()
			}
			check(err)

			cfg.Background = true
			b, err = nats.Open(ctx, cfg)
			check(err)
			if err != nil {
				return
			}
			if strings.Contains(b.Name(), word) {
				t.Errorf("the name is %s", b.Name())
			}
			check(b.Submit(ctx, requestOf("k", "r1", 1)))
			check(b.Close())
		})
	}
}
