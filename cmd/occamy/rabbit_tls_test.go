//go:build services && !nonodes

package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy"
	"github.com/occamy-go/occamy/internal/rabbitnode"
)

func TestRabbitMutualTLS(t *testing.T) {
	certs := newCertificates(t)
	node, err := rabbitnode.Start(t.Context(), rabbitnode.Config{
		TLS: &rabbitnode.TLS{CertFile: certs.cert, KeyFile: certs.key, CAFile: certs.ca, VerifyPeer: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = node.Close() })
	all := map[string]string{
		"OCCAMY_BROKER": node.TLSURL(), "OCCAMY_BROKER_TLS_CA": certs.ca,
		"OCCAMY_BROKER_TLS_CERT": certs.cert, "OCCAMY_BROKER_TLS_KEY": certs.key,
	}
	s := serveAs(t, all, "--queue-type", "classic")
	var v outcomeView
	decode(t, run{env: all}, &v, "submit", "route", "--file", instance, "--header", "time-limit=50ms", "--wait", "--json")
	if v.Status != occamy.Completed {
		t.Errorf("outcome %+v", v)
	}
	s.signals <- os.Interrupt
	if code := s.end(t); code != exitOK {
		t.Errorf("serve ended with exit status %d", code)
	}
	for _, tc := range []struct {
		name string
		args []string
		says string
	}{
		{"without an authority", nil, "authority that is not trusted"},
		{"without a certificate", []string{"--tls-ca", certs.ca}, "refuses the client's certificate, or wants one"},
		{"without TLS", []string{"--broker", strings.Replace(node.TLSURL(), "amqps://", "amqp://", 1)}, "cannot reach"},
	} {
		ask := func() (int, string, string) {
			return run{env: map[string]string{"OCCAMY_BROKER": node.TLSURL()}}.do(t, append([]string{"status"}, tc.args...)...)
		}
		code, stdout, stderr := ask()
		// On a busy machine the broker may take longer to refuse than a verb waits.
		for begun := time.Now(); strings.Contains(stderr, "no answer within") && time.Since(begun) < patience; {
			code, stdout, stderr = ask()
		}
		if err := oneLineWithHint(stderr); code != exitFailed || stdout != "" || err != nil || !strings.Contains(stderr, tc.says) {
			t.Errorf("%s: exit status %d, %v; want 1 and an error that says %q", tc.name, code, err, tc.says)
		}
	}
}
