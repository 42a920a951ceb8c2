//go:build unix && services && !nonodes

package rabbitmq_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/occamy-go/occamy/broker/rabbitmq"
	"github.com/occamy-go/occamy/internal/rabbitnode"
)

func TestTLS(t *testing.T) {
	ca, cert, key := certificates(t)
	n := startNode(t, rabbitnode.Config{TLS: &rabbitnode.TLS{CertFile: cert, KeyFile: key, CAFile: ca, VerifyPeer: true}})
	b := open(t, rabbitmq.Config{URL: n.TLSURL(), CAFile: ca, CertFile: cert, KeyFile: key})
	a := consume(t, b, 1, "k")
	submit(t, b, "k", "r1")
	ack(t, a.next(t))
	for _, c := range []struct {
		name string
		cfg  rabbitmq.Config
	}{
		{"a client without a certificate", rabbitmq.Config{CAFile: ca}},
		{"a broker that nobody vouches for", rabbitmq.Config{CertFile: cert, KeyFile: key}},
	} {
		c.cfg.URL = n.TLSURL()
		refused(t, c.name, c.cfg, 2*time.Second)
	}
	if strings.Contains(b.Name(), "@") || !strings.HasPrefix(b.Name(), "amqps://") {
		t.Errorf("the name is %q", b.Name())
	}
}

// Credentials that the broker refuses end Open at once.
func TestCredentialsThatAreRefused(t *testing.T) {
	url := nodeURL(t)
	at := url[strings.LastIndexAny(url, "@/")+1:]
	if i := strings.Index(url, "://"); i >= 0 {
		at = url[i+3:]
	}
	at = at[strings.LastIndex(at, "@")+1:]
	began := time.Now()
	for name, c := range map[string]rabbitmq.Config{
		"a wrong password in the URL": {URL: "amqp://guest:hunter2@" + at},
		"a wrong password":            {URL: "amqp://" + at, User: "guest", Password: "hunter2"},
		"no such user":                {URL: "amqp://hunter2:hunter2@" + at},
		"no such virtual host":        {URL: strings.TrimSuffix(url, "/") + "/none"},
	} {
		refused(t, name, c, patience)
	}
	if took := time.Since(began); took > patience {
		t.Errorf("that took %v: Open went on trying", took)
	}
}

func refused(t *testing.T, name string, cfg rabbitmq.Config, d time.Duration) {
	t.Helper()
	ctx, cancel := contextFor(d)
	defer cancel()
	b, err := rabbitmq.Open(ctx, cfg)
	if err == nil {
		_ = b.Close()
		t.Errorf("%s: let in", name)
	} else if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%s: the error shows the secret: %v", name, err)
	}
}

// certificates writes an authority, and a certificate that it signed for servers
// and clients alike.
func certificates(t *testing.T) (caFile, certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, kind string, bytes []byte) string {
		path := filepath.Join(dir, name)
		must(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}), 0o600))
		return path
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	caDER, err := x509.CreateCertificate(rand.Reader, authority, authority, &caKey.PublicKey, caKey)
	must(err)
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, authority, &leafKey.PublicKey, caKey)
	must(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	must(err)
	return write("ca.pem", "CERTIFICATE", caDER), write("cert.pem", "CERTIFICATE", leafDER), write("key.pem", "PRIVATE KEY", keyDER)
}
