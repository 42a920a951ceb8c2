package main

import "testing"

func TestAddressesAreShownWithoutSecrets(t *testing.T) {
	for address, want := range map[string]string{
		"nats://127.0.0.1:4222":           "nats://127.0.0.1:4222",
		"nats://a:1,tls://b":              "nats://a:1,tls://b",
		"nats://u:secret@a:1":             "nats://…@a:1",
		"nats://secret@a:1":               "nats://…@a:1",
		"nats://secret@a,nats://secret@b": "nats://…@a,nats://…@b",
		"nats://a:1,nats://u:secret@b":    "nats://a:1,nats://…@b",
		"u:secret@a:1":                    "…@a:1",
		"nats://u:sec,ret@a":              "nats://…,…@a",
		"nats://u:123,ret@a":              "nats://…,…@a",
		"nats://u:s@e,cret@a":             "nats://…,…@a",
		"nats://u:s@e,c@r,et@a,nats://b":  "nats://…,…,…@a,nats://b",
		"nats://u:p@a:1,nats://u:p@b:2":   "nats://…@a:1,nats://…@b:2",
		"nats://u:p@a:1,b:2":              "nats://…@a:1,b:2",
		"nats://u:s@e/c?r#e%t@a":          "nats://…@a",
	} {
		if got := redact(address); got != want {
			t.Errorf("%s is shown as %s, want %s", address, got, want)
		}
	}
}
