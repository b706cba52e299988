package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	pb "latchkey.test/hostgo/proto/plugin"
)

const (
	startLimit  = 8 * time.Second // both hosts: 60 s
	initLimit   = time.Second     // both hosts hold their plugin lock meanwhile
	pingEvery   = 2 * time.Second // a microgateway: 30 s
	killLimit   = 2 * time.Second // then go-plugin sends SIGKILL
	sessionTime = 30_000
)

func (h *Host) initialize(ctx context.Context, config map[string]string) error {
	start := time.Now()
	resp, err := h.svc.Initialize(ctx, &pb.InitRequest{Config: config})
	h.initTook = time.Since(start)
	switch {
	case err != nil:
		return fmt.Errorf("Initialize: %w", err)
	case !resp.Success:
		return fmt.Errorf("Initialize: success=false: %s", resp.ErrorMessage)
	case h.initTook > initLimit:
		return fmt.Errorf("Initialize took %s", h.initTook.Round(time.Millisecond))
	}
	return nil
}

func (h *Host) beginMicrogateway(ctx context.Context) error {
	id := strconv.FormatUint(uint64(h.pluginID), 10)
	// The host sets no deadline here; the case's own keeps a hang from stopping the run.
	err := h.initialize(ctx, h.settings(map[string]string{"_plugin_id": id, "_service_broker_id": fmt.Sprint(h.brokerID)}))
	if err != nil {
		return err
	}
	h.startSession()
	h.background(func() {
		ctx, cancel := context.WithTimeout(h.life, 10*time.Second)
		defer cancel()
		if _, err := h.svc.GetEndpointRegistrations(ctx, &pb.GetEndpointRegistrationsRequest{}); err != nil && h.life.Err() == nil && !h.dying.Load() {
			h.problem("GetEndpointRegistrations: %v", err)
		}
	})
	h.background(func() {
		for {
			select {
			case <-h.life.Done():
				return
			case <-time.After(pingEvery):
			}
			if err := h.ping(h.life, 5*time.Second); err != nil {
				if h.life.Err() == nil && !h.dying.Load() {
					h.problem("periodic Ping: %v", err)
				}
				return
			}
		}
	})
	return nil
}

func (h *Host) beginStudio(ctx context.Context) error {
	initCtx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	id := strconv.FormatUint(uint64(h.pluginID), 10)
	err := h.initialize(initCtx, h.settings(map[string]string{
		"plugin_id": id, "has_service_api": "true", "service_broker_id": fmt.Sprint(h.brokerID)}))
	if err != nil {
		return err
	}
	hookCtx, cancelHook := context.WithTimeout(ctx, 5*time.Second)
	defer cancelHook()
	if _, err := h.svc.GetObjectHookRegistrations(hookCtx, &pb.GetObjectHookRegistrationsRequest{}); err != nil {
		return fmt.Errorf("GetObjectHookRegistrations: %w", err)
	}
	h.startSession()
	h.background(func() {
		select {
		case <-h.life.Done():
			return
		case <-time.After(time.Second):
		}
		ctx, cancel := context.WithTimeout(h.life, 10*time.Second)
		defer cancel()
		resp, err := h.svc.GetManifest(ctx, &pb.GetManifestRequest{})
		if h.life.Err() == nil && !h.dying.Load() && (err != nil || !resp.Success) {
			h.problem("GetManifest after load: %v %v", err, resp)
		}
	})
	return nil
}

func (h *Host) background(f func()) {
	h.async.Add(1)
	go func() {
		defer h.async.Done()
		f()
	}()
}

func (h *Host) ping(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	now := time.Now().Unix()
	resp, err := h.svc.Ping(ctx, &pb.PingRequest{Timestamp: now})
	if err == nil && (!resp.Healthy || resp.Timestamp != now) {
		err = fmt.Errorf("healthy=%v, timestamp echoed=%v", resp.Healthy, resp.Timestamp == now)
	}
	return err
}

