package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// certificate writes a self-signed certificate and its key.
func certificate(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"rootwatch.internal"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyBytes, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "EC PRIVATE KEY", Bytes: keyBytes}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestHealthcheckKnowsAliveFromDead(t *testing.T) {
	const users = "basic_auth_users:\n  prometheus: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi\n"
	const secure = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"
	for name, config := range map[string]string{
		"plain":                      "",
		"a password":                 users,
		"TLS":                        secure,
		"TLS and a password":         secure + users,
		"TLS and client certificate": secure + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: cert.pem\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			certificate(t, dir)
			flags := &webFlags{addresses: []string{freeAddress(t)}}
			args := []string{"healthcheck", "--web.listen-address=" + flags.addresses[0]}
			if config != "" {
				flags.configFile = filepath.Join(dir, "web.yml")
				if err := os.WriteFile(flags.configFile, []byte(config), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, "--web.config.file="+flags.configFile)
			}
			var out bytes.Buffer
			if code := run(t.Context(), args, &out, &out); code != exitFailed {
				t.Errorf("exit code %d with no worker, want %d: %s", code, exitFailed, out.String())
			}
			server, err := flags.listen(prometheus.NewRegistry(), func() error { return errors.New("not ready") }, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- server.serve() }()
			out.Reset()
			if code := run(t.Context(), args, &out, &out); code != 0 {
				t.Errorf("exit code %d with a worker that answers: %s", code, out.String())
			}
			server.close()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHealthcheckAsksThisHost(t *testing.T) {
	for address, want := range map[string]string{
		":9844":            "http://127.0.0.1:9844/-/healthy",
		"0.0.0.0:9844":     "http://127.0.0.1:9844/-/healthy",
		"[::]:9844":        "http://[::1]:9844/-/healthy",
		"127.0.0.1:http":   "http://127.0.0.1:80/-/healthy",
		"127.0.0.2:1":      "http://127.0.0.2:1/-/healthy",
		"worker.local:443": "http://worker.local:443/-/healthy",
	} {
		got, err := (&webFlags{addresses: []string{address}}).url("/-/healthy")
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", address, got, err, want)
		}
	}
	if _, err := (&webFlags{addresses: []string{"nowhere"}}).url("/-/healthy"); err == nil {
		t.Error("an address without a port is no error")
	}
}
