package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	pb "latchkey.test/hostgo/proto/plugin"
)

var bodyCases = []Case{
	{"body: 64 MiB pass in Authenticate and in pre-auth", 40 * time.Second, caseBigBody},
	{"body: 256 calls of 64 MiB at once: Ping under 1 s, memory bounded", 90 * time.Second, caseManyBodies},
}

const (
	bigBody   = 64 << 20
	bodyRSS   = 200 // MiB: 64 MiB of message bytes, and the process itself
	manyCalls = 256
	manyTime  = 60 * time.Second
)

func caseBigBody(t *T) {
	k := t.Issue(t.Store(), appID)
	for _, l := range []Launch{{}, {AutoMTLS: true, Mux: true}} {
		l.Data = t.Store().Dir
		h := t.Start(l)
		peak := h.watchRSS()
		body := make([]byte, bigBody)
		for _, credential := range []string{k.Text, "junk"} {
			start := time.Now()
			resp, err := h.svc.Authenticate(t.ctx, h.env.authRequest(credential, grantedA, body))
			t.Check(err, "Authenticate with 64 MiB")
			t.Assert(resp.Authenticated == (credential == k.Text), "Authenticate with 64 MiB: authenticated=%v, %q", resp.Authenticated, resp.ErrorMessage)
			t.Note("%dms", time.Since(start).Milliseconds())
			ctx := pluginContext(grantedA)
			ctx.Vendor = "openai"
			pre, err := h.svc.ProcessPreAuth(t.ctx, t.request(map[string]string{"Authorization": "Bearer " + credential}, body, ctx))
			t.Check(err, "ProcessPreAuth with 64 MiB")
			t.Assert(pre.Block == (credential != k.Text) && !pre.Modified, "ProcessPreAuth with 64 MiB: block=%v", pre.Block)
		}
		rss := peak()
		t.Assert(rss < bodyRSS, "RSS rose to %.0f MiB", rss)
		t.Note("RSS at most %.0f MiB", rss)
		t.Unload(h)
	}
}

// caseManyBodies keeps 256 calls with the largest body going at once, all from one shared buffer on our side.
func caseManyBodies(t *T) {
	k := t.Issue(t.Store(), appID)
	h := t.Start(Launch{Data: t.Store().Dir})
	auth := marshalRaw(h.env.authRequest(k.Text, grantedA, make([]byte, bigBody)))
	peak := h.watchRSS()
	limit, cancel := context.WithTimeout(t.ctx, manyTime)
	defer cancel()

	var finished, wrong atomic.Int32
	var firstErr atomic.Value
	var wg sync.WaitGroup
	start := time.Now()
	for range manyCalls {
		wg.Add(1)
		go func() {
			defer wg.Done()
			resp := &pb.AuthResponse{}
			err := h.conn.Invoke(limit, authMethod, auth, resp, grpc.ForceCodecV2(newRawCodec()))
			switch {
			case limit.Err() != nil:
				return // time is up; what has not ended counts neither way
			case err == nil && !resp.Authenticated:
				err = fmt.Errorf("refused: %q", resp.ErrorMessage)
			}
			if err != nil {
				wrong.Add(1)
				firstErr.CompareAndSwap(nil, err)
				return
			}
			finished.Add(1)
		}()
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	slowest, pings, pingErr := time.Duration(0), 0, error(nil)
	for running := true; running; {
		at := time.Now()
		if err := h.ping(t.ctx, 5*time.Second); err != nil {
			pingErr = err
		}
		slowest = max(slowest, time.Since(at))
		pings++
		select {
		case <-ended:
			running = false
		case <-time.After(100 * time.Millisecond):
		}
	}
	rss := peak()
	t.Note("%d of %d ended within %s; slowest of %d Pings %dms; RSS at most %.0f MiB",
		finished.Load(), manyCalls, time.Since(start).Round(100*time.Millisecond), pings, slowest.Milliseconds(), rss)
	t.Check(pingErr, "Ping beside the bodies")
	t.Assert(slowest < time.Second, "a Ping took %s", slowest.Round(time.Millisecond))
	t.Assert(wrong.Load() == 0, "%d calls went wrong, first: %v", wrong.Load(), firstErr.Load())
	t.Assert(rss > 0 && rss < bodyRSS, "RSS rose to %.0f MiB, allowed are %d", rss, bodyRSS)
	t.MustAuth(h, k, "afterwards")
	t.Assert(!h.wire.brokerDown.Load(), "the broker stream ended")
	t.Unload(h)
}
