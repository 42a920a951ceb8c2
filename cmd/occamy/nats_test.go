package main

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/occamy-go/occamy"
)

// startNATS runs a NATS server of the test's own on a free port, or on that of
// the options.
func startNATS(t *testing.T, o natsserver.Options) *natsserver.Server {
	t.Helper()
	o.Host, o.JetStream, o.NoLog, o.NoSigs = "127.0.0.1", true, true, true
	if o.Port == 0 {
		o.Port = natsserver.RANDOM_PORT
	}
	if o.StoreDir == "" {
		o.StoreDir = t.TempDir()
	}
	s, err := natsserver.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("NATS does not start")
	}
	return s
}

// secretFile is a file that only this user may read.
func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serverTLS is what a NATS server speaks TLS with. With mutual it wants to know
// its clients.
func serverTLS(t *testing.T, c certificates, mutual bool) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if mutual {
		authority, err := os.ReadFile(c.ca)
		if err != nil {
			t.Fatal(err)
		}
		cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		cfg.ClientCAs.AppendCertsFromPEM(authority)
	}
	return cfg
}

// Each way to show who one is takes a client verb and serve to a server that
// asks for it; without it both fail with a hint, and nothing shows the secret.
func TestWaysIntoNATS(t *testing.T) {
	certs := newCertificates(t)
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	mutual := natsserver.Options{TLS: true, TLSVerify: true, TLSTimeout: 5, TLSConfig: serverTLS(t, certs, true)}
	oneWay := natsserver.Options{TLS: true, TLSTimeout: 5, TLSConfig: serverTLS(t, certs, false)}
	user := natsserver.Options{Username: "occamy", Password: "sEcReT"}
	for _, tc := range []struct {
		name    string
		options natsserver.Options
		scheme  string
		user    string // in the address
		args    []string
		env     map[string]string
		without string // what the error says without args and env
	}{
		{name: "password file", options: user, args: []string{"--user", "occamy", "--password-file", secretFile(t, "sEcReT\n")}, without: "asks for credentials"},
		{name: "password in the environment", options: user,
			env: map[string]string{"OCCAMY_BROKER_USER": "occamy", "OCCAMY_BROKER_PASSWORD": "sEcReT"}, without: "asks for credentials"},
		{name: "password in the address", options: user, user: "occamy:sEcReT@"},
		{name: "token file", options: natsserver.Options{Authorization: "sEcReT"}, args: []string{"--token-file", secretFile(t, "sEcReT")}, without: "asks for credentials"},
		{name: "token in the environment", options: natsserver.Options{Authorization: "sEcReT"},
			env: map[string]string{"OCCAMY_BROKER_TOKEN": "sEcReT"}, without: "asks for credentials"},
		{name: "token in the address", options: natsserver.Options{Authorization: "sEcReT"}, user: "sEcReT@"},
		{name: "NKey", options: natsserver.Options{Nkeys: []*natsserver.NkeyUser{{Nkey: public}}},
			args: []string{"--nkey", secretFile(t, string(seed))}, without: "asks for credentials"},
		{name: "TLS", options: oneWay, scheme: "tls", args: []string{"--tls-ca", certs.ca}, without: "authority that is not trusted"},
		{name: "mutual TLS", options: mutual, scheme: "tls",
			args: []string{"--tls-ca", certs.ca, "--tls-cert", certs.cert, "--tls-key", certs.key}, without: "authority that is not trusted"},
		{name: "mutual TLS from the environment", options: mutual, scheme: "tls", without: "authority that is not trusted",
			env: map[string]string{"OCCAMY_BROKER_TLS_CA": certs.ca, "OCCAMY_BROKER_TLS_CERT": certs.cert, "OCCAMY_BROKER_TLS_KEY": certs.key}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			address := strings.TrimPrefix(startNATS(t, tc.options).ClientURL(), "nats://")
			if tc.scheme == "" {
				tc.scheme = "nats"
			}
			address = tc.scheme + "://" + tc.user + strings.TrimPrefix(address, "tls://")
			s := serveAs(t, tc.env, append([]string{"--broker", address}, tc.args...)...)
			env := map[string]string{"OCCAMY_BROKER": address}
			maps.Copy(env, tc.env)
			var v outcomeView
			code, stdout, stderr := run{env: env}.do(t, append([]string{"submit", "route", "--file", instance, "--header", "time-limit=50ms", "--wait", "--json"}, tc.args...)...)
			if code != exitOK {
				t.Fatalf("exit status %d", code)
			}
			unmarshal(t, stdout, &v)
			if v.Status != occamy.Completed {
				t.Errorf("outcome %+v", v)
			}
			_, status, _ := run{env: env}.do(t, append([]string{"status"}, tc.args...)...)
			s.signals <- os.Interrupt
			if code := s.end(t); code != exitOK {
				t.Errorf("serve ended with exit status %d", code)
			}
			for _, text := range []string{stdout, stderr, status, s.out.String(), s.errs.String()} {
				if strings.Contains(text, "sEcReT") || strings.Contains(text, string(seed)) {
					t.Error("it shows the secret")
				}
			}
			if tc.without == "" {
				return
			}
			for _, args := range []string{"status", "serve"} {
				begin := time.Now()
				code, stdout, stderr := run{}.do(t, args, "--broker", address)
				if code != exitFailed || stdout != "" || !strings.Contains(stderr, tc.without) || time.Since(begin) > 2*connectTimeout {
					t.Errorf("%s without it: exit status %d, want 1 and an error that says %q", args, code, tc.without)
				}
				if err := oneLineWithHint(stderr); err != nil {
					t.Errorf("the error message: %v", err)
				}
			}
		})
	}
}

