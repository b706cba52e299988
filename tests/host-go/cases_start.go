package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

var startCases = []Case{
	{"start: without the cookie: help on stderr, exit 1, silent stdout", 10 * time.Second, caseNoCookie},
	{"start: handshake line, exact, on a private socket", 10 * time.Second, caseHandshake},
	{"start: socket directory and version list from the environment", 10 * time.Second, caseSocketDir},
	{"start: a closed stdout pipe ends the plugin", 10 * time.Second, caseStdoutClosed},
	{"start: variables that are traps are not read", 20 * time.Second, caseTraps},
}

// bare starts the binary with a host's variables but without go-plugin.
func (t *T) bare(env ...string) (cmd *exec.Cmd, stdout *bufio.Reader, closeStdout func()) {
	r, w, err := os.Pipe()
	t.Check(err, "pipe")
	cmd = exec.Command(t.Binary)
	cmd.Env = append(os.Environ(), storeEnv(t.Store().Dir)...)
	cmd.Env = append(cmd.Env, "AI_STUDIO_PLUGIN=v1", "PLUGIN_MIN_PORT=10000", "PLUGIN_MAX_PORT=25000", "PLUGIN_PROTOCOL_VERSIONS=1")
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdout = w
	logs := &LogSink{secrets: t.Secrets, name: "bare plugin", echo: t.Verbose}
	cmd.Stderr = logs
	cmd.WaitDelay = time.Second
	t.Check(cmd.Start(), "start")
	_ = w.Close()
	waited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(waited) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-waited
		_ = r.Close()
		if err := logs.Verdict(); err != nil {
			t.Problem("%w", err)
		}
	})
	return cmd, bufio.NewReader(r), func() { _ = r.Close() }
}

// line reads the handshake line.
func (t *T) line(r *bufio.Reader) []string {
	got := make(chan string, 1)
	go func() { s, _ := r.ReadString('\n'); got <- s }()
	select {
	case s := <-got:
		t.Assert(strings.HasSuffix(s, "\n"), "no complete handshake line: %q", s)
		return strings.Split(strings.TrimSuffix(s, "\n"), "|")
	case <-time.After(5 * time.Second):
		t.Fatalf("no handshake line within 5 s")
		return nil
	}
}

func caseNoCookie(t *T) {
	cmd := exec.CommandContext(t.ctx, t.Binary)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	t.Assert(cmd.ProcessState.ExitCode() == 1, "exit status %s, want 1", cmd.ProcessState)
	t.Assert(stdout.Len() == 0, "%d bytes on stdout", stdout.Len())
	t.Assert(stderr.Len() > 0, "nothing on stderr")
}

func caseHandshake(t *T) {
	_, out, _ := t.bare()
	f := t.line(out)
	t.Assert(len(f) == 5 || len(f) == 6 && f[5] == "", "fields: %q (no certificate and no mux field was asked for)", f)
	t.Assert(f[0] == "1" && f[1] == "1" && f[2] == "unix" && f[4] == "grpc", "fields: %q", f)
	info, err := os.Stat(f[3])
	t.Check(err, "the advertised socket")
	t.Assert(info.Mode()&os.ModeSocket != 0 && (info.Mode().Perm()&0o077 == 0 || parentPrivate(f[3])), "socket mode %s", info.Mode())
	t.Assert(len(f[3]) < 104, "socket path of %d bytes", len(f[3]))
	conn, err := net.Dial("unix", f[3])
	t.Check(err, "the listener must accept before the line is printed")
	_ = conn.Close()
}

// parentPrivate says whether a directory of the plugin's own keeps others away from the socket.
func parentPrivate(path string) bool {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	return err == nil && dir != os.TempDir() && info.Mode().Perm()&0o077 == 0
}

func caseSocketDir(t *T) {
	dir := t.TempDir()
	_, out, _ := t.bare("PLUGIN_UNIX_SOCKET_DIR="+dir, "PLUGIN_PROTOCOL_VERSIONS=7,x,1,3")
	f := t.line(out)
	t.Assert(len(f) >= 5 && f[1] == "1", "fields: %q, want application version 1", f)
	t.Assert(strings.HasPrefix(f[3], dir+"/"), "socket %s is not in the directory that the host named", f[3])
}

func caseStdoutClosed(t *T) {
	cmd, out, closeStdout := t.bare()
	f := t.line(out)
	closeStdout()
	took := t.Until(3*time.Second, "the plugin's end after its host's side of stdout was closed", func() bool { return gone(cmd.Process.Pid) })
	t.Assert(!exists(f[3]), "the socket was left behind")
	t.Note("gone after %dms", took.Milliseconds())
}

func caseTraps(t *T) {
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	t.Check(err, "listen")
	defer trap.Close()
	var touched atomic.Int32
	go func() {
		for {
			c, err := trap.Accept()
			if err != nil {
				return
			}
			touched.Add(1)
			_ = c.Close()
		}
	}()
	url := "http://" + trap.Addr().String()
	h := t.Start(Launch{Data: t.Store().Dir, Env: []string{
		"HTTP_PROXY=" + url, "HTTPS_PROXY=" + url, "ALL_PROXY=" + url, "http_proxy=" + url, "https_proxy=" + url,
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + url, "OTEL_TRACES_EXPORTER=otlp", "RUST_LOG=trace", "RUST_BACKTRACE=full",
		"SSL_CERT_FILE=/nonexistent/trap", "SSL_CERT_DIR=/nonexistent", "SQLITE_TMPDIR=/nonexistent/trap", "NO_COLOR=", "CLICOLOR_FORCE=1",
	}})
	k := t.Issue(t.Store(), appID)
	for i := range 20 {
		t.MustAuth(h, k, fmt.Sprint("call ", i))
	}
	t.Sleep(300 * time.Millisecond)
	t.Assert(touched.Load() == 0, "%d connections went to an address from the environment", touched.Load())
	_, traces := h.logs.Count("trace")
	t.Assert(traces == 0, "RUST_LOG switched on %d trace lines", traces)
	t.Unload(h)
}
