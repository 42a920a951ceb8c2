package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/occamy-go/occamy/internal/guard"
	"github.com/occamy-go/occamy/internal/web"
)

const (
	defaultHTTP = "127.0.0.1:7480"
	httpNone    = "none"
)

// httpConfig says where serve answers over HTTP and whom. Each has one name in
// three forms: http-client-ca is the flag --http-client-ca, the variable
// OCCAMY_HTTP_CLIENT_CA and the field http_client_ca of the config file; the
// token has no flag.
type httpConfig struct {
	HTTP          string `json:"http"` // "": defaultHTTP, or a free port where that is taken
	HTTPToken     string `json:"http_token"`
	HTTPTokenFile string `json:"http_token_file"`
	HTTPTLSCert   string `json:"http_tls_cert"`
	HTTPTLSKey    string `json:"http_tls_key"`
	HTTPClientCA  string `json:"http_client_ca"`
	PProf         bool   `json:"pprof"`
}

func (c *httpConfig) flags(f *pflag.FlagSet) {
	f.StringVar(&c.HTTP, "http", "", "`ADDRESS` for the page, /metrics, /scale, /healthz and /readyz, or none (default "+defaultHTTP+", or a free port where that is taken)")
	f.StringVar(&c.HTTPTokenFile, "http-token-file", "", "read the token that HTTP asks for from this `FILE`")
	f.StringVar(&c.HTTPTLSCert, "http-tls-cert", "", "serve HTTP over TLS with the certificate in this `FILE` (PEM)")
	f.StringVar(&c.HTTPTLSKey, "http-tls-key", "", "the key of --http-tls-cert, a `FILE` (PEM)")
	f.StringVar(&c.HTTPClientCA, "http-client-ca", "", "let in who has a certificate of the authorities in this `FILE` (PEM)")
	f.BoolVar(&c.PProf, "pprof", false, "serve profiles under /debug/pprof")
}

func (a *app) httpFromEnvironment() (httpConfig, error) {
	c := httpConfig{
		HTTP:          a.getenv("OCCAMY_HTTP"),
		HTTPToken:     a.getenv("OCCAMY_HTTP_TOKEN"),
		HTTPTokenFile: a.getenv("OCCAMY_HTTP_TOKEN_FILE"),
		HTTPTLSCert:   a.getenv("OCCAMY_HTTP_TLS_CERT"),
		HTTPTLSKey:    a.getenv("OCCAMY_HTTP_TLS_KEY"),
		HTTPClientCA:  a.getenv("OCCAMY_HTTP_CLIENT_CA"),
	}
	if text := a.getenv("OCCAMY_PPROF"); text != "" {
		on, err := strconv.ParseBool(text)
		if err != nil {
			return c, usage("OCCAMY_PPROF is "+quote(text), "true or false")
		}
		c.PProf = on
	}
	return c, nil
}

// or returns c with what it leaves open taken from other. The token and the file
// that has it are one setting.
func (c httpConfig) or(other httpConfig) httpConfig {
	if c.HTTPToken != "" || c.HTTPTokenFile != "" {
		other.HTTPToken, other.HTTPTokenFile = "", ""
	}
	return httpConfig{
		HTTP:          cmp.Or(c.HTTP, other.HTTP),
		HTTPToken:     cmp.Or(c.HTTPToken, other.HTTPToken),
		HTTPTokenFile: cmp.Or(c.HTTPTokenFile, other.HTTPTokenFile),
		HTTPTLSCert:   cmp.Or(c.HTTPTLSCert, other.HTTPTLSCert),
		HTTPTLSKey:    cmp.Or(c.HTTPTLSKey, other.HTTPTLSKey),
		HTTPClientCA:  cmp.Or(c.HTTPClientCA, other.HTTPClientCA),
		PProf:         c.PProf || other.PProf,
	}
}