func TestNATSThatDoesNotFitTheSettings(t *testing.T) {
	certs, another := newCertificates(t), newCertificates(t)
	plain := strings.TrimPrefix(startNATS(t, natsserver.Options{}).ClientURL(), "nats://")
	mutual := strings.TrimPrefix(strings.TrimPrefix(startNATS(t, natsserver.Options{
		TLS: true, TLSVerify: true, TLSTimeout: 5, TLSConfig: serverTLS(t, certs, true),
	}).ClientURL(), "nats://"), "tls://")
	closed := strings.TrimPrefix(deadAddress(t), "nats://")
	silent := silentPort(t)
	for _, tc := range []struct {
		name string
		args []string
		says string
	}{
		{"TLS wanted of one without", []string{"--broker", "tls://" + plain}, "does not offer TLS"},
		{"an authority for one without", []string{"--broker", "nats://" + plain, "--tls-ca", certs.ca}, "does not offer TLS"},
		{"no client certificate", []string{"--broker", "tls://" + mutual, "--tls-ca", certs.ca}, "refuses the client's certificate, or wants one"},
		{"the name is not in the certificate", []string{"--broker", "tls://localhost" + mutual[strings.Index(mutual, ":"):], "--tls-ca", certs.ca}, "certificate is not valid for any names"},
		{"nobody listens", []string{"--broker", "nats://" + closed}, "nobody listens"},
		{"no such name", []string{"--broker", "nats://nowhere.invalid:4222"}, "cannot reach"},
		{"no answer", []string{"--broker", "nats://" + silent}, "no answer within"},
		{"no authority in the file", []string{"--broker", "tls://" + mutual, "--tls-ca", secretFile(t, "sEcReT")}, "the tls-ca of the broker"},
		{"another authority", []string{"--broker", "tls://" + mutual, "--tls-ca", another.ca}, "of no authority in " + another.ca + " (tls-ca)"},
		{"the key of another certificate", []string{"--broker", "tls://" + mutual, "--tls-cert", certs.cert, "--tls-key", another.key}, "cannot be used together"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			code, stdout, stderr := run{}.do(t, append([]string{"status"}, tc.args...)...)
			if took := time.Since(begin); code != exitFailed || stdout != "" || took > 2*connectTimeout {
				t.Errorf("exit status %d after %v", code, took)
			}
			if err := oneLineWithHint(stderr); err != nil || !strings.Contains(stderr, tc.says) || strings.Contains(stderr, "sEcReT") {
				t.Errorf("the error message: %v; want one that says %q", err, tc.says)
			}
		})
	}
}

// What is refused is what was given, and so is the hint.
func TestTheHintFitsWhatIsRefused(t *testing.T) {
	address := startNATS(t, natsserver.Options{Username: "u", Password: "another"}).ClientURL()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	file, nkey := secretFile(t, "sEcReT"), secretFile(t, string(seed))
	for _, tc := range []struct {
		name string
		args []string
		env  map[string]string
		says string
		hint string
	}{
		{"a token", nil, map[string]string{"OCCAMY_BROKER_TOKEN": "sEcReT"}, "it refuses the token", "OCCAMY_BROKER_TOKEN"},
		{"a token in a file", []string{"--token-file", file}, nil, "it refuses the token", "--token-file"},
		{"a password", []string{"--user", "u", "--password-file", file}, nil, `it refuses the user "u" with this password`, "--password-file"},
		{"an NKey", []string{"--nkey", nkey}, nil, "it refuses the NKey in " + nkey, "--nkey"},
		{"in the address", nil, map[string]string{"OCCAMY_BROKER": strings.Replace(address, "://", "://u:sEcReT@", 1)}, "credentials in the address", "%40"},
		{"nothing", nil, nil, "it asks for credentials, and there are none", "OCCAMY_BROKER_PASSWORD"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			env := map[string]string{"OCCAMY_BROKER": address}
			maps.Copy(env, tc.env)
			code, _, stderr := run{env: env}.do(t, append([]string{"status"}, tc.args...)...)
			said, hint, _ := strings.Cut(stderr, "(hint: ")
			if code != exitFailed || !strings.Contains(said, tc.says) || !strings.Contains(hint, tc.hint) || strings.Contains(stderr, "sEcReT") {
				t.Errorf("exit status %d; want an error that says %q with the hint %q", code, tc.says, tc.hint)
			}
		})
	}
}

