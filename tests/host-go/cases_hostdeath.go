package main

import (
	"bufio"
	"encoding/json"
	"strings"
	"time"
)

var hostDeathCases = []Case{
	{"host death: kill -9 of the host: the plugin is gone within 3 s, its socket too", 40 * time.Second, caseHostKilled},
	{"host death: the host closes its broker early, authentication goes on", 20 * time.Second, caseBrokerClosed},
	{"host death: the broker stream ends while the connection stays", 20 * time.Second, caseBrokerStreamEnds},
}

func caseHostKilled(t *T) {
	k := t.Issue(t.Store(), appID)
	for range 3 {
		cmd := t.helperCommand("-helper", "host", "-binary", t.Binary, "-data", t.Store().Dir)
		cmd.Stdin = strings.NewReader(k.Text + "\n")
		stdout, err := cmd.StdoutPipe()
		t.Check(err, "pipe")
		t.Check(cmd.Start(), "starting a host")
		var host childHost
		line := make(chan string, 1)
		go func() { s, _ := bufio.NewReader(stdout).ReadString('\n'); line <- s }()
		select {
		case s := <-line:
			t.Check(json.Unmarshal([]byte(s), &host), "the child host's line")
		case <-time.After(10 * time.Second):
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			endProcess(host.Plugin)
		})
		t.Assert(host.Plugin > 1 && host.Error == "" && host.Auth, "the child host: %+v", host)
		t.Assert(!gone(host.Plugin) && exists(host.Socket), "the child's plugin does not run")
		t.Check(cmd.Process.Kill(), "kill -9 of the host")
		_ = cmd.Wait()
		took := t.Until(3*time.Second, "the orphan's end", func() bool { return gone(host.Plugin) })
		t.Assert(!exists(host.Socket), "the orphan left its socket")
		t.Note("gone after %dms", took.Milliseconds())
	}
}

func caseBrokerClosed(t *T) {
	k := t.Issue(t.Store(), appID)
	for _, l := range []Launch{{}, {AutoMTLS: true}, {Mux: true}} {
		l.Data = t.Store().Dir
		h := t.Start(l)
		t.MustAuth(h, k, "before")
		t.Check(h.broker.Close(), "closing the broker")
		for range 5 {
			t.Sleep(100 * time.Millisecond)
			t.MustAuth(h, k, "after the broker was closed")
		}
		t.Unload(h)
	}
}

func caseBrokerStreamEnds(t *T) {
	k := t.Issue(t.Store(), appID)
	for _, l := range []Launch{{}, {Studio: true, AutoMTLS: true, Mux: true}} {
		l.Data = t.Store().Dir
		h := t.Start(l)
		t.Until(2*time.Second, "the broker stream", h.wire.brokerUp.Load)
		h.wire.endBroker()
		t.Until(2*time.Second, "the end of the broker stream", h.wire.brokerDown.Load)
		// Well past any grace that a plugin might give a lost host: this host is alive and keeps its connection.
		for range 8 {
			t.Sleep(500 * time.Millisecond)
			t.MustAuth(h, k, "after the broker stream ended")
		}
		t.Unload(h)
	}
}
