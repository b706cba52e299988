package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"
)

var storeCases = []Case{
	{"store: reload overlap, the new process answers before the old one goes", 20 * time.Second, caseReload},
	{"store: revoked on the command line, refused in two processes within 100 ms", 60 * time.Second, caseRevocation},
	{"store: a process stopped around a revocation does not answer from its cache", 20 * time.Second, caseStopped},
}

func caseReload(t *T) {
	s := t.Store()
	k := t.Issue(s, appID)
	old := t.Start(Launch{Data: s.Dir})
	var now *Host
	for i := range 3 {
		t.MustAuth(old, k, fmt.Sprint("old process, reload ", i))
		now = t.Start(Launch{Data: s.Dir})
		t.Assert(now.Socket() != old.Socket(), "both processes use one socket")
		for range 5 {
			t.MustAuth(old, k, "old process beside the new one")
			t.MustAuth(now, k, "new process beside the old one")
		}
		t.Unload(old)
		t.MustAuth(now, k, "new process alone")
		old = now
	}
	t.Unload(now)
}

const (
	revocationRounds = 20
	revocationLimit  = 100 * time.Millisecond
)

// watchRefusal asks again and again until the key is refused, and returns when the first refused call was made.
func watchRefusal(ctx context.Context, h *Host, k Key) (time.Time, error) {
	for {
		at := time.Now()
		resp, err := h.Auth(ctx, k.Text, grantedA)
		switch {
		case err != nil:
			return at, err
		case !resp.Authenticated:
			again, err := h.Auth(ctx, k.Text, grantedA)
			if err == nil && again.Authenticated {
				err = fmt.Errorf("refused once, then accepted again")
			}
			return at, err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return at, ctx.Err()
		}
	}
}

func caseRevocation(t *T) {
	s := t.Store()
	hosts := []*Host{t.Start(Launch{Data: s.Dir}), t.Start(Launch{Studio: true, Data: s.Dir})}
	keys := make([]Key, revocationRounds)
	for i := range keys {
		keys[i] = t.Issue(s, appID)
	}
	var took []time.Duration
	for _, k := range keys {
		first := make([]time.Time, len(hosts))
		errs := make([]error, len(hosts))
		ctx, cancel := context.WithTimeout(t.ctx, 5*time.Second)
		var wg sync.WaitGroup
		for i, h := range hosts {
			t.MustAuth(h, k, "before the revocation")
			wg.Add(1)
			go func() {
				defer wg.Done()
				first[i], errs[i] = watchRefusal(ctx, h, k)
			}()
		}
		ack := t.Revoke(s, k)
		wg.Wait()
		cancel()
		for i := range hosts {
			t.Check(errs[i], "calls around a revocation")
			took = append(took, max(0, first[i].Sub(ack)))
		}
	}
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	p99 := took[(len(took)*99+99)/100-1]
	t.Note("%d rounds, two processes: median %.1fms, p99 %.1fms, worst %.1fms after the acknowledgement",
		revocationRounds, ms(took[len(took)/2]), ms(p99), ms(took[len(took)-1]))
	t.Assert(took[len(took)-1] <= revocationLimit, "refused only %s after the acknowledgement", took[len(took)-1])
	for _, h := range hosts {
		t.Unload(h)
	}
}

// caseStopped lets a process sleep through a revocation: its first answer after waking must be a refusal.
func caseStopped(t *T) {
	s := t.Store()
	h := t.Start(Launch{Data: s.Dir})
	for round := range 3 {
		k := t.Issue(s, appID)
		t.MustAuth(h, k, "before the stop")
		t.Check(syscall.Kill(h.pid, syscall.SIGSTOP), "SIGSTOP")
		t.Cleanup(func() { _ = syscall.Kill(h.pid, syscall.SIGCONT) })
		t.Sleep(50 * time.Millisecond) // so that the calls below reach a process that stands still
		t.Revoke(s, k)
		type answer struct {
			ok  bool
			err error
		}
		answers := make(chan answer, 4)
		for range cap(answers) {
			go func() {
				resp, err := h.Auth(t.ctx, k.Text, grantedA)
				answers <- answer{resp.GetAuthenticated(), err}
			}()
		}
		t.Sleep(200 * time.Millisecond)
		t.Check(syscall.Kill(h.pid, syscall.SIGCONT), "SIGCONT")
		for range cap(answers) {
			a := <-answers
			t.Check(a.err, "a call that waited in a stopped process")
			t.Assert(!a.ok, "round %d: a revoked key was accepted right after the process woke", round)
		}
	}
	t.Unload(h)
}