// Two worlds on one NATS server do not see each other.
func TestPrefixesKeepWorldsApart(t *testing.T) {
	address := startNATS(t, natsserver.Options{}).ClientURL()
	serve(t, "--broker", address, "--prefix", "one")
	for prefix, servers := range map[string]int{"one": 1, "two": 0} {
		var f fleet
		decode(t, run{}, &f, "status", "--broker", address, "--prefix", prefix, "--json")
		if len(f.Servers) != servers || f.Broker != address {
			t.Errorf("with the prefix %s: %+v", prefix, f)
		}
	}
}

// With --no-create nothing is made on the broker, and what is missing is named.
func TestNothingIsCreatedWhereAnOperatorDoesThat(t *testing.T) {
	address := startNATS(t, natsserver.Options{}).ClientURL()
	for _, where := range []run{{}, {env: map[string]string{"OCCAMY_BROKER_NO_CREATE": "true"}}} {
		args := []string{"submit", "route", "--broker", address, "--no-check"}
		if where.env == nil {
			args = append(args, "--no-create")
		}
		code, stdout, stderr := where.do(t, args...)
		if code != exitFailed || stdout != "" || !strings.Contains(stderr, "OCCAMY_REQUESTS") {
			t.Errorf("exit status %d; want 1 and the stream that is missing", code)
		}
	}
	var v outcomeView
	decode(t, run{}, &v, "submit", "route", "--broker", address, "--no-check", "--json")
	decode(t, run{}, &v, "submit", "route", "--broker", address, "--no-check", "--no-create", "--json")
}

// The embedded broker asks for what the settings have, and the same settings
// let a client in.
func TestTheEmbeddedBrokerAsksForTheSameSettings(t *testing.T) {
	env := map[string]string{"OCCAMY_BROKER_USER": "occamy", "OCCAMY_BROKER_PASSWORD_FILE": secretFile(t, "sEcReT\n")}
	s := serveAs(t, env, "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(), "--sync=false")
	env["OCCAMY_BROKER"] = s.Broker
	var f fleet
	decode(t, run{env: env}, &f, "status", "--json")
	if len(f.Servers) != 1 {
		t.Errorf("%+v", f)
	}
	code, _, stderr := run{}.do(t, "status", "--broker", s.Broker)
	if code != exitFailed || !strings.Contains(stderr, "asks for credentials") {
		t.Errorf("without credentials: exit status %d", code)
	}
}

// While the broker is away serve says so once, and once that it is back.
func TestServeTellsThatTheBrokerIsAwayAndBack(t *testing.T) {
	c := newCable(t, startNATS(t, natsserver.Options{}).Addr().String())
	testAwayAndBack(t, c, map[string]string{"OCCAMY_BROKER": "nats://" + c.Addr().String()})
}

func testAwayAndBack(t *testing.T, c *cable, env map[string]string) {
	t.Helper()
	// On RabbitMQ each kind has credit of its own for one slot at least, and two
	// requests of one kind are to run.
	s := serveAs(t, env, "--slots", "3")
	s.begin(t, "long")
	for range 3 {
		begun := strings.Count(s.errs.String(), "\n")
		c.pull()
		s.awaitLine(t, begun, "lost the connection to "+s.Broker)
		c.plug()
		s.awaitLine(t, begun+1, "the connection to "+s.Broker+" is back")
		s.works(t)
	}
	if code, _, _ := s.client().do(t, "cancel", "long"); code != exitOK {
		t.Errorf("cancel: exit status %d", code)
	}
	s.await(t, func(f fleet) bool { return len(f.Servers) == 1 && busy(f.Servers[0].Slots) == 0 })
	if n := strings.Count(s.errs.String(), "\n"); n != 6 {
		t.Errorf("%d lines, want 6:\n%s", n, s.errs)
	}
}
