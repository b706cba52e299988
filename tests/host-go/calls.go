package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	pb "latchkey.test/hostgo/proto/plugin"
)

// Start launches a host and begins its life; the case's end ends it.
func (t *T) Start(l Launch) *Host {
	h := t.Connect(l)
	if err := h.Begin(t.ctx); err != nil {
		t.Fatalf("%w", err)
	}
	return h
}

// Connect launches a host up to the first RPC.
func (t *T) Connect(l Launch) *Host {
	t.Check(t.ctx.Err(), "the case's time")
	h, err := connect(t.Env, l)
	if err != nil {
		t.Fatalf("%w", err)
	}
	t.Cleanup(func() {
		h.Abandon()
		t.judge(h)
	})
	return h
}

// Unload ends the host's life in its own order, and the case if anything was wrong with it.
func (t *T) Unload(h *Host) {
	t.Check(h.Unload(t.ctx), "ending")
}

// judge reports what went wrong in the background, unless the host's end has told it already.
func (t *T) judge(h *Host) {
	if err := h.Problems(); err != nil && !h.judged.Load() {
		t.Problem("%w", err)
	}
}

func slugOf(llm uint32) string { return fmt.Sprintf("chat-%d", llm) }

// pluginContext is what a gateway puts into each call.
func pluginContext(llm uint32) *pb.PluginContext {
	return &pb.PluginContext{RequestId: fmt.Sprintf("req_%d", time.Now().UnixNano()), LlmId: llm, LlmSlug: slugOf(llm)}
}

// request is a client's request as a gateway forwards it.
func (e *Env) request(headers map[string]string, body []byte, c *pb.PluginContext) *pb.PluginRequest {
	all := map[string]string{"Content-Type": "application/json", "User-Agent": "conformance/1", "X-Note": e.canaryHeader()}
	for k, v := range headers {
		all[k] = v
	}
	return &pb.PluginRequest{
		Method: "POST", Path: "/llm/rest/" + slugOf(c.LlmId) + "/v1/messages", Headers: all, Body: body, Context: c, RemoteAddr: "203.0.113.7:40312",
	}
}

const (
	headerCanary = "Qx7hVt2LmZr9sWpK4n"
	bodyCanary   = "Ub3eYd8GcJf6oTzA1k"
)

func (e *Env) canaryHeader() string { return headerCanary }

func (e *Env) body() []byte {
	return []byte(`{"model":"any","messages":[{"role":"user","content":"` + bodyCanary + `"}]}`)
}

// authRequest is the whole message of one Authenticate call.
func (e *Env) authRequest(credential string, llm uint32, body []byte) *pb.AuthRequest {
	c := pluginContext(llm)
	return &pb.AuthRequest{
		Credential: credential, AuthType: "bearer", Context: c,
		Request: e.request(map[string]string{"Authorization": "Bearer " + credential}, body, c),
	}
}

// Auth calls Authenticate as a gateway does.
func (h *Host) Auth(ctx context.Context, credential string, llm uint32) (*pb.AuthResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return h.svc.Authenticate(ctx, h.env.authRequest(credential, llm, h.env.body()))
}

// MustAuth ends the case unless the credential is accepted for the expected app and user.
func (t *T) MustAuth(h *Host, k Key, what string) {
	resp, err := h.Auth(t.ctx, k.Text, grantedA)
	t.Check(err, what+": Authenticate")
	t.Assert(resp.Authenticated, "%s: a good key was refused: %q", what, resp.ErrorMessage)
	t.Assert(resp.AppId == fmt.Sprint(appID) && resp.UserId == fmt.Sprint(userID),
		"%s: app_id %q, user_id %q", what, resp.AppId, resp.UserId)
}

// MustRefuse ends the case unless the credential is refused in the message, and returns the text.
func (t *T) MustRefuse(h *Host, credential string, llm uint32, what string) string {
	resp, err := h.Auth(t.ctx, credential, llm)
	t.Check(err, what+": Authenticate must answer in the message, not by a gRPC error")
	t.Assert(!resp.Authenticated, "%s: accepted as app %q", what, resp.AppId)
	t.Assert(resp.AppId == "" && resp.UserId == "" && len(resp.Claims) == 0, "%s: a refusal carries app %q, user %q, %d claims",
		what, resp.AppId, resp.UserId, len(resp.Claims))
	t.Assert(resp.ErrorMessage != "", "%s: a refusal without a text", what)
	return resp.ErrorMessage
}

// Call is Studio's way into the plugin; the answer is JSON.
func (h *Host) Call(ctx context.Context, method string) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	resp, err := h.svc.Call(ctx, &pb.CallRequest{Method: method, Payload: "{}", ServiceBrokerId: h.brokerID})
	if err != nil {
		return nil, err
	}
	return callData(resp)
}

func callData(resp *pb.CallResponse) (map[string]any, error) {
	if !resp.Success {
		return nil, fmt.Errorf("refused: %s", resp.ErrorMessage)
	}
	var data map[string]any
	if err := json.Unmarshal([]byte(resp.Data), &data); err != nil {
		return nil, fmt.Errorf("data is not a JSON object: %w", err)
	}
	if ok, there := data["ok"].(bool); there && !ok {
		return nil, fmt.Errorf("refused: %v", data["error"])
	}
	return data, nil
}
