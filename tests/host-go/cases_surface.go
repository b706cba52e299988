package main

import (
	"encoding/json"
	"fmt"
	"time"

	"google.golang.org/grpc/credentials/insecure"

	pb "latchkey.test/hostgo/proto/plugin"
)

var surfaceCases = []Case{
	{"surface: Call health and get_metrics under Studio", 15 * time.Second, caseCall},
	{"surface: under a microgateway Call answers these two only", 15 * time.Second, caseCallGateway},
	{"surface: another process on the managed socket gets these two only", 20 * time.Second, caseOtherProcess},
}

// restricted are methods that only a recognised Studio may reach, whether they exist yet or not.
var restricted = []string{"list_tenants", "list_credentials", "issue_credential", "revoke_credential", "run_checklist", "list_audit_events"}

func caseCall(t *T) {
	k := t.Issue(t.Store(), appID)
	h := t.Start(Launch{Studio: true, Data: t.Store().Dir})
	first, err := h.Call(t.ctx, "get_metrics")
	t.Check(err, "get_metrics before the first request")
	for _, name := range []string{"request_count", "error_count", "avg_duration_ms"} {
		v, ok := first[name].(float64)
		t.Assert(ok && v == 0, "%s before the first request is %v", name, first[name])
	}
	for range 5 {
		t.MustAuth(h, k, "a call")
	}
	t.MustRefuse(h, "junk", grantedA, "a call")
	later, err := h.Call(t.ctx, "get_metrics")
	t.Check(err, "get_metrics")
	n, _ := later["request_count"].(float64)
	t.Assert(n >= 6, "request_count is %v after 6 calls", later["request_count"])

	health, err := h.Call(t.ctx, "health")
	t.Check(err, "health")
	t.Assert(health["status"] == "healthy", "health: status %v", health["status"])
	_, ok := health["uptime_seconds"].(float64)
	t.Assert(ok, "health: uptime_seconds is %v", health["uptime_seconds"])

	for _, payload := range []string{"", "null", "[]", "{", `"text"`, `{"a":1e400}`} {
		resp, err := h.svc.Call(t.ctx, &pb.CallRequest{Method: "health", Payload: payload, ServiceBrokerId: h.brokerID})
		t.Check(err, fmt.Sprintf("health with the payload %q", payload))
		t.Assert(!resp.Success || json.Valid([]byte(resp.Data)), "payload %q: data is not JSON", payload)
	}
	for _, method := range []string{"", "no_such_method", "Health", "../health"} {
		_, err := h.Call(t.ctx, method)
		t.Assert(err != nil, "the method %q was answered", method)
	}
	names, err := h.Call(t.ctx, "list_tenants")
	t.Check(err, "list_tenants")
	t.Assert(names["tenants"] != nil, "list_tenants: %v", names)
	// Whoever is no User of a tenant is refused in the message, admin or not.
	resp, err := h.svc.PortalCall(t.ctx, &pb.PortalCallRequest{Method: "list_credentials", Payload: "{}", ServiceBrokerId: h.brokerID,
		UserContext: &pb.PortalUserContext{UserId: 4000000000, IsAdmin: true}})
	t.Check(err, "PortalCall")
	var told struct {
		OK    *bool
		Error struct{ Reason string }
	}
	t.Check(json.Unmarshal([]byte(resp.Data), &told), "PortalCall's answer")
	t.Assert(resp.Success && told.OK != nil && !*told.OK && told.Error.Reason == "FORBIDDEN", "PortalCall by nobody: %s", resp.Data)
	t.Unload(h)
}

func caseCallGateway(t *T) {
	h := t.Start(Launch{Data: t.Store().Dir})
	t.onlyHealth(h)
	t.Unload(h)
}

// onlyHealth checks that a connection reaches health and get_metrics and nothing else.
func (t *T) onlyHealth(h *Host) {
	for _, method := range []string{"health", "get_metrics"} {
		_, err := h.Call(t.ctx, method)
		t.Check(err, method)
	}
	for _, method := range restricted {
		_, err := h.Call(t.ctx, method)
		t.Assert(err != nil, "Call %s was answered", method)
	}
	resp, err := h.svc.PortalCall(t.ctx, &pb.PortalCallRequest{Method: "list_credentials", Payload: "{}", ServiceBrokerId: h.brokerID,
		UserContext: &pb.PortalUserContext{UserId: userID, IsAdmin: true, Email: "ann@acme.example"}})
	t.Assert(err != nil || !resp.Success, "PortalCall was answered")
}

func caseOtherProcess(t *T) {
	h := t.Start(Launch{Studio: true, Data: t.Store().Dir})
	out, err := t.child("call", "unix", h.Socket())
	t.Check(err, "the other process")
	for _, method := range []string{"health", "get_metrics"} {
		t.Assert(out[method] == "answered", "%s: %s", method, out[method])
	}
	for _, method := range restricted {
		t.Assert(out[method] == "refused", "%s from another process: %s", method, out[method])
	}
	t.Check(h.ping(t.ctx, 5*time.Second), "the host's own Ping, afterwards")
	t.Unload(h)
}

// helperCall is the other process: it tries every method and prints what came of it.
func helperCall(path string) int {
	conn, err := dialUnix(path, insecure.NewCredentials())
	if err != nil {
		fmt.Println(`{"error":"dial"}`)
		return 1
	}
	defer conn.Close()
	h := &Host{svc: pb.NewPluginServiceClient(conn)}
	ctx, cancel := deadline(10 * time.Second)
	defer cancel()
	out := map[string]string{}
	for _, method := range append([]string{"health", "get_metrics"}, restricted...) {
		out[method] = "answered"
		if _, err := h.Call(ctx, method); err != nil {
			out[method] = "refused"
		}
	}
	_ = json.NewEncoder(jsonOut).Encode(out)
	return 0
}