// sessionLoop holds one session open, again and again, by the host's own rules.
type sessionLoop struct {
	cancel  context.CancelFunc
	started time.Time
	done    chan struct{}
	last    pb.OpenSessionResponse_CloseReason // valid after done
	opens   int                                // valid after done
}

func (h *Host) startSession() {
	if h.NoSession {
		return
	}
	ctx, cancel := context.WithCancel(h.life)
	s := &sessionLoop{cancel: cancel, started: time.Now(), done: make(chan struct{})}
	h.session = s
	onError, onUnknown := 5*time.Second, time.Duration(0)
	if h.Studio {
		onError, onUnknown = time.Second, time.Second
	}
	go func() {
		defer close(s.done)
		for ctx.Err() == nil {
			s.opens++
			resp, err := h.svc.OpenSession(ctx, &pb.OpenSessionRequest{
				ServiceBrokerId: h.brokerID, PluginId: h.pluginID, TimeoutMs: sessionTime})
			if ctx.Err() != nil {
				return
			}
			wait := onUnknown
			switch {
			case err != nil:
				wait = onError
			case resp.CloseReason == pb.OpenSessionResponse_EXPLICIT_CLOSE:
				s.last = resp.CloseReason
				return
			case resp.CloseReason == pb.OpenSessionResponse_TIMEOUT:
				wait = 0
			case resp.CloseReason == pb.OpenSessionResponse_PLUGIN_ERROR:
				wait = onError
			}
			if s.opens > 20 {
				h.problem("session loop spins: %d opens, last answer %v %v", s.opens, resp, err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
		}
	}()
}

// Unload ends the plugin's life in the host's own order and judges how it went.
func (h *Host) Unload(ctx context.Context) error {
	closeReason, closed := "unload", (*pb.OpenSessionResponse_CloseReason)(nil)
	if h.session != nil {
		time.Sleep(time.Until(h.session.started.Add(100 * time.Millisecond))) // a very short life: let OpenSession arrive first
		if h.Studio {
			closeReason = "plugin_unload"
		} else {
			h.session.cancel()
		}
		closeCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
		resp, err := h.svc.CloseSession(closeCtx, &pb.CloseSessionRequest{Reason: closeReason})
		cancel()
		if err != nil || !resp.Success {
			h.problem("CloseSession: %v %v", resp, err)
		}
		if h.Studio {
			select {
			case <-h.session.done:
				closed = &h.session.last
			case <-time.After(time.Second):
			}
			if closed == nil || *closed != pb.OpenSessionResponse_EXPLICIT_CLOSE {
				h.problem("CloseSession did not end the open session with EXPLICIT_CLOSE")
			}
			h.session.cancel()
		}
	}
	shutCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if resp, err := h.svc.Shutdown(shutCtx, &pb.ShutdownRequest{TimeoutSeconds: 5}); err != nil || !resp.Success {
		h.problem("Shutdown: %v %v", resp, err)
	}
	return h.Kill()
}

// Kill is go-plugin's Kill, plus what must hold afterwards: a quick exit of its own, status 0, no socket left.
func (h *Host) Kill() error {
	h.endLife()
	if h.wire.conns.Load() > 1 {
		h.problem("the main connection was made %d times", h.wire.conns.Load())
	}
	start := time.Now()
	done := make(chan struct{})
	go func() { h.client.Kill(); close(done) }()
	select {
	case <-done:
	case <-time.After(8 * time.Second):
		h.Abandon()
		return fmt.Errorf("Kill did not return (a Shutdown that is never answered?)")
	}
	took := time.Since(start)
	h.async.Wait()
	if h.cmd != nil {
		switch state := h.cmd.ProcessState; {
		case state == nil:
			h.problem("the process was not reaped")
		case state.ExitCode() != 0:
			h.problem("after Kill the process ended with %s", state)
		case took > killLimit:
			h.problem("Kill took %s", took.Round(time.Millisecond))
		}
	}
	if s := h.Socket(); s != "" && exists(s) {
		h.problem("Kill left the socket %s", s)
	}
	h.judged.Store(true)
	return h.Problems()
}
