//go:build unix && services && !nonodes

package rabbitnode

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTLSWantsTheClientsCertificate(t *testing.T) {
	t.Parallel()
	certs := newCertificates(t)
	n := startNode(t, Config{TLS: &TLS{CertFile: certs.cert, KeyFile: certs.key, CAFile: certs.ca, VerifyPeer: true}})
	pair, err := tls.LoadX509KeyPair(certs.cert, certs.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		certs []tls.Certificate
		ok    bool
	}{
		{"with a certificate", []tls.Certificate{pair}, true},
		{"without", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := tls.Dial("tcp", loopback(n.tlsPort), &tls.Config{RootCAs: certs.roots, Certificates: c.certs})
			if err == nil {
				defer func() { _ = conn.Close() }()
				err = login(conn, "guest", "guest")
			}
			if (err == nil) != c.ok {
				t.Errorf("login: %v; want success: %v", err, c.ok)
			}
		})
	}
}

// certificates are the files of an authority and of a certificate that it
// signed, for servers and clients alike.
type certificates struct {
	ca, cert, key string
	roots         *x509.CertPool
}

func newCertificates(t *testing.T) certificates {
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
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, &authorityKey.PublicKey, authorityKey)
	must(err)
	authority, err = x509.ParseCertificate(authorityDER)
	must(err)

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, authority, &key.PublicKey, authorityKey)
	must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)

	roots := x509.NewCertPool()
	roots.AddCert(authority)
	return certificates{
		ca:    write("ca.pem", "CERTIFICATE", authorityDER),
		cert:  write("cert.pem", "CERTIFICATE", der),
		key:   write("key.pem", "PRIVATE KEY", private),
		roots: roots,
	}
}
