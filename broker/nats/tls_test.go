package nats_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/occamy-go/occamy/broker/nats"
	"github.com/occamy-go/occamy/broker/nats/internal/natsd"
)

func timeout(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, key := sign(t, template, template, nil)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert: cert, key: key, file: file(t, encode("CERTIFICATE", der))}
}

func sign(t testing.TB, template, parent *x509.Certificate, by *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// issue returns the files of a certificate, for an address, and of its key.
func (a *authority) issue(t testing.TB, address string, until time.Time) (cert, key string) {
	t.Helper()
	der, private := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until, IPAddresses: []net.IP{net.ParseIP(address)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, a.key)
	text, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, encode("CERTIFICATE", der)), file(t, encode("EC PRIVATE KEY", text))
}

// serveTLS is a NATS server with a certificate; it wants one of its clients if
// clients is set.
func (a *authority) serveTLS(t testing.TB, clients *authority, address string, until time.Time) *server.Server {
	t.Helper()
	certFile, keyFile := a.issue(t, address, until)
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	if clients != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		config.ClientCAs.AddCert(clients.cert)
	}
	return natsd.Start(t, &server.Options{StoreDir: t.TempDir(), TLSConfig: config, TLS: true, TLSTimeout: 5})
}

func TestTLS(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	later := time.Now().Add(time.Hour)
	plain := natsd.Start(t, &server.Options{StoreDir: t.TempDir()})
	oneWay := ca.serveTLS(t, nil, "127.0.0.1", later)
	mutual := ca.serveTLS(t, ca, "127.0.0.1", later)
	elsewhere := ca.serveTLS(t, nil, "192.0.2.1", later)
	expired := ca.serveTLS(t, nil, "127.0.0.1", time.Now().Add(-time.Minute))
	cert, key := ca.issue(t, "127.0.0.1", later)
	strangeCert, strangeKey := other.issue(t, "127.0.0.1", later)
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	inProgram := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}

	for _, c := range []struct {
		name   string
		server *server.Server
		scheme string
		cfg    nats.Config
		advice string // empty: it works
	}{
		{"CA file", oneWay, "nats", nats.Config{CAFile: ca.file}, ""},
		{"CA file and tls://", oneWay, "tls", nats.Config{CAFile: ca.file}, ""},
		{"TLS of the program", oneWay, "tls", nats.Config{TLS: inProgram}, ""},
		{"a client's certificate nobody asks for", oneWay, "tls", nats.Config{CAFile: ca.file, CertFile: cert, KeyFile: key}, ""},
		{"no CA", oneWay, "nats", nats.Config{}, "set CAFile"},
		{"no CA and tls://", oneWay, "tls", nats.Config{}, "set CAFile"},
		{"another CA", oneWay, "tls", nats.Config{CAFile: other.file}, "set CAFile"},
		{"a certificate for another address", elsewhere, "tls", nats.Config{CAFile: ca.file}, "use an address in URL"},
		{"an expired certificate", expired, "tls", nats.Config{CAFile: ca.file}, "have a new certificate made"},

		{"mutual", mutual, "tls", nats.Config{CAFile: ca.file, CertFile: cert, KeyFile: key}, ""},
		{"mutual, with TLS of the program", mutual, "tls", nats.Config{TLS: inProgram, CertFile: cert, KeyFile: key}, ""},
		{"mutual, no certificate", mutual, "tls", nats.Config{CAFile: ca.file}, "set CertFile and KeyFile"},
		{"mutual, a stranger's certificate", mutual, "tls", nats.Config{CAFile: ca.file, CertFile: strangeCert, KeyFile: strangeKey}, "set CertFile and KeyFile"},

		{"no TLS there, tls://", plain, "tls", nats.Config{}, "offers none"},
		{"no TLS there, CA file", plain, "nats", nats.Config{CAFile: ca.file}, "offers none"},
		{"no such CA file", oneWay, "tls", nats.Config{CAFile: "no such file"}, "CAFile"},
		{"a certificate without its key", oneWay, "tls", nats.Config{CertFile: cert}, "belong together"},
		{"a certificate with another's key", oneWay, "tls", nats.Config{CertFile: cert, KeyFile: strangeKey}, "want a certificate and its key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := c.server.Addr().String()
			c.cfg.URL = c.scheme + "://" + address
			if c.advice == "" {
				works(t, c.cfg, strings.NewReplacer(" ", "-", ",", "").Replace(c.name))
				return
			}
			began := time.Now()
			b, err := nats.Open(within(t), c.cfg)
			if err == nil {
				_ = b.Close()
			}
			if err == nil || !strings.Contains(err.Error(), c.advice) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v; want an error on one line that says %q", err, c.advice)
			}
			if waited := time.Since(began); waited > patience/2 {
				t.Errorf("it said so after %v", waited)
			}
		})
	}
}
