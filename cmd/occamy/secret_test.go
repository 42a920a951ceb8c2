package main

import (
	"context"
	"maps"
	"strings"
	"sync"
	"testing"

	natsserver "github.com/nats-io/nats-server/v2/server"
)

// marker is a secret that nothing may show, in any of its forms.
const marker = "sEcReT"

// everyVerb is a call of each verb that connects to a broker.
var everyVerb = []string{
	"submit route --no-check", "submit route --wait", "submit route --optional", "result x", "control x", "cancel x",
	"drain x", "resume x", "dead list", "dead show x", "dead retry x", "status", "status --json", "serve", "serve --json",
}

// hidingPlace is where a secret stands: in the address, in the environment, in
// files, in places where it does not belong.
type hidingPlace struct {
	name    string
	address string
	args    []string
	env     map[string]string
}

func hidingPlaces(t *testing.T, scheme, host string) []hidingPlace {
	t.Helper()
	file := secretFile(t, marker+"\n")
	at := func(before, behind string) string { return scheme + "://" + before + host + behind }
	places := []hidingPlace{
		{name: "password in the address", address: at("u:"+marker+"@", "")},
		{name: "escaped password in the address", address: at("u:"+marker+"%40%2F%3A@", "")},
		{name: "user in the address", address: at(marker+"@", "")},
		{name: "in the second address", address: at("", "") + "," + at("u:"+marker+"@", "")},
		{name: "with a bad port", address: scheme + "://u:" + marker + "@127.0.0.1:port"},
		{name: "with a slash", address: at("u:"+marker+"/"+marker+"@", "")},
		{name: "with a question mark", address: at("u:"+marker+"?"+marker+"@", "")},
		{name: "with a number sign", address: at("u:"+marker+"#"+marker+"@", "")},
		{name: "with a percent sign", address: at("u:"+marker+"%zz@", "")},
		{name: "with a comma", address: at("u:a,"+marker+"@", "")},
		{name: "with an at sign and a comma", address: at("u:a@"+marker+",b@", "")},
		{name: "with a space", address: at("u:a "+marker+"@", "")},
		{name: "with an at sign", address: at("u:"+marker+"@"+marker+"@", "")},
		{name: "without a scheme", address: "u:" + marker + "@" + host},
		{name: "in the query", address: at("", "?password="+marker)},
		{name: "in the fragment", address: at("", "#"+marker)},
		{name: "in the environment", address: at("", ""), env: map[string]string{"OCCAMY_BROKER_USER": "u", "OCCAMY_BROKER_PASSWORD": marker}},
		{name: "in the environment, beside one in the address", address: at("u:"+marker+"@", ""),
			env: map[string]string{"OCCAMY_BROKER_USER": "u", "OCCAMY_BROKER_PASSWORD": marker}},
		{name: "in a file", address: at("", ""), args: []string{"--user", "u", "--password-file", file}},
		{name: "token in the environment", address: at("", ""), env: map[string]string{"OCCAMY_BROKER_TOKEN": marker}},
		{name: "token in a file", address: at("", ""), args: []string{"--token-file", file}},
		{name: "in place of a JWT", address: at("", ""), args: []string{"--creds", file}},
		{name: "in place of a seed", address: at("", ""), args: []string{"--nkey", file}},
		{name: "in place of an authority", address: at("", ""), args: []string{"--tls-ca", file}},
		{name: "in place of a certificate", address: at("", ""), args: []string{"--tls-cert", file, "--tls-key", file}},
		{name: "a seed in place of a file", address: at("", ""), args: []string{"--nkey", "SU" + strings.Repeat(marker, 10)}},
		{name: "a JWT in place of a file", address: at("", ""), args: []string{"--creds", "eyJ" + marker}},
		{name: "as a flag that is not there", address: at("", ""), args: []string{"--password", marker}},
		{name: "as a flag that is not there, with a value", address: at("", ""), args: []string{"--token=" + marker}},
		{name: "in an address as an argument", address: at("", ""), args: []string{at("u:"+marker+"@", "")}},
	}
	return places
}

// testNothingShows runs every verb with a secret in every place against a
// broker that lets nobody in. Most take all the time that they have to connect,
// so many do so side by side.
func testNothingShows(t *testing.T, scheme, host string) {
	t.Helper()
	var all sync.WaitGroup
	defer all.Wait()
	room := make(chan struct{}, 128)
	for _, place := range hidingPlaces(t, scheme, host) {
		for _, verb := range everyVerb {
			room <- struct{}{}
			all.Go(func() {
				defer func() { <-room }()
				place.hides(t, verb)
			})
		}
	}
}

func (p hidingPlace) hides(t *testing.T, verb string) {
	env := map[string]string{"OCCAMY_BROKER": p.address}
	maps.Copy(env, p.env)
	out, errs := newOutput(), newOutput()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	code := run{env: env}.start(ctx, out, errs, append(strings.Fields(verb), p.args...)...)
	switch text := out.String() + errs.String(); {
	case code == exitOK || text == "":
		t.Errorf("%s with a secret %s: exit status %d, %q", verb, p.name, code, text)
	case strings.Contains(text, marker):
		t.Errorf("%s shows the secret %s: %s", verb, p.name, text)
	}
}

func TestNothingShowsASecret(t *testing.T) {
	t.Run("nobody listens", func(t *testing.T) {
		testNothingShows(t, "nats", strings.TrimPrefix(deadAddress(t), "nats://"))
	})
	t.Run("it refuses the credentials", func(t *testing.T) {
		s := startNATS(t, natsserver.Options{Username: "u", Password: "another"})
		testNothingShows(t, "nats", s.Addr().String())
	})
}

// Nor does the config file of serve.
func TestAConfigFileThatIsWrongShowsNoSecret(t *testing.T) {
	for _, text := range []string{
		`{"user": "u", "password": "` + marker + `", "slots": "many"}`,
		`{"user": "u", "password": "` + marker,
		`{"passwort": "` + marker + `"}`,
		`{"password": {"is": "` + marker + `"}}`,
		`{"token": ["` + marker + `"]}`,
		`{"broker": "nats://u:` + marker + `@127.0.0.1:1", "token": "` + marker + `"}`,
		`{"broker": "nats://u:` + marker + `@127.0.0.1:x"}`,
	} {
		config := secretFile(t, text)
		code, stdout, stderr := run{unconnected: true}.do(t, "serve", "--config", config)
		if code == exitOK || stdout != "" || strings.Contains(stderr, marker) {
			t.Errorf("exit status %d, %q", code, stderr)
		}
	}
}
