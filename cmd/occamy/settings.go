package main

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// settings say how to reach a broker. Each has one name in three forms: tls-ca
// is the flag --tls-ca, the variable OCCAMY_BROKER_TLS_CA and the field tls_ca
// of serve's config file; the first of these that is there counts. A secret has
// no flag, since everybody on the machine sees those.
type settings struct {
	Broker       string `json:"broker"`
	User         string `json:"user"`
	Password     string `json:"password"`
	PasswordFile string `json:"password_file"`
	Token        string `json:"token"`
	TokenFile    string `json:"token_file"`
	Creds        string `json:"creds"`
	NKey         string `json:"nkey"`
	TLSCA        string `json:"tls_ca"`
	TLSCert      string `json:"tls_cert"`
	TLSKey       string `json:"tls_key"`
	Prefix       string `json:"prefix"`
	InboxPrefix  string `json:"inbox_prefix"`
	Replicas     int    `json:"replicas"`
	QueueType    string `json:"queue_type"`
	NoCreate     bool   `json:"no_create"`
}

// setting is one of the settings that are text.
type setting struct {
	name   string // as a flag has it
	value  *string
	secret bool   // there is no flag
	help   string // of the flag
}

// texts are the settings that are text, besides Broker.
func (s *settings) texts() []setting {
	return []setting{
		{name: "user", value: &s.User, help: "the user's `NAME`"},
		{name: "password", value: &s.Password, secret: true},
		{name: "password-file", value: &s.PasswordFile, help: "read the password from this `FILE`"},
		{name: "token", value: &s.Token, secret: true},
		{name: "token-file", value: &s.TokenFile, help: "NATS: read a token from this `FILE`"},
		{name: "creds", value: &s.Creds, help: "NATS: a `FILE` with a JWT and its seed"},
		{name: "nkey", value: &s.NKey, help: "NATS: a `FILE` with the seed of an NKey"},
		{name: "tls-ca", value: &s.TLSCA, help: "trust the authorities in this `FILE` (PEM) in place of the system's"},
		{name: "tls-cert", value: &s.TLSCert, help: "the client's certificate, a `FILE` (PEM)"},
		{name: "tls-key", value: &s.TLSKey, help: "the key of --tls-cert, a `FILE` (PEM)"},
		{name: "prefix", value: &s.Prefix, help: "the `WORD` with which the names of streams, queues and exchanges begin (default occamy)"},
		{name: "inbox-prefix", value: &s.InboxPrefix, help: "NATS: the `SUBJECT` with which those of answers begin (default _INBOX)"},
		{name: "queue-type", value: &s.QueueType, help: "RabbitMQ: the `TYPE` of queues that are made, quorum or classic (default quorum)"},
	}
}

var goodPrefix = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// variable is the name of a setting in the environment.
func variable(name string) string {
	return "OCCAMY_BROKER_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// field is the name of a setting in the config file.
func field(name string) string { return strings.ReplaceAll(name, "-", "_") }

// connectionFlag marks the flags of the connection, which help lists apart.
const connectionFlag = "connection"

// flags adds the flags of the connection; broker is the help of --broker.
func (s *settings) flags(f *pflag.FlagSet, broker string) {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	own.SortFlags, f.SortFlags = false, false // help sorts the others
	own.StringVar(&s.Broker, "broker", "", broker)
	for _, t := range s.texts() {
		if !t.secret {
			own.StringVar(t.value, t.name, "", t.help)
		}
	}
	own.IntVar(&s.Replicas, "replicas", 0, "NATS: the `NUMBER` of servers of a cluster that keep each message, in streams that are made (default 1)")
	own.BoolVar(&s.NoCreate, "no-create", false, "create no streams, or no queues and exchanges for requests and dead letters: they are there")
	own.VisitAll(func(flag *pflag.Flag) {
		flag.Annotations = map[string][]string{connectionFlag: nil}
		f.AddFlag(flag)
	})
}

// settingsFromEnvironment reads the settings that the environment has.
func (a *app) settingsFromEnvironment() (settings, error) {
	s := settings{Broker: a.getenv("OCCAMY_BROKER")}
	for _, t := range s.texts() {
		*t.value = a.getenv(variable(t.name))
	}
	if text := a.getenv(variable("replicas")); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return s, usage(variable("replicas")+" is "+quote(text)+", which is no number", "for instance 3")
		}
		s.Replicas = n
	}
	if text := a.getenv(variable("no-create")); text != "" {
		on, err := strconv.ParseBool(text)
		if err != nil {
			return s, usage(variable("no-create")+" is "+quote(text), "true or false")
		}
		s.NoCreate = on
	}
	return s, nil
}

