package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	pb "latchkey.test/hostgo/proto/plugin"
)

var loadCases = []Case{
	{"load: 10,000 requests, 64 at a time, 100 KiB bodies", 60 * time.Second, caseLoad},
	{"load: 200 calls cancelled in a burst leave the connection whole", 30 * time.Second, caseCancelBurst},
}

const authMethod = "/plugin.PluginService/Authenticate"

func caseLoad(t *T) {
	const total, parallel, loadRSS = 10_000, 64, 150
	k := t.Issue(t.Store(), appID)
	h := t.Start(Launch{Data: t.Store().Dir})
	body := bytes.Repeat([]byte(`{"role":"user","content":"`+bodyCanary+`"},`), 100<<10/50)
	body = append(body, make([]byte, max(0, 100<<10-len(body)))...)[:100<<10]
	t.MustAuth(h, k, "before")

	peak := h.watchRSS()
	var next, failed atomic.Int64
	var mu sync.Mutex
	var firstErr error
	var wg sync.WaitGroup
	start := time.Now()
	for range parallel {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := next.Add(1); n <= total; n = next.Add(1) {
				credential, want := k.Text, true
				if n%50 == 0 {
					credential, want = "junk", false
				}
				resp, err := h.svc.Authenticate(t.ctx, h.env.authRequest(credential, grantedA, body))
				if err == nil && (resp.Authenticated != want || want && (resp.AppId != "7" || resp.UserId != "9")) {
					err = fmt.Errorf("request %d: authenticated=%v, app %q, user %q", n, resp.Authenticated, resp.AppId, resp.UserId)
				}
				if err != nil {
					failed.Add(1)
					mu.Lock()
					if firstErr == nil {
						firstErr = err
					}
					mu.Unlock()
				}
			}
		}()
	}
	wg.Wait()
	took := time.Since(start)
	rss := peak()
	t.Note("%.0f/s, RSS at most %.0f MiB", total/took.Seconds(), rss)
	t.Assert(failed.Load() == 0, "%d of %d failed, first: %w", failed.Load(), total, firstErr)
	t.Assert(rss > 0 && rss < loadRSS, "RSS rose to %.0f MiB, allowed are %d", rss, loadRSS)
	t.Unload(h)
}

// watchRSS samples the plugin's resident memory until the returned function is called, which gives the highest value.
// The kernel's own high-water mark covers what falls between two samples.
func (h *Host) watchRSS() func() float64 {
	stop, done := make(chan struct{}), make(chan float64)
	go func() {
		top := 0.0
		for {
			top = max(top, statusMiB(h.pid, "VmRSS"), statusMiB(h.pid, "VmHWM"))
			select {
			case <-stop:
				done <- top
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() float64 { close(stop); return <-done }
}

func caseCancelBurst(t *T) {
	k := t.Issue(t.Store(), appID)
	for _, mtls := range []bool{false, true} {
		h := t.Start(Launch{Data: t.Store().Dir, AutoMTLS: mtls})
		t.MustAuth(h, k, "before")
		t.Until(2*time.Second, "the broker stream", h.wire.brokerUp.Load)
		for round := range 3 {
			t.burst(h, k, round)
		}
		t.Sleep(300 * time.Millisecond)
		t.Assert(!h.wire.brokerDown.Load(), "the broker stream ended")
		t.Assert(h.wire.conns.Load() == 1 && h.wire.ended.Load() == 0, "the connection was lost: made %d times", h.wire.conns.Load())
		t.MustAuth(h, k, "after the bursts")
		ln, err := h.broker.Accept(h.broker.NextId()) // needs the broker stream
		t.Check(err, "announcing another broker id")
		_ = ln.Close()
		t.Unload(h)
	}
}

// burst starts 200 calls and cancels each right after its start: some before, some after the request is complete.
func (t *T) burst(h *Host, k Key, round int) {
	const calls = 200
	var wg sync.WaitGroup
	for i := range calls {
		wg.Add(1)
		go func() {
			defer wg.Done()
			ctx, cancel := context.WithCancel(t.ctx)
			defer cancel()
			if (i+round)%2 == 0 { // headers are sent, then the stream is reset
				s, err := h.conn.NewStream(ctx, &grpc.StreamDesc{}, authMethod)
				if err == nil && i%4 == 0 {
					_ = s.SendMsg(h.env.authRequest(k.Text, grantedA, h.env.body()))
				}
				return
			}
			go func() {
				time.Sleep(time.Duration(i%20) * 50 * time.Microsecond)
				cancel()
			}()
			_, _ = h.svc.Authenticate(ctx, h.env.authRequest(k.Text, grantedA, h.env.body()))
		}()
	}
	wg.Wait()
	_, err := h.svc.Ping(t.ctx, &pb.PingRequest{Timestamp: 1})
	t.Check(err, "Ping after a burst")
}
