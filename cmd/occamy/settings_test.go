package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// settled returns the settings that count when the three places have these.
func settled(flags, file settings, environment map[string]string) (settings, error) {
	a := &app{getenv: func(key string) string { return environment[key] }}
	return a.settle(flags, file)
}

func TestFlagsGoBeforeTheEnvironmentAndThatBeforeTheFile(t *testing.T) {
	got, err := settled(
		settings{Broker: "nats://flag"},
		settings{Broker: "nats://file", User: "file", Password: "file", Prefix: "file", Replicas: 3},
		map[string]string{"OCCAMY_BROKER": "nats://env", "OCCAMY_BROKER_USER": "env", "OCCAMY_BROKER_REPLICAS": "2"},
	)
	want := settings{Broker: "nats://flag", User: "env", Password: "file", Prefix: "file", Replicas: 2}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestEachSettingHasAVariable(t *testing.T) {
	environment := map[string]string{"OCCAMY_BROKER": "a", "OCCAMY_BROKER_REPLICAS": "3"}
	var all settings
	for _, s := range all.texts() {
		environment[variable(s.name)] = s.name
	}
	a := &app{getenv: func(key string) string { return environment[key] }}
	got, err := a.settingsFromEnvironment()
	if err != nil || got.Broker != "a" || got.Replicas != 3 || got.TLSCA != "tls-ca" || environment["OCCAMY_BROKER_TLS_CA"] != "tls-ca" {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, s := range got.texts() {
		if *s.value != s.name {
			t.Errorf("%s is %q", s.name, *s.value)
		}
	}
}

// A password is one setting, wherever it stands.
func TestASecretInAnEarlierPlaceReplacesTheFileOfALaterOne(t *testing.T) {
	got, err := settled(settings{User: "u", PasswordFile: "flag"}, settings{}, map[string]string{"OCCAMY_BROKER_PASSWORD": "env"})
	if err != nil || got.PasswordFile != "flag" || got.Password != "" {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = settled(settings{}, settings{TokenFile: "file"}, map[string]string{"OCCAMY_BROKER_TOKEN": "env"})
	if err != nil || got.Token != "env" || got.TokenFile != "" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestSettingsThatDoNotFit(t *testing.T) {
	for _, tc := range []struct {
		args string
		env  string
		says string
	}{
		{"status --user u", "", "a user without a password"},
		{"status --password-file f", "", "a password without a user"},
		{"status --creds f --nkey f", "", "creds and an nkey"},
		{"status --creds f", "OCCAMY_BROKER_TOKEN=secret", "a token and creds"},
		{"status --broker nats://u:secret@h:1 --creds f", "", "creds and credentials in the address"},
		{"status", "OCCAMY_BROKER_USER=u OCCAMY_BROKER_PASSWORD=secret OCCAMY_BROKER_PASSWORD_FILE=f", "a password and a password file"},
		{"status --tls-cert f", "", "belong together"},
		{"status --replicas 7", "", "7 replicas"},
		{"status", "OCCAMY_BROKER_REPLICAS=many", "no number"},
		{"status", "OCCAMY_BROKER_NO_CREATE=perhaps", "OCCAMY_BROKER_NO_CREATE is"},
		{"serve --no-create", "", "not for the embedded broker"},
		{"status --queue-type stack", "", `unknown queue type "stack"`},
		{"status --queue-type classic", "", "queue-type (--queue-type, OCCAMY_BROKER_QUEUE_TYPE) is not for NATS"},
		{"status --prefix UP", "", `prefix "UP"`},
		{"status --broker amqp://h --queue-type classic --replicas 3", "", "replicas (--replicas, OCCAMY_BROKER_REPLICAS) is not for RabbitMQ"},
		{"status --broker amqp://h --nkey f", "", "not for RabbitMQ"},
		{"status --broker amqp://h", "OCCAMY_BROKER_TOKEN=secret", "not for RabbitMQ"},
		{"status --broker amqp://h --tls-ca f", "", "not for amqp://, which is not encrypted"},
		{"serve --broker amqp://h --data-dir d", "", "those of the embedded broker"},
		{"serve --creds f", "", "creds (--creds, OCCAMY_BROKER_CREDS) is not for the embedded broker"},
		{"serve --replicas 3", "", "not for the embedded broker"},
		{"serve --data-dir d", "OCCAMY_BROKER=nats://u:secret@h:1", `the broker is "nats://…@h:1"`},
		{"status --broker nats://u:secret@h:1,amqp://u:secret@h", "", `"amqp://…@h"`},
		{"status --password secret", "", "unknown flag: --password"},
		{"status --token=secret", "", "unknown flag: --token"},
		{"status nats://u:secret@h:1", "", `unexpected argument "nats://…@h:1"`},
		{"nats://u:secret@h:1", "", `unknown verb "nats://…@h:1"`},
	} {
		t.Run(tc.args+" "+tc.env, func(t *testing.T) {
			r := run{unconnected: true, env: make(map[string]string)}
			for _, assignment := range strings.Fields(tc.env) {
				key, value, _ := strings.Cut(assignment, "=")
				r.env[key] = value
			}
			code, stdout, stderr := r.do(t, strings.Fields(tc.args)...)
			if code != exitUsage || stdout != "" || !strings.Contains(stderr, tc.says) {
				t.Errorf("exit status %d, want 2 and an error that says %q", code, tc.says)
			}
			if err := oneLineWithHint(stderr); err != nil {
				t.Errorf("the error message: %v", err)
			}
			if strings.Contains(stderr, "secret") {
				t.Error("it shows a secret")
			}
		})
	}
}

func TestFilesThatCannotBeReadAreNamed(t *testing.T) {
	missing, empty, large := filepath.Join(t.TempDir(), "missing"), filepath.Join(t.TempDir(), "empty"), filepath.Join(t.TempDir(), "large")
	for file, text := range map[string]string{empty: "\n", large: strings.Repeat("x", maxSecret+1)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range []string{
		"--user u --password-file " + missing, "--token-file " + missing, "--creds " + missing, "--nkey " + missing,
		"--tls-ca " + missing, "--tls-cert " + missing + " --tls-key " + missing,
		"--token-file " + empty, "--token-file " + large, "--token-file " + filepath.Dir(empty),
	} {
		for _, verb := range []string{"status", "serve --broker nats://127.0.0.1:1"} {
			fields := strings.Fields(verb + " " + args)
			code, stdout, stderr := run{unconnected: true}.do(t, fields...)
			if err := oneLineWithHint(stderr); code != exitFailed || stdout != "" || err != nil || !strings.Contains(stderr, fields[len(fields)-1]) {
				t.Errorf("%s: exit status %d, %v", args, code, err)
			}
		}
	}
}

func TestASecretThatEverybodyCanReadIsWarnedOf(t *testing.T) {
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true, 0o604: true} {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte("sEcReT\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		code, _, stderr := run{broker: &fakeBroker{}}.do(t, "status", "--token-file", file)
		if code != exitOK || strings.Contains(stderr, "everybody") != warned || strings.Contains(stderr, "sEcReT") {
			t.Errorf("mode %v: exit status %d, %q", mode, code, stderr)
		}
	}
}