// or returns s with what it leaves open taken from other. A secret and the file
// that has it are one setting.
func (s settings) or(other settings) settings {
	if s.Password != "" || s.PasswordFile != "" {
		other.Password, other.PasswordFile = "", ""
	}
	if s.Token != "" || s.TokenFile != "" {
		other.Token, other.TokenFile = "", ""
	}
	s.Broker = cmp.Or(s.Broker, other.Broker)
	s.Replicas = cmp.Or(s.Replicas, other.Replicas)
	s.NoCreate = s.NoCreate || other.NoCreate
	others := other.texts()
	for i, t := range s.texts() {
		*t.value = cmp.Or(*t.value, *others[i].value)
	}
	return s
}

// given returns the names of the settings that are set, but for the address.
func (s settings) given() []string {
	var names []string
	for _, t := range s.texts() {
		if *t.value != "" {
			names = append(names, t.name)
		}
	}
	if s.Replicas != 0 {
		names = append(names, "replicas")
	}
	if s.NoCreate {
		names = append(names, "no-create")
	}
	return names
}

// check finds settings that contradict each other, whatever the broker.
func (s settings) check() error {
	const choose = "choose one; flags, OCCAMY_BROKER_… in the environment and serve's config file all count"
	var ways []string
	for _, way := range []struct {
		name  string
		given bool
	}{
		{"a user", s.User != "" || s.Password != "" || s.PasswordFile != ""},
		{"a token", s.Token != "" || s.TokenFile != ""},
		{"creds", s.Creds != ""},
		{"an nkey", s.NKey != ""},
		{"credentials in the address", hasCredentials(s.Broker)},
	} {
		if way.given {
			ways = append(ways, way.name)
		}
	}
	switch {
	case len(ways) > 1:
		return usage("there are "+strings.Join(ways, " and "), choose)
	case s.Password != "" && s.PasswordFile != "":
		return usage("there are a password and a password file", choose)
	case s.Token != "" && s.TokenFile != "":
		return usage("there are a token and a token file", choose)
	case s.User == "" && (s.Password != "" || s.PasswordFile != ""):
		return usage("there is a password without a user", "--user or "+variable("user")+" names the user")
	case s.User != "" && s.Password == "" && s.PasswordFile == "":
		return usage("there is a user without a password", "--password-file names a file with the password, "+variable("password")+" holds it")
	case (s.TLSCert == "") != (s.TLSKey == ""):
		return usage("--tls-cert and --tls-key belong together", "give both, or neither")
	case s.Prefix != "" && !goodPrefix.MatchString(s.Prefix):
		return usage("prefix "+quote(s.Prefix)+" cannot be used", "1 to 32 of a-z, 0-9, - and _")
	case s.Replicas < 0 || s.Replicas > 5:
		return usage(fmt.Sprintf("%d replicas", s.Replicas), "NATS keeps a message on 1 to 5 servers; 3 suits most clusters")
	case s.QueueType != "" && s.QueueType != "quorum" && s.QueueType != "classic":
		return usage("unknown queue type "+quote(s.QueueType), "quorum or classic")
	}
	return nil
}

// refuse returns an error if settings are given that a broker has no use for.
func (s settings) refuse(broker, hint string, useless ...string) error {
	for _, name := range s.given() {
		for _, u := range useless {
			if name == u {
				return usage(fmt.Sprintf("%s (%s, %s) is not for %s", name, flagOrFile(name), variable(name), broker), hint)
			}
		}
	}
	return nil
}

func flagOrFile(name string) string {
	if name == "password" || name == "token" {
		return field(name) + " in the config file"
	}
	return "--" + name
}
