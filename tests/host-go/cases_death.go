package main

import (
	"syscall"
	"time"
)

var deathCases = []Case{
	{"death: controller Shutdown: gone within 2 s, status 0", 15 * time.Second, caseController},
	{"death: SIGINT is ignored", 15 * time.Second, caseInterrupt},
	{"death: SIGTERM: gone within 12 s, status 0, no socket left", 30 * time.Second, caseTerminate},
	{"death: Kill with requests in flight", 15 * time.Second, caseKillInFlight},
	{"death: kill -9 of the plugin: the host sees it, starts another", 20 * time.Second, casePluginKilled},
}

// exited waits until go-plugin has seen the end of the process, and returns its exit status.
func (t *T) exited(h *Host, limit time.Duration) (time.Duration, int) {
	took := t.Until(limit, "the plugin's exit", h.client.Exited)
	return took, h.cmd.ProcessState.ExitCode()
}

func caseController(t *T) {
	for _, l := range []Launch{{}, {Studio: true, AutoMTLS: true}, {Mux: true}} {
		l.Data = t.Store().Dir
		h := t.Start(l)
		h.dying.Store(true)
		_ = h.controllerShutdown(t.ctx) // the reply may get lost
		took, code := t.exited(h, 2*time.Second)
		t.Assert(code == 0, "exit status %s", h.cmd.ProcessState)
		t.Assert(!exists(h.Socket()), "the socket was left behind")
		t.Note("%dms", took.Milliseconds())
	}
}

func caseInterrupt(t *T) {
	k := t.Issue(t.Store(), appID)
	h := t.Start(Launch{Data: t.Store().Dir})
	for range 3 {
		t.Check(syscall.Kill(h.pid, syscall.SIGINT), "SIGINT")
		t.Sleep(200 * time.Millisecond)
		t.Assert(!gone(h.pid), "SIGINT ended the plugin")
		t.MustAuth(h, k, "after SIGINT")
	}
	t.Unload(h)
}

func caseTerminate(t *T) {
	h := t.Start(Launch{Data: t.Store().Dir})
	h.dying.Store(true)
	t.Check(syscall.Kill(h.pid, syscall.SIGTERM), "SIGTERM")
	took, code := t.exited(h, 12*time.Second)
	t.Assert(code == 0, "exit status %s", h.cmd.ProcessState)
	t.Assert(!exists(h.Socket()), "the socket was left behind")
	t.Note("alone %dms", took.Milliseconds())

	h = t.Start(Launch{Data: t.Store().Dir}) // a service manager signals both; the host then ends us its own way
	h.dying.Store(true)
	t.Check(syscall.Kill(h.pid, syscall.SIGTERM), "SIGTERM")
	t.Check(h.Kill(), "Kill after SIGTERM")
}

func caseKillInFlight(t *T) {
	k := t.Issue(t.Store(), appID)
	h := t.Start(Launch{Data: t.Store().Dir})
	for range 16 {
		go func() {
			for h.life.Err() == nil {
				if _, err := h.Auth(t.ctx, k.Text, grantedA); err != nil {
					return
				}
			}
		}()
	}
	t.Sleep(300 * time.Millisecond)
	t.Unload(h)
}

func casePluginKilled(t *T) {
	s := t.Store()
	k := t.Issue(s, appID)
	for range 3 {
		h := t.Start(Launch{Data: s.Dir})
		t.MustAuth(h, k, "before")
		h.dying.Store(true)
		t.Check(syscall.Kill(h.pid, syscall.SIGKILL), "SIGKILL")
		t.exited(h, 3*time.Second)
		_, err := h.Auth(t.ctx, k.Text, grantedA)
		t.Assert(err != nil, "a dead plugin answered")
		h.Abandon()
	}
	h := t.Start(Launch{Data: s.Dir})
	t.MustAuth(h, k, "a new process on the same store")
	revoked := t.Issue(s, appID)
	t.MustAuth(h, revoked, "a key made after the deaths")
	t.Revoke(s, revoked)
	t.Sleep(100 * time.Millisecond)
	t.MustRefuse(h, revoked.Text, grantedA, "revoked after the deaths")
	t.Unload(h)
}
