package occamy

// HeaderKeys names the headers that the server reads. A field left empty has
// the default that its comment gives. Clients and servers that work together
// must use the same keys: those of Config.Headers, of the adapter (Keys in
// nats.Config and memory.Options) and of client.WithHeaderKeys.
type HeaderKeys struct {
	// Kind is the kind of a request or optional request. A string; default
	// "Occamy-Kind".
	Kind string
	// RequestID is the ID that the sender gave to a request or an optional
	// request. A string; default "Occamy-Request-Id".
	RequestID string
	// TaskID makes a control message one for the running tasks that bear the
	// ID. A non-empty string; default "Occamy-Task-Id".
	TaskID string
	// Command makes a control message one for the server: "cancel" (with
	// TaskID), "drain" or "resume" (with Server). Default "Occamy-Command".
	Command string
	// Server is the ID of the server that a drain or resume is for. Default
	// "Occamy-Server".
	Server string
	// Timeout limits Do for each attempt; a duration as time.ParseDuration
	// reads it, above zero. Default "Occamy-Timeout".
	Timeout string
	// Deadline is the moment after which nobody wants the request any more; a
	// time in RFC 3339. Default "Occamy-Deadline".
	Deadline string
	// Priority is an integer, as a decimal string or an integer type. Default
	// "Occamy-Priority".
	Priority string
	// Outcome asks that the outcome be published even when there is no result;
	// the string "true" or the boolean. Default "Occamy-Outcome".
	Outcome string
}

// The values of the command header.
const (
	CommandCancel = "cancel"
	CommandDrain  = "drain"
	CommandResume = "resume"
)

// DefaultHeaderKeys returns the keys that a zero HeaderKeys stands for.
func DefaultHeaderKeys() HeaderKeys { return HeaderKeys{}.WithDefaults() }

// WithDefaults returns the keys with each empty field replaced by its default.
func (k HeaderKeys) WithDefaults() HeaderKeys {
	for _, f := range k.fields() {
		if *f.value == "" {
			*f.value = f.preset
		}
	}
	return k
}

type headerField struct {
	name   string
	value  *string
	preset string
}

func (k *HeaderKeys) fields() []headerField {
	return []headerField{
		{"Kind", &k.Kind, "Occamy-Kind"},
		{"RequestID", &k.RequestID, "Occamy-Request-Id"},
		{"TaskID", &k.TaskID, "Occamy-Task-Id"},
		{"Command", &k.Command, "Occamy-Command"},
		{"Server", &k.Server, "Occamy-Server"},
		{"Timeout", &k.Timeout, "Occamy-Timeout"},
		{"Deadline", &k.Deadline, "Occamy-Deadline"},
		{"Priority", &k.Priority, "Occamy-Priority"},
		{"Outcome", &k.Outcome, "Occamy-Outcome"},
	}
}