// check finds settings that contradict each other.
func (c httpConfig) check() error {
	switch {
	case c.HTTPToken != "" && c.HTTPTokenFile != "":
		return usage("there are a token and a token file for HTTP", "choose one; flags, OCCAMY_HTTP_… in the environment and the config file all count")
	case (c.HTTPTLSCert == "") != (c.HTTPTLSKey == ""):
		return usage("--http-tls-cert and --http-tls-key belong together", "give both, or neither")
	case c.HTTPClientCA != "" && c.HTTPTLSCert == "":
		return usage("--http-client-ca needs TLS", "--http-tls-cert and --http-tls-key say with which certificate")
	case c.HTTP == httpNone && c != httpConfig{HTTP: httpNone}:
		return usage("there are settings for HTTP, which is turned off", "leave them out, or --http ADDRESS")
	}
	return nil
}

// readHTTPSecrets puts a token that stands in a file in its place too, and
// refuses one that is too short.
func (a *app) readHTTPSecrets(c *httpConfig) error {
	const hint = "--http-token-file and OCCAMY_HTTP_TOKEN_FILE name a file that this user may read"
	if c.HTTPTokenFile != "" {
		text, err := readFile(c.HTTPTokenFile, maxSecret)
		if err != nil {
			return hinted(fmt.Errorf("read the token of HTTP: %w", err), hint)
		}
		a.warnIfOpen(c.HTTPTokenFile)
		if c.HTTPToken = strings.TrimSpace(text); c.HTTPToken == "" {
			return hinted(errors.New(c.HTTPTokenFile+" is empty"), "it has the token and nothing else")
		}
	}
	if c.HTTPToken == "" {
		return nil
	}
	return hinted(guard.CheckToken(c.HTTPToken), "for instance the output of: openssl rand -hex 32")
}

// listenHTTP listens where the config says. It refuses an address that others
// than this machine reach and nothing protects.
func (a *app) listenHTTP(c httpConfig) (l net.Listener, err error) {
	to, err := net.ResolveTCPAddr("tcp", cmp.Or(c.HTTP, defaultHTTP))
	if err != nil {
		return nil, usage("cannot listen on "+quote(c.HTTP), "--http wants HOST:PORT, for instance "+defaultHTTP+", or none")
	}
	if !to.IP.IsLoopback() {
		switch {
		case c.HTTPToken == "" && c.HTTPClientCA == "":
			return nil, usage("HTTP on "+quote(c.HTTP)+" would be open to all who reach it",
				"OCCAMY_HTTP_TOKEN or --http-token-file has a token to ask for, --http-client-ca asks for certificates; or --http "+defaultHTTP)
		case c.HTTPTLSCert == "":
			a.warn("the token of HTTP travels in the clear to "+c.HTTP, "--http-tls-cert and --http-tls-key encrypt it, or a proxy in front")
		}
	}
	network := "tcp"
	if to.IP.To4() != nil {
		network = "tcp4" // 0.0.0.0 is no address of IPv6
	}
	l, err = net.ListenTCP(network, to)
	if err != nil && c.HTTP == "" {
		l, err = net.ListenTCP(network, &net.TCPAddr{IP: to.IP})
	}
	if err != nil {
		return nil, hinted(fmt.Errorf("serve HTTP: %w", err), "is another 'occamy serve' running? --http names another address, or none")
	}
	return l, nil
}

// tls is how to encrypt; nil for plain HTTP. Who has no certificate is let in
// by TLS, since probes have none, and looked at by package guard.
func (c httpConfig) tls(tell func(string)) (*tls.Config, error) {
	if c.HTTPTLSCert == "" {
		return nil, nil
	}
	certificate, err := web.LoadCertificate(c.HTTPTLSCert, c.HTTPTLSKey, tell)
	if err != nil {
		return nil, hinted(fmt.Errorf("the certificate of HTTP: %w", err), "--http-tls-cert and --http-tls-key name a certificate and the key that was made with it (PEM)")
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate.Get}
	if c.HTTPClientCA == "" {
		return t, nil
	}
	text, err := os.ReadFile(c.HTTPClientCA)
	if err == nil && !hasCertificate(string(text)) {
		err = errors.New(c.HTTPClientCA + " has no certificate")
	}
	if err != nil {
		return nil, hinted(fmt.Errorf("the authorities of HTTP's clients: %w", err), "--http-client-ca names a file with certificates (PEM)")
	}
	t.ClientCAs = x509.NewCertPool()
	t.ClientCAs.AppendCertsFromPEM(text)
	t.ClientAuth = tls.VerifyClientCertIfGiven
	return t, nil
}
