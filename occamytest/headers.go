package occamytest

import (
	"maps"

	"github.com/occamy-go/occamy"
)

// With returns a copy of h that has the headers of more too; those of more win.
func With(h, more occamy.Headers) occamy.Headers {
	h = maps.Clone(h)
	if h == nil {
		h = occamy.Headers{}
	}
	maps.Copy(h, more)
	return h
}

// RequestHeaders are the headers, under the default keys, of a request or an
// optional request of a kind. An empty id leaves the request without one.
func RequestHeaders(kind, id string) occamy.Headers {
	keys := occamy.DefaultHeaderKeys()
	h := occamy.Headers{keys.Kind: kind}
	if id != "" {
		h[keys.RequestID] = id
	}
	return h
}

// ControlHeaders are the headers, under the default keys, of a control message
// for the tasks that bear an ID.
func ControlHeaders(id string) occamy.Headers {
	return occamy.Headers{occamy.DefaultHeaderKeys().TaskID: id}
}

// CommandHeaders are the headers, under the default keys, of a command: the
// target is the ID of a task for a cancel, that of a server otherwise.
func CommandHeaders(command, target string) occamy.Headers {
	keys := occamy.DefaultHeaderKeys()
	h := occamy.Headers{keys.Command: command}
	if command == occamy.CommandCancel {
		h[keys.TaskID] = target
	} else {
		h[keys.Server] = target
	}
	return h
}
