package nats

import (
	"fmt"
	"strings"

	"github.com/occamy-go/occamy/broker/internal/token"
)

// names are the subjects and streams of one world, which a prefix sets apart
// from others on the same NATS server.
type names struct {
	prefix string

	requests, dead, outcomes, bucket string // streams; the bucket without "KV_"
	command, servers, told           string // subjects
}

func newNames(prefix string) (names, error) {
	if prefix == "" || len(prefix) > 32 || !token.IsPlain(prefix) || strings.ToLower(prefix) != prefix {
		return names{}, fmt.Errorf("prefix %q; want 1 to 32 of a-z, 0-9, - and _", prefix)
	}
	upper := strings.ToUpper(prefix)
	return names{
		prefix:   prefix,
		requests: upper + "_REQUESTS",
		dead:     upper + "_DEAD",
		outcomes: upper + "_OUTCOMES",
		bucket:   upper + "_PROGRESS",
		command:  prefix + ".command",
		servers:  prefix + ".servers",
		told:     prefix + ".told",
	}, nil
}

func (n names) request(kind string) string  { return n.prefix + ".request." + token.Of(kind) }
func (n names) optional(kind string) string { return n.prefix + ".optional." + token.Of(kind) }
func (n names) control(id string) string    { return n.prefix + ".control." + token.Of(id) }
func (n names) feed(topic string) string    { return n.prefix + ".feed." + topic }
func (n names) outcome(id string) string    { return n.prefix + ".outcome." + token.Of(id) }
func (n names) progress(id string) string   { return "$KV." + n.bucket + "." + token.Of(id) }

func (n names) deadLetter(kind, id string) string {
	return n.prefix + ".dead." + token.Of(kind) + "." + token.Of(id)
}

// deadOf matches the dead letters of an ID, whatever their kind; allDead
// matches all. No token is "*".
func (n names) deadOf(id string) string { return n.prefix + ".dead.*." + token.Of(id) }
func (n names) allDead() string         { return n.prefix + ".dead.*.*" }

// progressStream is the stream behind the bucket.
func (n names) progressStream() string { return "KV_" + n.bucket }

// lastToken returns what follows the last dot of a subject.
func lastToken(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }
