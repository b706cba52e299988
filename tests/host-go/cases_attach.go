package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	pb "latchkey.test/hostgo/proto/plugin"
)

var attachCases = []Case{
	{"attach: Ping first, a life over TCP, no Shutdown ends the server", 25 * time.Second, caseAttachLife},
	{"attach: two hosts at once, each with a session of its own", 25 * time.Second, caseAttachTwo},
	{"attach: Call answers health and get_metrics only", 15 * time.Second, caseAttachCall},
	{"attach: probes, scans and other protocols", 20 * time.Second, caseAttachProbes},
	{"attach: SIGTERM and SIGINT end the server with status 0", 40 * time.Second, caseServeSignals},
}

// Server is a latchkey process that hosts attach to.
type Server struct {
	cmd    *exec.Cmd
	addr   *net.TCPAddr
	waited chan struct{}
}

// Serve starts `latchkey serve` on a free loopback port.
func (t *T) Serve() *Server {
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	t.Check(err, "finding a port")
	s := &Server{addr: probe.Addr().(*net.TCPAddr), waited: make(chan struct{})}
	_ = probe.Close()
	s.cmd = exec.Command(t.Binary, "serve", "--listen", s.addr.String())
	s.cmd.Env = append(os.Environ(), storeEnv(t.Store().Dir)...)
	logs := &LogSink{secrets: t.Secrets, name: "serve", echo: t.Verbose, anyForm: true}
	out := &LogSink{secrets: t.Secrets, name: "serve, stdout", echo: t.Verbose, anyForm: true}
	s.cmd.Stderr, s.cmd.Stdout = logs, out
	s.cmd.WaitDelay = time.Second
	t.Check(s.cmd.Start(), "latchkey serve")
	go func() { _ = s.cmd.Wait(); close(s.waited) }()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		<-s.waited
		for _, l := range []*LogSink{logs, out} {
			if err := l.Verdict(); err != nil {
				t.Problem("%w", err)
			}
		}
	})
	t.Until(5*time.Second, "latchkey serve listening", func() bool {
		select {
		case <-s.waited:
			t.Fatalf("latchkey serve ended with %s", s.cmd.ProcessState)
		default:
		}
		c, err := net.DialTimeout("tcp", s.addr.String(), time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return s
}

func (s *Server) running() bool { return !gone(s.cmd.Process.Pid) }

// Attach makes a host that uses the server, as a gateway does: three tries, two seconds apart.
func (t *T) Attach(s *Server, l Launch) *Host {
	l.Attach = s.addr
	var err error
	for try := range 3 {
		if try > 0 {
			t.Sleep(2 * time.Second)
		}
		var h *Host
		if h, err = connect(t.Env, l); err != nil {
			continue
		}
		if err = h.Begin(t.ctx); err == nil {
			t.Cleanup(func() {
				h.Abandon()
				t.judge(h)
			})
			return h
		}
		h.Abandon()
	}
	t.Fatalf("attaching: %w", err)
	return nil
}

func (h *Host) controllerShutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return h.conn.Invoke(ctx, "/plugin.GRPCController/Shutdown", &emptypb.Empty{}, &emptypb.Empty{})
}

func caseAttachLife(t *T) {
	s := t.Serve()
	k := t.Issue(t.Store(), appID)
	h := t.Attach(s, Launch{})
	t.MustAuth(h, k, "attached")
	t.MustRefuse(h, "junk", grantedA, "attached")
	t.Sleep(pingEvery + 300*time.Millisecond) // go-plugin takes the process for dead by now; calls go on
	t.MustAuth(h, k, "attached, after go-plugin's liveness check")
	t.Check(h.controllerShutdown(t.ctx), "controller Shutdown")
	t.Sleep(1500 * time.Millisecond)
	t.Assert(s.running(), "the controller's Shutdown ended the server")
	t.MustAuth(h, k, "after controller Shutdown")
	t.Unload(h) // Shutdown of the plugin service, then Kill
	h = t.Attach(s, Launch{})
	t.MustAuth(h, k, "attached again")
	t.Unload(h) // within the first second: Kill does deliver the controller's Shutdown
	t.Sleep(1500 * time.Millisecond)
	t.Assert(s.running(), "unloading ended the server")
	h = t.Attach(s, Launch{})
	t.MustAuth(h, k, "attached a third time")
	t.Unload(h)
}

func caseAttachTwo(t *T) {
	s := t.Serve()
	k := t.Issue(t.Store(), appID)
	a := t.Attach(s, Launch{})
	b := t.Attach(s, Launch{NoSession: true})
	session := b.openSession(t.ctx, b.brokerID, 2500)
	t.MustAuth(a, k, "first host")
	t.MustAuth(b, k, "second host")
	t.Unload(a)
	t.MustAuth(b, k, "second host, after the first has left")
	e := t.sessionEnd(session, 5*time.Second, pb.OpenSessionResponse_TIMEOUT)
	t.Assert(e.took > 2400*time.Millisecond, "the second host's session ended after %s, with the first host", e.took)
	t.Unload(b)
	t.Assert(s.running(), "the server ended with its hosts")
}

func caseAttachCall(t *T) {
	s := t.Serve()
	h := t.Attach(s, Launch{})
	t.onlyHealth(h)
	t.Unload(h)
	h = t.Attach(s, Launch{Studio: true, NoSession: true}) // claims to be Studio
	t.onlyHealth(h)
	t.Unload(h)
}

func caseAttachProbes(t *T) {
	s := t.Serve()
	k := t.Issue(t.Store(), appID)
	h := t.Attach(s, Launch{})
	for i, bytes := range []string{"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x00\xa5\x01\x00", "PRI * HTTP/2.0\r\n", "\x00\x00\x00", randomText(4096)} {
		for range 10 {
			c, err := net.Dial("tcp", s.addr.String())
			t.Check(err, fmt.Sprint("probe ", i))
			_, _ = c.Write([]byte(bytes))
			if i%2 == 0 {
				_ = c.Close()
			} else {
				defer c.Close() // stays open and silent
			}
		}
	}
	t.MustAuth(h, k, "the attached host, afterwards")
	other := t.Attach(s, Launch{})
	t.MustAuth(other, k, "a new host, afterwards")
	t.Unload(other)
	t.Unload(h)
}

func caseServeSignals(t *T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		s := t.Serve()
		h := t.Attach(s, Launch{})
		h.dying.Store(true)
		t.Check(s.cmd.Process.Signal(sig), "signal")
		start := time.Now()
		select {
		case <-s.waited:
		case <-time.After(12 * time.Second):
			t.Fatalf("%s did not end the server within 12 s", sig)
		}
		t.Assert(s.cmd.ProcessState.ExitCode() == 0, "after %s: %s", sig, s.cmd.ProcessState)
		t.Note("%s %dms", sig, time.Since(start).Milliseconds())
		h.Abandon()
	}
}
