package main

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "latchkey.test/hostgo/proto/plugin"
)

var sessionCases = []Case{
	{"session: blocks until its timeout, then TIMEOUT", 15 * time.Second, caseSessionTimeout},
	{"session: CloseSession and Shutdown end it with EXPLICIT_CLOSE", 15 * time.Second, caseSessionClose},
	{"session: cancellation and a session without a broker", 15 * time.Second, caseSessionCancel},
}

type sessionEnd struct {
	resp *pb.OpenSessionResponse
	err  error
	took time.Duration
}

func (h *Host) openSession(ctx context.Context, brokerID uint32, timeoutMs int32) chan sessionEnd {
	end := make(chan sessionEnd, 1)
	go func() {
		start := time.Now()
		resp, err := h.svc.OpenSession(ctx, &pb.OpenSessionRequest{ServiceBrokerId: brokerID, PluginId: h.pluginID, TimeoutMs: timeoutMs})
		end <- sessionEnd{resp, err, time.Since(start)}
	}()
	return end
}

func (t *T) sessionEnd(end chan sessionEnd, limit time.Duration, want pb.OpenSessionResponse_CloseReason) sessionEnd {
	select {
	case e := <-end:
		t.Check(e.err, "OpenSession")
		t.Assert(e.resp.Success && e.resp.CloseReason == want, "OpenSession answered %v, want %s", e.resp, want)
		return e
	case <-time.After(limit):
		t.Fatalf("OpenSession did not end within %s", limit)
		return sessionEnd{}
	}
}

func caseSessionTimeout(t *T) {
	for _, studio := range []bool{false, true} {
		h := t.Start(Launch{Studio: studio, Data: t.Store().Dir, NoSession: true})
		e := t.sessionEnd(h.openSession(t.ctx, h.brokerID, 1500), 4*time.Second, pb.OpenSessionResponse_TIMEOUT)
		t.Assert(e.took >= 1400*time.Millisecond && e.took < 2500*time.Millisecond, "ended after %s instead of 1.5 s", e.took)
		t.Assert(e.resp.SessionId != "", "no session id")
		t.Unload(h)
	}
}

func caseSessionClose(t *T) {
	h := t.Start(Launch{Studio: true, Data: t.Store().Dir, NoSession: true})
	for _, reason := range []string{"plugin_unload", "unload", "anything", ""} {
		end := h.openSession(t.ctx, h.brokerID, 30_000)
		t.Sleep(100 * time.Millisecond)
		resp, err := h.svc.CloseSession(t.ctx, &pb.CloseSessionRequest{Reason: reason})
		t.Check(err, "CloseSession")
		t.Assert(resp.Success, "CloseSession: success=false")
		t.sessionEnd(end, time.Second, pb.OpenSessionResponse_EXPLICIT_CLOSE)
	}
	end := h.openSession(t.ctx, h.brokerID, 30_000)
	t.Sleep(100 * time.Millisecond)
	_, err := h.svc.Shutdown(t.ctx, &pb.ShutdownRequest{TimeoutSeconds: 5})
	t.Check(err, "Shutdown")
	t.sessionEnd(end, time.Second, pb.OpenSessionResponse_EXPLICIT_CLOSE)
	t.Check(h.Kill(), "Kill")
}

func caseSessionCancel(t *T) {
	h := t.Start(Launch{Data: t.Store().Dir, NoSession: true})
	ctx, cancel := context.WithCancel(t.ctx)
	end := h.openSession(ctx, 0, 30_000) // broker id 0: the gateway has no management server
	t.Sleep(100 * time.Millisecond)
	cancel()
	e := <-end
	t.Assert(status.Code(e.err) == codes.Canceled, "cancelled, but %v", e.err)
	t.sessionEnd(h.openSession(t.ctx, 0, 200), 2*time.Second, pb.OpenSessionResponse_TIMEOUT)
	t.Unload(h)
}
