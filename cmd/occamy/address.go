package main

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// checkAddress returns the broker that an address leads to, and refuses what is
// no address of one that the command knows.
func checkAddress(address string) (brokerKind, error) {
	if address == embeddedAddress {
		return brokerKind{}, usage("the embedded broker is part of 'occamy serve'; other verbs need its address", "for instance "+defaultAddress)
	}
	var kind brokerKind
	shown := redacted(address)
	for i, one := range strings.Split(address, ",") {
		u, err := url.Parse(one)
		if err != nil || u.Hostname() == "" {
			return kind, usage("unknown broker address "+quote(shown[i]), addressHint)
		}
		at := slices.IndexFunc(brokerKinds(), func(k brokerKind) bool { return slices.Contains(k.schemes, u.Scheme) })
		switch {
		case at < 0:
			return kind, usage("unknown broker address "+quote(shown[i]), addressHint)
		case i == 0:
			kind = brokerKinds()[at]
		case !slices.Contains(kind.schemes, u.Scheme):
			return kind, usage("the address "+quote(shown[i])+" is not one of "+kind.name+", the first is", "several addresses are those of one cluster")
		}
	}
	return kind, nil
}

const addressHint = "for instance " + defaultAddress + ", tls://host:4222, amqp://host:5672/vhost or amqps://host"

// hasCredentials tells whether an address has a user, a password or a token.
func hasCredentials(address string) bool {
	return slices.ContainsFunc(strings.Split(address, ","), func(one string) bool {
		u, err := url.Parse(one)
		return err == nil && u.User != nil
	})
}

// redact hides what may be secret in an address, or in several with commas
// between.
func redact(address string) string { return strings.Join(redacted(address), ",") }

// redacted returns the addresses without all that stands before a host or
// behind a path: a token stands where a user would, and a password may have a
// comma in it.
func redacted(address string) []string {
	all := strings.Split(address, ",")
	for i, one := range all {
		scheme, rest, ok := strings.Cut(one, "://")
		if ok {
			scheme += "://"
		} else {
			scheme, rest = "", one
		}
		at := strings.LastIndex(rest, "@")
		switch {
		case goesOn(all[i+1:]):
			all[i] = scheme + "…"
		case at >= 0:
			all[i] = scheme + "…" + withoutQuery(rest[at:])
		default:
			all[i] = scheme + withoutQuery(rest)
		}
	}
	return all
}

// goesOn tells whether what stands before more may be the first part of an
// address with a comma in its password.
func goesOn(more []string) bool {
	if next := slices.IndexFunc(more, func(s string) bool { return strings.Contains(s, "://") }); next >= 0 {
		more = more[:next]
	}
	return strings.Contains(strings.Join(more, ","), "@")
}

// withoutQuery hides what follows the path of an address.
func withoutQuery(rest string) string {
	if at := strings.IndexAny(rest, "?#"); at >= 0 {
		return rest[:at+1] + "…"
	}
	return rest
}

var addressInText = regexp.MustCompile(`\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"']*@[^\s"']*`)

// redactText hides what may be secret in the addresses that a text has in it.
func redactText(text string) string {
	return addressInText.ReplaceAllStringFunc(text, redact)
}
