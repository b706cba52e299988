package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	pb "latchkey.test/hostgo/proto/plugin"
)

var tlsCases = []Case{
	{"tls: nobody without the host's certificate gets in", 20 * time.Second, caseIntruder},
	{"tls: a peer without ALPN h2 gets no service", 15 * time.Second, caseNoALPN},
}

// strangerCert is a certificate of the same make as go-plugin's, but not the host's.
func (t *T) strangerCert() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	t.Check(err, "key")
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{"HashiCorp"}, CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	t.Check(err, "certificate")
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// dialUnix opens a gRPC connection of its own to a socket.
func dialUnix(path string, creds credentials.TransportCredentials) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///unused", grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}))
}

func caseIntruder(t *T) {
	k := t.Issue(t.Store(), appID)
	for _, mux := range []bool{false, true} {
		h := t.Start(Launch{Data: t.Store().Dir, AutoMTLS: true, Mux: mux})
		cert := t.strangerCert()
		for name, creds := range map[string]credentials.TransportCredentials{
			"plaintext":               insecure.NewCredentials(),
			"TLS, no certificate":     credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}),
			"TLS, a stranger's":       credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{cert}}),
			"TLS 1.2, a stranger's":   credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}),
			"TLS 1.2, no certificate": credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}),
		} {
			conn, err := dialUnix(h.Socket(), creds)
			t.Check(err, name)
			ctx, cancel := context.WithTimeout(t.ctx, time.Second)
			_, err = pb.NewPluginServiceClient(conn).Ping(ctx, &pb.PingRequest{})
			cancel()
			_ = conn.Close()
			t.Assert(err != nil, "mux=%v, %s: the plugin answered", mux, name)
		}
		t.MustAuth(h, k, "the host itself, afterwards")
		t.Unload(h)
	}
}

func caseNoALPN(t *T) {
	h := t.Start(Launch{Data: t.Store().Dir, AutoMTLS: true})
	raw, err := net.Dial("unix", h.Socket())
	t.Check(err, "dial")
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(5 * time.Second))
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{t.strangerCert()}})
	_, _ = c.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"))
	buf := make([]byte, 64)
	n, _ := c.Read(buf)
	t.Assert(n == 0, "the plugin spoke to a stranger without ALPN")
	t.Check(h.ping(t.ctx, 5*time.Second), "the host's own Ping")
	t.Unload(h)
}
